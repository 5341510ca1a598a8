/** One conversation: what was said, and what is to be. */

import { ChatError, type ConversationState, type History, type MembershipEndReason, type Message } from "chat-client";
import { useStore } from "chat-client/react";
import { lazy, Suspense, useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useAnnounce } from "./announcer.tsx";
import { otherOf, useChat, useName } from "./chat.tsx";
import { Composer } from "./composer.tsx";
import { GroupAvatar, may } from "./group.tsx";
import { sentence } from "./group-change.tsx";
import { useI18n } from "./i18n.tsx";
import { MessageList, type Shown } from "./message-list.tsx";
import { Avatar, Empty, Icon, IconButton, Link, Name, Waiting } from "./parts.tsx";
import { go, type Route } from "./router.ts";

const Details = lazy(() => import("./details.tsx"));

export function ConversationScreen({ id, messageId, hasDetails = false }: Route & { kind: "conversation" }) {
  const { texts } = useI18n();
  const { client, userId } = useChat();
  const messages = useStore(client.messages(id));
  const { conversation } = messages;
  const isMissing = useMissing(id, conversation !== undefined);
  // What it was called while it was there.
  const [lastGroup, setLastGroup] = useState<string>();
  const name = conversation?.group?.name;
  if (name !== undefined && name !== lastGroup) {
    setLastGroup(name);
  }
  const reason = useEndReason(id, conversation !== undefined);
  const isReaching = useUnread(id, conversation);
  if (!conversation) {
    if (lastGroup !== undefined) {
      return <Ended name={lastGroup} reason={reason} />;
    }
    return isMissing ? (
      <Empty isScreen title={texts.notMember}>
        <Link className="button" to={{ kind: "chats" }}>
          {texts.backToChats}
        </Link>
      </Empty>
    ) : (
      <Waiting rows={6} />
    );
  }
  if (isReaching) {
    return <Waiting rows={6} />;
  }
  const other = otherOf(conversation, userId);
  return (
    <Open
      conversation={conversation}
      outgoing={messages.outgoing}
      other={other}
      messageId={messageId}
      hasDetails={hasDetails}
    />
  );
}

/** Whether the service says that a conversation that is not known here is not the person's. */
function useMissing(id: string, isKnown: boolean): boolean {
  const { client } = useChat();
  const { connection } = useStore(client.status);
  const [isMissing, setIsMissing] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another connection is a reason to ask again
  useEffect(() => {
    setIsMissing(false);
    if (isKnown) {
      return;
    }
    let isOver = false;
    // One that is the person's is known as soon as it is synced.
    client.getConversation(id).catch((cause) => {
      const isRefused = cause instanceof ChatError && ["NotFound", "InvalidArgument"].includes(cause.code);
      setIsMissing(isRefused && !isOver);
    });
    return () => {
      isOver = true;
    };
  }, [client, id, isKnown, connection]);
  return isMissing;
}

/** Why the person is not in a group any more, as far as that was said. */
function useEndReason(id: string, isThere: boolean): MembershipEndReason {
  const { client } = useChat();
  const [reason, setReason] = useState<MembershipEndReason>("unknown");
  useEffect(() => client.onMembershipEnd((end) => end.conversationId === id && setReason(end.reason)), [client, id]);
  useEffect(() => {
    if (isThere) {
      setReason("unknown");
    }
  }, [isThere]);
  return reason;
}

/** A group that the person was looking at, and is not in any more. */
function Ended({ name, reason }: { name: string; reason: MembershipEndReason }) {
  const { texts } = useI18n();
  const announce = useAnnounce();
  const hasLeft = reason === "left";
  const title = texts.groupEnded(name);
  const text = hasLeft ? "" : texts.endReasons[reason];
  useEffect(() => {
    if (hasLeft) {
      // In another tab, or in this one: nothing that they would not know.
      go({ kind: "chats" }, { isReplaced: true });
    } else {
      announce(`${title} ${text}`);
    }
  }, [announce, hasLeft, title, text]);
  if (hasLeft) {
    return undefined;
  }
  return (
    <Empty isScreen title={title} text={text}>
      <Link className="button" to={{ kind: "chats" }}>
        {texts.backToChats}
      </Link>
    </Empty>
  );
}

function Open({
  conversation,
  outgoing,
  other,
  messageId,
  hasDetails,
}: {
  conversation: ConversationState;
  outgoing: Shown["outgoing"];
  other: string;
  messageId: string | undefined;
  hasDetails: boolean;
}) {
  const { texts, number } = useI18n();
  const { client } = useChat();
  const id = conversation.conversationId;
  const { group } = conversation;
  const otherName = useName(other);
  const name = group?.name ?? otherName;
  const [replyTo, setReplyTo] = useState<Message>();
  const details: Route = { kind: "conversation", id, hasDetails: true };
  const closeDetails = () => go({ kind: "conversation", id }, { isReplaced: true });
  const { part, target, missing, hasLeft, leave, jump } = useJumps(conversation, messageId);
  const history = useSyncExternalStore(part?.subscribe ?? nothing, () => part?.getSnapshot());
  useAnnouncements(conversation);
  const isFriend = useStore(client.friends()).some((friend) => friend.userId === other && friend.state === "accepted");
  const canWrite = group ? may(group, "sendMessages") : isFriend;
  const { isStale } = useStore(client.status);

  const shown: Shown = part
    ? {
        messages: history?.messages ?? [],
        outgoing: [],
        hasOlder: history?.hasOlder ?? false,
        hasNewer: history?.hasNewer ?? false,
        isLoaded: history !== undefined,
        changes: history?.changes ?? [],
      }
    : {
        messages: conversation.messages,
        outgoing,
        hasOlder: conversation.hasOlder,
        hasNewer: false,
        isLoaded: conversation.isLoaded,
        changes: conversation.changes,
      };
  const loadOlder = useCallback(() => (part ? part.loadOlder() : client.loadOlder(id)), [part, client, id]);
  const loadNewer = useCallback(async () => {
    await part?.loadNewer();
    if (part?.getSnapshot()?.hasNewer === false) {
      leave();
    }
  }, [part, leave]);
  return (
    <div className="conversation">
      <header className="header">
        <Link className="icon-button only-phone" to={{ kind: "chats" }} label={texts.back}>
          <Icon name="back" />
        </Link>
        <Link className="header-link" to={details}>
          {group ? <GroupAvatar id={id} group={group} /> : <Avatar userId={other} />}
          <h1 className="header-name">
            {group ? <bdi className="name">{group.name}</bdi> : <Name userId={other} />}
            {group && (
              <span className="header-count">{texts.members(group.memberCount, number.format(group.memberCount))}</span>
            )}
          </h1>
        </Link>
        <IconButton
          icon="info"
          label={texts.details}
          aria-expanded={hasDetails}
          onClick={() => (hasDetails ? closeDetails() : go(details))}
        />
      </header>
      {part && (
        <p className="older-part">
          {texts.olderPart}{" "}
          <button type="button" className="link" onClick={leave}>
            {texts.backToNewest}
          </button>
        </p>
      )}
      {missing && (
        <p className="older-part" role="alert">
          {texts.missingMessage}
        </p>
      )}
      {shown.isLoaded ? (
        <MessageList
          key={part ? "part" : "newest"}
          conversation={conversation}
          other={other}
          shown={shown}
          target={target}
          isReturn={hasLeft}
          loadOlder={loadOlder}
          loadNewer={loadNewer}
          onReply={setReplyTo}
          onJump={jump}
        />
      ) : (
        <div className="messages">
          <Waiting rows={6} />
        </div>
      )}
      {canWrite || isStale ? (
        <Composer
          key={id}
          conversationId={id}
          placeholder={texts.writeTo(name)}
          replyTo={replyTo}
          onReplyEnd={() => setReplyTo(undefined)}
          onSent={leave}
        />
      ) : (
        <p className="cannot-write">{group ? texts.mayNotSend : texts.cannotSend}</p>
      )}
      {hasDetails && (
        <Suspense>
          <Details conversation={conversation} other={other} isFriend={isFriend} onClose={closeDetails} />
        </Suspense>
      )}
    </div>
  );
}

/** Pages that are loaded to begin where one has stopped reading, at most; from further back, one begins with the newest. */
const UNREAD_PAGES_MAX = 10;

/** Loads what is not read yet, before a conversation is shown. Answers whether that goes on. */
function useUnread(id: string, conversation: ConversationState | undefined): boolean {
  const { client } = useChat();
  const [pages, setPages] = useState(0);
  const oldest = conversation?.messages[0]?.seq ?? 0;
  const isFar =
    conversation?.isLoaded === true &&
    conversation.hasOlder &&
    conversation.unreadCount > 0 &&
    conversation.unreadCount < 1_000 &&
    oldest > conversation.readSeq + 1;
  const isReaching = isFar && pages < UNREAD_PAGES_MAX;
  const isLoaded = conversation?.isLoaded === true;
  useEffect(() => {
    if (isReaching) {
      client.loadOlder(id).then(
        () => setPages(pages + 1),
        () => setPages(UNREAD_PAGES_MAX),
      );
    } else if (isLoaded) {
      // From now on one reads.
      setPages(UNREAD_PAGES_MAX);
    }
  }, [client, id, isReaching, isLoaded, pages]);
  return isReaching;
}

function nothing(): () => void {
  return () => undefined;
}

/** A message that one wants to see, and when, since it may be the same one again. */
export interface Target {
  readonly messageId: string;
  readonly turn: number;
}

/** Goes to a message by its link or by a quote: where it is at hand, by scrolling, else to a part of the history. */
function useJumps(conversation: ConversationState, messageId: string | undefined) {
  const { client } = useChat();
  const id = conversation.conversationId;
  const [part, setPart] = useState<History>();
  const [target, setTarget] = useState<Target>();
  const [missing, setMissing] = useState(false);
  const [hasLeft, setHasLeft] = useState(false);
  const { isLoaded } = conversation;
  const leave = useCallback(() => {
    setPart(undefined);
    setTarget(undefined);
    setMissing(false);
    setHasLeft(true);
  }, []);
  const jump = useCallback(
    async (wanted: string, seq?: number) => {
      setMissing(false);
      const { conversation: now } = client.messages(id).getSnapshot();
      if (!now?.messages.some((message) => message.messageId === wanted)) {
        try {
          const place = seq ?? (await client.getMessage(id, wanted)).seq;
          const around = client.history(id, place);
          await around.load();
          setPart(around);
        } catch (cause) {
          setMissing(cause instanceof ChatError && !cause.isTransient);
          return;
        }
      } else {
        setPart(undefined);
      }
      setTarget((before) => ({ messageId: wanted, turn: (before?.turn ?? 0) + 1 }));
    },
    [client, id],
  );
  const [linked, setLinked] = useState<string>();
  useEffect(() => {
    if (messageId && isLoaded && linked !== messageId) {
      setLinked(messageId);
      jump(messageId);
    }
  }, [messageId, isLoaded, linked, jump]);
  return { part, target, missing, hasLeft, leave, jump };
}

/** Says what others say, and how the group changes, to who does not see it. */
function useAnnouncements({ conversationId, isLoaded, changes }: ConversationState): void {
  const i18n = useI18n();
  const { texts } = i18n;
  const { client, userId } = useChat();
  const announce = useAnnounce();
  const nameOf = useCallback((id: string) => client.profile(id).getSnapshot()?.displayName ?? id, [client]);
  useEffect(
    () =>
      client.onMessage((message) => {
        if (message.conversationId === conversationId) {
          announce(texts.said(nameOf(message.senderId), message.excerpt));
        }
      }),
    [client, conversationId, announce, texts, nameOf],
  );
  const newest = changes.at(-1);
  const told = useRef<number>(undefined);
  useEffect(() => {
    if (!isLoaded) {
      return;
    }
    const before = told.current;
    told.current = newest?.revision ?? 0;
    // What had happened before is there to be read.
    if (newest && before !== undefined && newest.revision > before) {
      announce(sentence(newest, i18n, userId, nameOf));
    }
  }, [isLoaded, newest, announce, i18n, userId, nameOf]);
}
