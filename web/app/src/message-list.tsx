/**
 * What was said, of which only what can be seen is on the page.
 *
 * The list is anchored at its end: older messages that come in above, and rows that turn out higher than was thought, leave
 * what one looks at where it is. Rows are made from the messages around a place, so a list of 100,000 costs no more than what
 * can be seen of it.
 */

import { useVirtualizer } from "@tanstack/react-virtual";
import type { ConversationState, GroupChange, Message, Outgoing } from "chat-client";
import { useStore } from "chat-client/react";
import { type KeyboardEvent, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useChat } from "./chat.tsx";
import type { Target } from "./conversation.tsx";
import { isSameDay } from "./days.tsx";
import { hasManyMembers } from "./group.tsx";
import { Changes } from "./group-change.tsx";
import { useI18n } from "./i18n.tsx";
import { MessageRow, type RowKind } from "./message.tsx";
import { Empty, Icon } from "./parts.tsx";

/** A stretch of a conversation, and what is on its way. */
export interface Shown {
  readonly messages: readonly Message[];
  readonly outgoing: readonly Outgoing[];
  readonly hasOlder: boolean;
  readonly hasNewer: boolean;
  readonly isLoaded: boolean;
  /** How the group changed meanwhile, by increasing revision. */
  readonly changes: readonly GroupChange[];
}

/** Messages of one sender within this time stand together, in milliseconds. */
const GROUP_TIME = 300_000;
/** How near to an end of the list more of it is loaded, in rows. */
const LOAD_AHEAD = 25;
/** How far from the end still counts as being there, in pixels. */
const END_MARGIN = 60;
const ROW_HEIGHT = 60;

/** The list of a place on either side: what was said, then what is on its way. */
function itemAt({ messages, outgoing }: Shown, index: number): Message | Outgoing | undefined {
  return messages[index] ?? outgoing[index - messages.length];
}

function isMessage(item: Message | Outgoing): item is Message {
  return "seq" in item;
}

/** The changes that stand above a row, and below it where it is the last one. */
function changesAt(shown: Shown, index: number): { above: readonly GroupChange[]; below: readonly GroupChange[] } {
  const { messages, outgoing, changes, hasNewer } = shown;
  // What is on its way comes after all that has happened.
  const seqAt = (place: number) => (place < 0 ? -1 : (messages[place]?.seq ?? Number.POSITIVE_INFINITY));
  const between = (low: number, high: number) =>
    changes.filter(({ afterSeq }) => afterSeq >= seqAt(low) && afterSeq < seqAt(high));
  const isLast = index === messages.length - 1 && outgoing.length === 0 && !hasNewer;
  return { above: between(index - 1, index), below: isLast ? between(index, index + 1) : [] };
}

function timeOf(item: Message | Outgoing): number {
  return isMessage(item) ? item.sentAt : item.createdAt;
}

export function MessageList({
  conversation,
  other,
  shown,
  target,
  isReturn,
  loadOlder,
  loadNewer,
  onReply,
  onJump,
}: {
  conversation: ConversationState;
  other: string;
  shown: Shown;
  target: Target | undefined;
  /** Whether the person comes from an older part, to the newest: then what is not read is passed by. */
  isReturn: boolean;
  loadOlder: () => Promise<void>;
  loadNewer: () => Promise<void>;
  onReply: (message: Message) => void;
  onJump: (messageId: string, seq?: number) => void;
}) {
  const { texts, number } = useI18n();
  const { client, userId } = useChat();
  const scroller = useRef<HTMLDivElement>(null);
  const latest = useRef(shown);
  latest.current = shown;
  const { messages, outgoing, hasOlder, hasNewer } = shown;
  const count = messages.length + outgoing.length;
  // As it was when the conversation was opened: the line stays while one reads on.
  const [firstUnread] = useState(() => {
    const { readSeq, unreadCount } = conversation;
    return unreadCount > 0
      ? messages.find((message) => message.seq > readSeq && message.senderId !== userId)?.seq
      : undefined;
  });

  const getItemKey = useCallback(
    (index: number) => {
      const item = itemAt(latest.current, index);
      if (!item) {
        return index;
      }
      // The same before and after the service has confirmed it.
      return `${isMessage(item) ? item.senderId : userId}/${item.clientMessageId}`;
    },
    [userId],
  );
  const virtualizer = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey,
    anchorTo: "end",
    followOnAppend: true,
    scrollEndThreshold: END_MARGIN,
    overscan: 8,
    paddingStart: 16,
    paddingEnd: 8,
  });
  const rows = virtualizer.getVirtualItems();
  const first = rows[0]?.index ?? 0;
  const last = rows.at(-1)?.index ?? 0;

  // Where one begins to read: at what is new, at what one came for, or at the end.
  const begun = useRef(false);
  const wasAtEnd = useRef(false);
  const lastTop = useRef(0);
  const [isBegun, setIsBegun] = useState(false);
  useLayoutEffect(() => {
    if (begun.current || count === 0) {
      return;
    }
    begun.current = true;
    // After the scroll that follows has been done.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        wasAtEnd.current = virtualizer.isAtEnd(END_MARGIN);
        setIsBegun(true);
      }),
    );
    performance.mark("chat-messages-shown");
    const unreadIndex = messages.findIndex((message) => message.seq === firstUnread);
    if (target) {
      return;
    }
    if (unreadIndex >= 0 && !isReturn) {
      virtualizer.scrollToIndex(unreadIndex, { align: "start" });
    } else {
      virtualizer.scrollToEnd();
    }
  }, [count, messages, firstUnread, target, isReturn, virtualizer]);

  // Who is at the end stays there when the list gets lower, as when a phone shows its keyboard.
  const newest = outgoing.at(-1)?.clientMessageId;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what has come, or was written, moves the end
  useLayoutEffect(() => {
    if (begun.current && wasAtEnd.current) {
      virtualizer.scrollToEnd();
    }
  }, [count, virtualizer]);
  useLayoutEffect(() => {
    if (begun.current && newest) {
      wasAtEnd.current = true;
      virtualizer.scrollToEnd();
    }
  }, [newest, virtualizer]);
  useEffect(() => {
    const { current } = scroller;
    if (!current) {
      return;
    }
    const observer = new ResizeObserver(() => {
      if (begun.current && wasAtEnd.current) {
        virtualizer.scrollToEnd();
      }
    });
    observer.observe(current);
    return () => observer.disconnect();
  }, [virtualizer]);

  const [marked, setMarked] = useState<string>();
  useEffect(() => {
    if (!target) {
      return;
    }
    const index = latest.current.messages.findIndex((message) => message.messageId === target.messageId);
    if (index >= 0) {
      virtualizer.scrollToIndex(index, { align: "center" });
      setMarked(target.messageId);
      const timer = setTimeout(() => setMarked(undefined), 2_500);
      return () => clearTimeout(timer);
    }
    return undefined;
  }, [target, virtualizer]);

  // Before the list has found its place, what would be at the top of it is not what one sees.
  const isPlaced = isBegun && virtualizer.range !== null;
  const older = useMore(isPlaced && hasOlder && first < LOAD_AHEAD, loadOlder);
  const newer = useMore(isPlaced && hasNewer && last > count - LOAD_AHEAD, loadNewer);

  // What is seen is read, by who looks at the page.
  const lastSeen = isPlaced ? Math.min(virtualizer.range?.endIndex ?? -1, messages.length - 1) : -1;
  const seenSeq = messages[lastSeen]?.seq ?? 0;
  useEffect(() => {
    const mark = () => {
      if (document.visibilityState === "visible" && document.hasFocus() && seenSeq > 0) {
        client.markRead(conversation.conversationId, seenSeq);
      }
    };
    mark();
    addEventListener("focus", mark);
    document.addEventListener("visibilitychange", mark);
    return () => {
      removeEventListener("focus", mark);
      document.removeEventListener("visibilitychange", mark);
    };
  }, [client, conversation.conversationId, seenSeq]);

  const isAtEnd = !hasNewer && virtualizer.isAtEnd(END_MARGIN);
  const { unreadCount, group } = conversation;
  let others: readonly string[] = [other];
  if (group) {
    others = hasManyMembers(group) ? [] : conversation.memberIds.filter((member) => member !== userId);
  }
  const readSeqs = others.map((member) => conversation.readSeqs.get(member) ?? 0);
  const readersOf = (seq: number) => readSeqs.filter((readSeq) => readSeq >= seq).length;
  let { beginning } = texts;
  if (group) {
    // Who is not shown how it was made came later.
    const isWhole = shown.changes.some((change) => change.action === "created");
    beginning = isWhole ? texts.beginningOfGroup : texts.beginningOfMember;
  }
  return (
    <div className="messages">
      <div
        className="scroller"
        ref={scroller}
        role="log"
        aria-live="off"
        aria-label={texts.messages(group?.name ?? other)}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        onKeyDown={(event) => {
          moveFocus(event);
          // The browser's own way there is an animation, which ends wherever a row turns out higher than was thought.
          if (isPlainKey(event, "End")) {
            event.preventDefault();
            wasAtEnd.current = true;
            virtualizer.scrollToEnd();
          } else if (isPlainKey(event, "Home")) {
            event.preventDefault();
            wasAtEnd.current = false;
            virtualizer.scrollToIndex(0, { align: "start" });
          }
        }}
        onScroll={({ currentTarget: { scrollTop } }) => {
          // Only who scrolls up leaves the end: that there is more below may be since it has just come.
          if (virtualizer.isAtEnd(END_MARGIN)) {
            wasAtEnd.current = true;
          } else if (scrollTop < lastTop.current) {
            wasAtEnd.current = false;
          }
          lastTop.current = scrollTop;
        }}
      >
        {older.state !== "idle" && hasOlder && first < LOAD_AHEAD && (
          <p className="loading-older" role="status">
            {older.state === "loading" ? texts.loadingHistory : texts.cannotLoad}{" "}
            {older.state === "failed" && (
              <button type="button" className="link" onClick={older.retry}>
                {texts.tryAgain}
              </button>
            )}
          </p>
        )}
        {count === 0 && shown.changes.length === 0 && !hasOlder && <Empty title={texts.nothingSaid} />}
        {count === 0 && shown.changes.length > 0 && (
          <div className="changes">
            <p className="beginning">{beginning}</p>
            <Changes changes={shown.changes} since={undefined} />
          </div>
        )}
        <div className="height" style={{ height: virtualizer.getTotalSize() }}>
          {rows.map((row) => {
            const item = itemAt(shown, row.index);
            if (!item) {
              return undefined;
            }
            const before = row.index > 0 ? itemAt(shown, row.index - 1) : undefined;
            const after = itemAt(shown, row.index + 1);
            const { above, below } = changesAt(shown, row.index);
            const isInterrupted = changesAt(shown, row.index + 1).above.length > 0;
            const isOwn = isMessage(item) && item.senderId === userId;
            const kind: RowKind = {
              isDirect: !group,
              beginning: row.index === 0 && !hasOlder ? beginning : undefined,
              since: before && timeOf(before),
              isFirstOfGroup: above.length > 0 || !before || !belongTogether(before, item, userId),
              isLastOfGroup: isInterrupted || !after || !belongTogether(item, after, userId),
              isFirstUnread: isMessage(item) && item.seq === firstUnread,
              isMarked: isMessage(item) && item.messageId === marked,
              readers: isOwn ? readersOf(item.seq) : 0,
              readersMax: isOwn ? others.length : 0,
            };
            return (
              <div
                key={row.key}
                ref={virtualizer.measureElement}
                data-index={row.index}
                className="row-place"
                style={{ transform: `translateY(${row.start}px)` }}
              >
                <MessageRow item={item} kind={kind} above={above} below={below} onReply={onReply} onJump={onJump} />
              </div>
            );
          })}
        </div>
      </div>
      <p className="loading-newer" role="status">
        {newer.state === "failed" && hasNewer && last > count - LOAD_AHEAD && (
          <>
            {texts.cannotLoadNewer}{" "}
            <button type="button" className="link" onClick={newer.retry}>
              {texts.tryAgain}
            </button>
          </>
        )}
      </p>
      {!isAtEnd && (
        <button
          type="button"
          className="to-newest"
          aria-label={unreadCount > 0 ? texts.jumpToNewestUnread(number.format(unreadCount)) : texts.jumpToNewest}
          onClick={() => virtualizer.scrollToEnd({ behavior: calm() ? "auto" : "smooth" })}
        >
          <Icon name="down" />
          {unreadCount > 0 && <span className="badge">{number.format(unreadCount)}</span>}
        </button>
      )}
    </div>
  );
}

/** Loads more as long as it is wanted, one page at a time; after a failure, when one says so or the network is back. */
function useMore(isWanted: boolean, load: () => Promise<void>) {
  const { connection } = useStore(useChat().client.status);
  const [state, setState] = useState<"idle" | "loading" | "failed">("idle");
  // biome-ignore lint/correctness/useExhaustiveDependencies: another connection is a reason to try again
  useEffect(() => setState((before) => (before === "failed" ? "idle" : before)), [connection]);
  useEffect(() => {
    if (isWanted && state === "idle") {
      setState("loading");
      load().then(
        () => setState("idle"),
        () => setState("failed"),
      );
    }
  }, [isWanted, load, state]);
  return { state, retry: () => setState("idle") };
}

function belongTogether(one: Message | Outgoing, other: Message | Outgoing, userId: string): boolean {
  const senderOf = (item: Message | Outgoing) => (isMessage(item) ? item.senderId : userId);
  return (
    senderOf(one) === senderOf(other) &&
    timeOf(other) - timeOf(one) < GROUP_TIME &&
    isSameDay(timeOf(one), timeOf(other))
  );
}

/** Whether a key was pressed by itself; with Shift it selects. */
function isPlainKey(event: KeyboardEvent, key: string): boolean {
  return event.key === key && !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey;
}

/** Goes from message to message by the arrow keys. */
function moveFocus(event: KeyboardEvent<HTMLDivElement>): void {
  const step = isPlainKey(event, "ArrowDown") ? 1 : isPlainKey(event, "ArrowUp") ? -1 : 0;
  if (step === 0) {
    return;
  }
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>(".message")];
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = here < 0 ? rows.at(-1) : rows[here + step];
  if (next) {
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

/** Whether the person wants nothing to move by itself. */
function calm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
