/** The list of conversations, and how the page stands with the service. */

import type { ConversationState } from "chat-client";
import { useStore } from "chat-client/react";
import { memo } from "react";
import { otherOf, useChat, useName } from "./chat.tsx";
import { isSameDay } from "./days.tsx";
import { GroupAvatar, NewGroup } from "./group.tsx";
import { useI18n } from "./i18n.tsx";
import { Avatar, Empty, Link, Name, Waiting } from "./parts.tsx";
import { go } from "./router.ts";

export function ConnectionLine() {
  const { texts } = useI18n();
  const { connection } = useStore(useChat().client.status);
  if (connection === "live") {
    return undefined;
  }
  const text = { connecting: texts.connecting, offline: texts.offline, polling: texts.polling }[connection];
  return (
    <p className={`connection ${connection}`} role="status">
      {text}
    </p>
  );
}

export function Chats({ openId }: { openId: string | undefined }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const conversations = useStore(client.conversations());
  const { isStale } = useStore(client.status);
  return (
    <>
      <div className="side-top">
        <h1 className="side-title">{texts.chats}</h1>
        <NewGroup />
      </div>
      {conversations.length > 0 ? (
        <ul className="list">
          {conversations.map((conversation) => (
            <Line
              key={conversation.conversationId}
              conversation={conversation}
              isOpen={conversation.conversationId === openId}
            />
          ))}
        </ul>
      ) : isStale ? (
        <Waiting rows={5} />
      ) : (
        <Empty title={texts.noChatsTitle} text={texts.noChatsText}>
          <button type="button" className="button primary" onClick={() => go({ kind: "people" })}>
            {texts.findPeople}
          </button>
        </Empty>
      )}
    </>
  );
}

const Line = memo(function Line({ conversation, isOpen }: { conversation: ConversationState; isOpen: boolean }) {
  const { texts, number } = useI18n();
  const { userId } = useChat();
  const { conversationId, group, lastMessage, unreadCount } = conversation;
  const other = otherOf(conversation, userId);
  const to = { kind: "conversation", id: conversationId } as const;
  const count = unreadCount >= 1_000 ? `${number.format(999)}+` : number.format(unreadCount);
  const excerpt = lastMessage?.excerpt ?? "";
  const speaker = useName(lastMessage?.senderId ?? userId);
  let line = excerpt;
  if (lastMessage?.senderId === userId) {
    line = texts.youSaid(excerpt);
  } else if (group) {
    const members = texts.members(group.memberCount, number.format(group.memberCount));
    line = lastMessage ? `\u2068${speaker}\u2069: ${excerpt}` : members;
  }
  return (
    <li>
      <Link className={unreadCount > 0 ? "line unread" : "line"} to={to} aria-current={isOpen ? "true" : undefined}>
        {group ? <GroupAvatar id={conversationId} group={group} /> : <Avatar userId={other} />}
        <span className="line-text">
          <span className="line-top">
            {group ? <bdi className="name">{group.name}</bdi> : <Name userId={other} />}
            <Moment at={lastMessage?.sentAt ?? conversation.lastActivityAt} />
          </span>
          <span className="line-bottom">
            <span className="excerpt" dir="auto">
              {line}
            </span>
            {unreadCount > 0 && (
              <span className="badge" role="img" aria-label={texts.unread(count)}>
                {count}
              </span>
            )}
          </span>
        </span>
      </Link>
    </li>
  );
});

/** A time of today, or a day. */
function Moment({ at }: { at: number }) {
  const { texts, time, day } = useI18n();
  if (at === 0) {
    return undefined;
  }
  const now = Date.now();
  let text = day.format(at);
  if (isSameDay(at, now)) {
    text = time.format(at);
  } else if (isSameDay(at, now - 86_400_000)) {
    text = texts.yesterday;
  }
  return (
    <time className="moment" dateTime={new Date(at).toISOString()}>
      {text}
    </time>
  );
}
