/** One message: what was said, or what is on its way. */

import type { GroupChange, Message, Outgoing } from "chat-client";
import { Fragment, type KeyboardEvent, memo, useState } from "react";
import { useCopy } from "./announcer.tsx";
import { useChat, useName } from "./chat.tsx";
import { Day } from "./days.tsx";
import { Changes } from "./group-change.tsx";
import { useI18n } from "./i18n.tsx";
import { Avatar, Icon, IconButton, type IconName, Name } from "./parts.tsx";
import { pathOf } from "./router.ts";

/** How a row stands among the others. */
export interface RowKind {
  /** In a conversation of two, everybody knows who speaks. */
  readonly isDirect: boolean;
  /** What is said above the first row of all. */
  readonly beginning: string | undefined;
  /** When what stands before it was. */
  readonly since: number | undefined;
  readonly isFirstOfGroup: boolean;
  readonly isLastOfGroup: boolean;
  readonly isFirstUnread: boolean;
  readonly isMarked: boolean;
  /** How many others have read it, if it is the user's own, and how many there are; none where nobody is told. */
  readonly readers: number;
  readonly readersMax: number;
}

interface RowProps {
  readonly item: Message | Outgoing;
  readonly kind: RowKind;
  /** How the group changed before it, and since it. */
  readonly above: readonly GroupChange[];
  readonly below: readonly GroupChange[];
  readonly onReply: (message: Message) => void;
  readonly onJump: (messageId: string, seq?: number) => void;
}

function isSame(before: RowProps, now: RowProps): boolean {
  const keys = Object.keys(now.kind) as (keyof RowKind)[];
  return (
    before.item === now.item &&
    isSameChanges(before.above, now.above) &&
    isSameChanges(before.below, now.below) &&
    before.onReply === now.onReply &&
    before.onJump === now.onJump &&
    keys.every((key) => before.kind[key] === now.kind[key])
  );
}

/** Changes are the same for ever: what may be new is which of them stand here. */
function isSameChanges(before: readonly GroupChange[], now: readonly GroupChange[]): boolean {
  return before.length === now.length && before.every(({ revision }, place) => revision === now[place]?.revision);
}

export const MessageRow = memo(function MessageRow({ item, kind, above, below, onReply, onJump }: RowProps) {
  const { texts } = useI18n();
  const at = "seq" in item ? item.sentAt : item.createdAt;
  return (
    <>
      {kind.beginning && <p className="beginning">{kind.beginning}</p>}
      <Changes changes={above} since={kind.since} />
      <Day since={above.at(-1)?.changedAt ?? kind.since} at={at} />
      {kind.isFirstUnread && (
        <p className="new-messages">
          <span>{texts.newMessages}</span>
        </p>
      )}
      {"seq" in item ? (
        <Said message={item} kind={kind} onReply={onReply} onJump={onJump} />
      ) : (
        <OnItsWay outgoing={item} kind={kind} />
      )}
      <Changes changes={below} since={at} />
    </>
  );
}, isSame);

function Said({
  message,
  kind,
  onReply,
  onJump,
}: Pick<RowProps, "kind" | "onReply" | "onJump"> & { message: Message }) {
  const { texts, full, time, number } = useI18n();
  const { userId } = useChat();
  const name = useName(message.senderId);
  const isOwn = message.senderId === userId;
  const { readers, readersMax } = kind;
  const isRead = readersMax > 0 && readers === readersMax;
  let status = isRead ? texts.read : texts.sent;
  if (!kind.isDirect && readers > 0) {
    status = texts.readBy(number.format(readers), number.format(readersMax));
  }
  const keys = (event: KeyboardEvent) => {
    if (event.target === event.currentTarget && (event.key === "Enter" || event.key === "r")) {
      event.preventDefault();
      onReply(message);
    }
  };
  return (
    <article
      className={classes(isOwn, kind)}
      tabIndex={-1}
      aria-label={texts.saidAt(isOwn ? texts.you : name, full.format(message.sentAt))}
      onKeyDown={keys}
    >
      {!isOwn && (kind.isLastOfGroup ? <Avatar userId={message.senderId} /> : <span className="avatar-place" />)}
      <div className="bubble">
        {!isOwn && !kind.isDirect && kind.isFirstOfGroup && (
          <span className="sender">
            <Name userId={message.senderId} />
          </span>
        )}
        {message.replyTo && <Quoted reply={message.replyTo} onJump={onJump} />}
        <Text text={message.text} />
        <span className="meta">
          <time dateTime={new Date(message.sentAt).toISOString()} title={full.format(message.sentAt)}>
            {time.format(message.sentAt)}
          </time>
          {isOwn && <Status icon={isRead ? "checks" : "check"} label={status} />}
        </span>
      </div>
      <Actions message={message} onReply={onReply} />
    </article>
  );
}

function classes(isOwn: boolean, kind: RowKind): string {
  return [
    "message",
    isOwn && "own",
    kind.isFirstOfGroup && "first",
    kind.isLastOfGroup && "last",
    kind.isMarked && "marked",
  ]
    .filter(Boolean)
    .join(" ");
}

function Status({ icon, label }: { icon: IconName; label: string }) {
  return (
    <span className={`status ${icon}`} role="img" aria-label={label} title={label}>
      <Icon name={icon} />
    </span>
  );
}

function Quoted({
  reply,
  onJump,
}: {
  reply: NonNullable<Message["replyTo"]>;
  onJump: (messageId: string, seq?: number) => void;
}) {
  const { texts } = useI18n();
  if (reply.isUnavailable) {
    return <p className="quote gone">{texts.quoteGone}</p>;
  }
  return (
    <button
      type="button"
      className="quote"
      title={texts.jumpToQuoted}
      onClick={() => onJump(reply.messageId, reply.seq)}
    >
      {reply.quote ? (
        <>
          <Name userId={reply.quote.senderId} />
          <span className="excerpt" dir="auto">
            {reply.quote.excerpt}
          </span>
        </>
      ) : (
        <span className="excerpt">{texts.jumpToQuoted}</span>
      )}
    </button>
  );
}

const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}'»”]/gu;

/** A text as it was written, with its addresses as links. */
function Text({ text }: { text: string }) {
  const parts: { readonly at: number; readonly text: string; readonly isLink: boolean }[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    parts.push({ at: end, text: text.slice(end, match.index), isLink: false });
    parts.push({ at: match.index, text: match[0], isLink: true });
    end = match.index + match[0].length;
  }
  parts.push({ at: end, text: text.slice(end), isLink: false });
  return (
    <p className="text" dir="auto">
      {parts.map((part) => (
        <Fragment key={`${part.at}${part.isLink}`}>
          {part.isLink ? (
            <a href={part.text} target="_blank" rel="noopener noreferrer nofollow">
              <bdi>{part.text}</bdi>
            </a>
          ) : (
            part.text
          )}
        </Fragment>
      ))}
    </p>
  );
}

function Actions({ message, onReply }: { message: Message; onReply: (message: Message) => void }) {
  const { texts } = useI18n();
  const copy = useCopy();
  const path = pathOf({ kind: "conversation", id: message.conversationId, messageId: message.messageId });
  return (
    <span className="actions">
      <IconButton icon="reply" label={texts.reply} onClick={() => onReply(message)} />
      <IconButton icon="copy" label={texts.copyText} onClick={() => copy(message.text)} />
      <IconButton icon="link" label={texts.copyLink} onClick={() => copy(`${location.origin}${path}`)} />
    </span>
  );
}

function OnItsWay({ outgoing, kind }: { outgoing: Outgoing; kind: RowKind }) {
  const { texts, time } = useI18n();
  const { client } = useChat();
  const [isBusy, setIsBusy] = useState(false);
  const isFailed = outgoing.status === "failed";
  const { reason } = outgoing.failure ?? {};
  const { errors, fields } = texts;
  const other = reason === "INVALID_FIELDS" ? fields.text : errors.other;
  const why = reason && reason in errors ? errors[reason as keyof typeof errors] : other;
  const act = (action: (id: string) => Promise<void>) => {
    setIsBusy(true);
    action(outgoing.clientMessageId).finally(() => setIsBusy(false));
  };
  return (
    <article
      className={`${classes(true, kind)} ${isFailed ? "failed" : "pending"}`}
      tabIndex={-1}
      aria-label={isFailed ? texts.failed : texts.sending}
    >
      <div className="bubble">
        <Text text={outgoing.text} />
        <span className="meta">
          <time dateTime={new Date(outgoing.createdAt).toISOString()}>{time.format(outgoing.createdAt)}</time>
          <Status icon={isFailed ? "alert" : "clock"} label={isFailed ? texts.failed : texts.sending} />
        </span>
      </div>
      {isFailed && (
        <div className="failure">
          <span>
            {texts.failed}: {why}
          </span>
          <button type="button" className="link" disabled={isBusy} onClick={() => act((id) => client.retry(id))}>
            {texts.retry}
          </button>
          <button type="button" className="link" disabled={isBusy} onClick={() => act((id) => client.drop(id))}>
            {texts.remove}
          </button>
        </div>
      )}
    </article>
  );
}
