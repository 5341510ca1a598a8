/** The list of conversations, and how the page stands with the service. */

import type { ConversationState } from "chat-client";
import { useStore } from "chat-client/react";
import { memo, useState } from "react";
import { otherOf, useChat, useName } from "./chat.tsx";
import { isSameDay } from "./days.tsx";
import { GroupAvatar } from "./group.tsx";
import { useI18n } from "./i18n.tsx";
import { NewGroup } from "./new-group.tsx";
import { Avatar, Empty, Icon, Link, Name, Waiting } from "./parts.tsx";
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
  const { texts, number } = useI18n();
  const { client } = useChat();
  const conversations = useStore(client.conversations());
  const { isStale } = useStore(client.status);
  const [wantsArchive, setWantsArchive] = useState(false);
  const archived = conversations.filter(({ settings, isHidden }) => settings.isArchived && !isHidden);
  const isArchive = wantsArchive && archived.length > 0;
  const listed = conversations.filter(({ settings, isHidden }) => !settings.isArchived && !isHidden);
  // A sort that keeps what is alike in its order.
  const shown = isArchive ? archived : listed.sort((one, other) => place(one) - place(other));
  return (
    <>
      <div className="side-top">
        <h1 className="side-title">{isArchive ? texts.archived : texts.chats}</h1>
        <NewGroup />
      </div>
      {archived.length > 0 && (
        <button type="button" className="link archive" onClick={() => setWantsArchive(!isArchive)}>
          {isArchive ? texts.backToChats : `${texts.archived} (${number.format(archived.length)})`}
        </button>
      )}
      {shown.length > 0 ? (
        <ul className="list">
          {shown.map((conversation) => (
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

/** Pinned ones come first. */
function place({ settings }: ConversationState): number {
  return settings.isPinned ? 0 : 1;
}

const Line = memo(function Line({ conversation, isOpen }: { conversation: ConversationState; isOpen: boolean }) {
  const { texts, number } = useI18n();
  const { userId } = useChat();
  const { conversationId, group, lastMessage, unreadCount, settings } = conversation;
  const isFlagged = settings.isMarkedUnread && unreadCount === 0;
  const isMuted = settings.mutedUntil > Date.now();
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
      <Link
        className={unreadCount > 0 || isFlagged ? "line unread" : "line"}
        to={to}
        aria-current={isOpen ? "true" : undefined}
      >
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
            {settings.isPinned && <Mark icon="pin" label={texts.pinned} />}
            {isMuted && <Mark icon="mute" label={texts.muted} />}
            {(unreadCount > 0 || isFlagged) && (
              <span className="badge" role="img" aria-label={isFlagged ? texts.flagged : texts.unread(count)}>
                {isFlagged ? "" : count}
              </span>
            )}
          </span>
        </span>
      </Link>
    </li>
  );
});

function Mark({ icon, label }: { icon: "pin" | "mute"; label: string }) {
  return (
    <span className="mark" role="img" aria-label={label} title={label}>
      <Icon name={icon} />
    </span>
  );
}

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
