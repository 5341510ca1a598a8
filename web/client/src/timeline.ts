/**
 * What a client knows of one conversation, and the rules by which it learns. No IO, no clock.
 *
 * Every change has a revision, 1, 2, 3 …, and the *cursor* is the revision up to which all of them are known. Live events are
 * hints: they may be lost, repeated and reordered, so one only moves the cursor when nothing is missing before it. What
 * arrives above a gap is shown at once, in the order of the seqs; only the cursor waits. An answer of `SyncConversations`
 * closes gaps. What is known only ever grows, by the greater state revision, seq or read position, so that in whatever order
 * hints and answers come, the same things shown follow from the same things known.
 *
 * A conversation starts *closed*: a line of a list, with a count of what is unread. Opened, it gets a cursor from a sync,
 * then its newest page, and shows messages from then on.
 *
 * The Rust client has the same rules; the scenarios in `shared/client/scenarios` hold both to them.
 */

import type {
  Change,
  Conversation,
  ConversationSettings,
  ConversationSync,
  Cursor,
  Group,
  GroupChange,
  GroupRole,
  LastMessage,
  Member,
  Message,
  Page,
} from "./model.ts";
import { Roster } from "./roster.ts";

/** Hints above a gap that are kept; a client that misses more has to sync anyway. */
export const HINTS_MAX = 1_000;
/** Where counts of unread messages end: this many or more. */
export const UNREAD_MAX = 1_000;

/** The length of an excerpt, in characters. */
const EXCERPT_CHARS = 140;

/**
 * How much of a conversation a client has: a line of a list; wanted, so that a sync has to give it a cursor; with a cursor,
 * so that its newest page has to be loaded; history.
 */
export type Phase = "closed" | "starting" | "paging" | "loaded";

/** What an event or an answer means for the cursor: nothing is missing below anything that was heard of, or something is. */
export type Step = "whole" | "gap";

/** What the service counted: above `readSeq` and up to `seq`, so many messages of others are unread. */
interface Counted {
  readonly readSeq: number;
  readonly seq: number;
  readonly unread: number;
}

const NOTHING_COUNTED: Counted = { readSeq: -1, seq: 0, unread: 0 };

/** Whether this is what the service says later. Positions and seqs only grow; while both stay, a count only falls. */
function isAfter(counted: Counted, other: Counted): boolean {
  if (counted.readSeq !== other.readSeq) {
    return counted.readSeq > other.readSeq;
  }
  return counted.seq === other.seq ? counted.unread < other.unread : counted.seq > other.seq;
}

/** A conversation as a program shows it. What did not change since the last one is the same object. */
export interface ConversationState {
  readonly conversationId: string;
  readonly kind: Conversation["kind"];
  /** User ids, sorted. */
  readonly memberIds: readonly string[];
  /** The greatest seq that each member has marked as read, by user id. */
  readonly readSeqs: ReadonlyMap<string, number>;
  /** The greatest seq that has reached a device of each user's, where they have said so; what is read has as well. */
  readonly deliveredSeqs: ReadonlyMap<string, number>;
  /** What it is beyond a conversation, if it is a group; with what the user is in it. */
  readonly group: Group | undefined;
  /** The roles of the members that are known, by user id. */
  readonly roles: ReadonlyMap<string, GroupRole>;
  /** What it is to the user alone. */
  readonly settings: ConversationSettings;
  /** Whether the user has hidden it, and nothing was said since. */
  readonly isHidden: boolean;
  readonly createdAt: number;
  readonly lastActivityAt: number;
  readonly lastMessage: LastMessage | undefined;
  /** Messages of others that the user has not read; 1,000 means that many or more. */
  readonly unreadCount: number;
  /** The greatest seq that the user has marked as read. */
  readonly readSeq: number;
  /** Whether history was loaded. */
  readonly isLoaded: boolean;
  /** Whether nothing is missing below anything that was heard of. */
  readonly isWhole: boolean;
  /** Whether there may be messages older than those that are shown. */
  readonly hasOlder: boolean;
  /** All known messages, by increasing seq. */
  readonly messages: readonly Message[];
  /** How the group changed, as far as history was loaded, by increasing revision. */
  readonly changes: readonly GroupChange[];
}

/** The line of a list as a device keeps it. */
export interface KeptLine {
  /** As the service counted it last. */
  readonly conversation: Conversation;
  /** The greatest seq that the user has marked as read, and the greatest one that was marked here. */
  readonly readSeq: number;
  readonly markedSeq: number;
  /** Seqs of messages of others that were heard of above what is counted. */
  readonly heard: readonly number[];
}

/** A loaded conversation as a device keeps it. */
export interface KeptTimeline {
  readonly cursor: Cursor;
  readonly cursorSeq: number;
  readonly knownFrom: number;
  readonly hasOlder: boolean;
  readonly fromSeq: number;
  readonly messages: readonly Message[];
  /** Absent in what was kept before there were groups. */
  readonly changes?: readonly GroupChange[];
}

/** What a client knows of one conversation. */
export class Timeline {
  readonly conversationId: string;
  #userId: string;
  #kind: Conversation["kind"] = "unknown";
  #createdAt = 0;
  readonly #roster = new Roster();
  #group: Group | undefined;
  /** Members or not: news of a new member may come early. */
  #readSeqs: ReadonlyMap<string, number> = new Map();
  #deliveredSeqs: ReadonlyMap<string, number> = new Map();
  #settings = NO_SETTINGS;
  #phase: Phase = "closed";
  #joinedRevision = 0;
  #epoch = 0;
  /** Everything above this and up to the cursor came as changes; up to this, as pages, which tell nothing of voids. */
  #knownFrom = 0;
  #cursor = 0;
  /** The greatest seq known at a cursor that a sync gave. */
  #cursorSeq = 0;
  /** The greatest revision heard of. */
  #head = 0;
  /** By seq, then by id: two messages with one seq, which no correct service hands out, are both seen. */
  #messages: readonly Message[] = [];
  #voids = new Set<number>();
  #changes: readonly GroupChange[] = NO_CHANGES;
  /** Hints above a gap: revision → the revision before it. */
  #hints = new Map<number, number>();
  #lastMessage: LastMessage | undefined;
  #lastStateRevision = 0;
  #lastActivityAt = 0;
  #counted = NOTHING_COUNTED;
  #readSeq = 0;
  #markedSeq = 0;
  /** Seqs of others' messages above what is counted and read, while there is no history to count in. */
  #heard = new Set<number>();
  #hasOlder = false;
  /** Where the pages begin: what changes below is no news while that part of history is not loaded. */
  #fromSeq = 0;
  #state: ConversationState | undefined;

  constructor(userId: string, conversation: Conversation) {
    this.#userId = userId;
    this.conversationId = conversation.conversationId;
    this.takeConversation(conversation);
  }

  get phase(): Phase {
    return this.#phase;
  }

  get isLoaded(): boolean {
    return this.#phase === "loaded";
  }

  /** Whether history was loaded and nothing is missing below anything that was pushed or synced. */
  get isWhole(): boolean {
    return this.isLoaded && this.#cursor >= this.#head;
  }

  /** What to sync from. */
  get cursor(): Cursor {
    return {
      conversationId: this.conversationId,
      joinedRevision: this.#joinedRevision,
      revision: this.#cursor,
      epoch: this.#epoch,
    };
  }

  get head(): number {
    return this.#head;
  }

  /** The revision above which every change up to the cursor is known, voids included. */
  get knownFrom(): number {
    return this.#knownFrom;
  }

  /** The revisions above `knownFrom` that hold nothing, in order. */
  get voids(): readonly number[] {
    return [...this.#voids].sort((one, other) => one - other);
  }

  /** The seq below which older history goes on. */
  get oldestSeq(): number | undefined {
    return this.#messages[0]?.seq;
  }

  /** What was marked as read here and is not known to have reached the service. */
  get unsentMark(): number | undefined {
    return this.#markedSeq > Math.max(this.#counted.readSeq, 0) ? this.#markedSeq : undefined;
  }

  /**
   * The newest seq that was heard of: of the newest message, or what was counted where there is none to show, as after history
   * was cleared.
   */
  get newestSeq(): number {
    return this.#lastMessage?.seq ?? this.#counted.seq;
  }

  /** As a program shows it. */
  get state(): ConversationState {
    this.#state ??= {
      conversationId: this.conversationId,
      kind: this.#kind,
      memberIds: this.#roster.memberIds,
      readSeqs: this.#readSeqs,
      deliveredSeqs: this.#deliveredSeqs,
      group: this.#groupOfUser(),
      roles: this.#roster.roles,
      settings: this.#settings,
      isHidden: this.newestSeq <= (this.#settings.hiddenThroughSeq ?? -1),
      createdAt: this.#createdAt,
      lastActivityAt: this.#lastActivityAt,
      lastMessage: this.#lastMessage,
      unreadCount: this.#unreadCount(),
      readSeq: this.#readSeq,
      isLoaded: this.isLoaded,
      isWhole: this.isWhole,
      hasOlder: this.#hasOlder,
      messages: this.isLoaded ? this.#messages : NO_MESSAGES,
      changes: this.isLoaded ? this.#changes : NO_CHANGES,
    };
    return this.#state;
  }

  /** The line of a list as a device keeps it. */
  get line(): KeptLine {
    const { readSeq, seq, unread } = this.#counted;
    const floor = Math.max(this.#readSeq, seq);
    const loaded = this.isLoaded ? this.#messages.slice(lowerBound(this.#messages, (it) => it.seq <= floor)) : [];
    const others = loaded.filter((message) => message.senderId !== this.#userId);
    const readSeqOf = (userId: string) =>
      userId === this.#userId ? Math.max(readSeq, 0) : (this.#readSeqs.get(userId) ?? 0);
    return {
      conversation: {
        conversationId: this.conversationId,
        kind: this.#kind,
        members: this.#roster.memberIds.map((userId) => {
          const role = this.#roster.roles.get(userId);
          return { userId, readSeq: readSeqOf(userId), ...(role && { role }) };
        }),
        ...(this.#group && { group: this.#group }),
        // Shown until the feed tells it anew, perhaps of another life of the databases.
        settings: { ...this.#settings, revision: 0 },
        revision: this.#head,
        countedSeq: seq,
        unreadCount: unread,
        ...(this.#lastMessage && { lastMessage: this.#lastMessage }),
        createdAt: this.#createdAt,
        lastActivityAt: this.#lastActivityAt,
      },
      readSeq: this.#readSeq,
      markedSeq: this.#markedSeq,
      heard: this.isLoaded ? others.slice(0, UNREAD_MAX).map((message) => message.seq) : [...this.#heard],
    };
  }

  /** Takes what a device has kept of the line, besides what the service had counted. */
  restoreLine({ conversation, readSeq = 0, markedSeq = 0, heard }: KeptLine): void {
    // Who was known as of when is not kept: the changes since the cursor are news, also those below what was heard of.
    this.#roster.clear();
    this.#roster.takeList(conversation.members, undefined, this.#userId);
    this.#readSeq = Math.max(this.#readSeq, readSeq);
    this.#markedSeq = Math.max(this.#markedSeq, markedSeq);
    for (const seq of heard) {
      this.#heard.add(seq);
    }
    this.#trimHeard();
    this.#changed();
  }

  /** As a device keeps it: so many of the newest messages at most; nothing unless history was loaded. */
  keep(messagesMax: number): KeptTimeline | undefined {
    if (!this.isLoaded) {
      return undefined;
    }
    // What lies above a gap comes again: the cursor stands below it.
    const messages = this.#messages.slice(-messagesMax);
    const isCut = messages.length < this.#messages.length;
    return {
      cursor: this.cursor,
      cursorSeq: this.#cursorSeq,
      knownFrom: this.#knownFrom,
      hasOlder: this.#hasOlder || isCut,
      fromSeq: isCut ? (messages[0]?.seq ?? 0) : this.#fromSeq,
      messages,
      changes: isCut ? this.#changes.filter(({ afterSeq }) => afterSeq >= (messages[0]?.seq ?? 0)) : this.#changes,
    };
  }

  /** Takes what a device has kept. What it lacks is what a sync from its cursor tells. */
  restore(kept: KeptTimeline): void {
    if (this.isLoaded) {
      return;
    }
    this.#forget();
    this.#phase = "loaded";
    this.#joinedRevision = kept.cursor.joinedRevision;
    this.#epoch = kept.cursor.epoch;
    this.#cursor = kept.cursor.revision;
    this.#cursorSeq = kept.cursorSeq;
    this.#knownFrom = kept.knownFrom;
    this.#hasOlder = kept.hasOlder;
    this.#fromSeq = kept.fromSeq;
    this.#heard.clear();
    for (const message of kept.messages) {
      this.#takeMessage(message);
    }
    this.#takeChanges(kept.changes ?? []);
    this.#advance();
    this.#changed();
  }

  /** Names the user, once that is known. */
  takeUserId(userId: string): void {
    this.#userId = userId;
    const readSeq = this.#readSeqs.get(userId) ?? 0;
    this.#readSeq = Math.max(this.#readSeq, readSeq);
    this.#counted = { ...this.#counted, readSeq: Math.max(this.#counted.readSeq, readSeq) };
    this.#changed();
  }

  /** Wants history. */
  open(): void {
    if (this.#phase === "closed") {
      this.#phase = "starting";
    }
  }

  /** Gives history up and keeps the line of the list. */
  close(): void {
    const floor = Math.max(this.#counted.seq, this.#readSeq);
    const others = this.#messages.filter((message) => message.seq > floor && message.senderId !== this.#userId);
    this.#forget();
    this.#heard = new Set(others.slice(0, UNREAD_MAX).map((message) => message.seq));
    this.#phase = "closed";
    this.#joinedRevision = 0;
    this.#epoch = 0;
    this.#knownFrom = 0;
    this.#cursor = 0;
    this.#changed();
  }

  /** Takes what the feed or a list says of the conversation. Answers whether less or more of it is to be seen now. */
  takeConversation(conversation: Conversation): boolean {
    this.#head = Math.max(this.#head, conversation.revision);
    this.#kind = conversation.kind;
    this.#createdAt = conversation.createdAt;
    this.#lastActivityAt = Math.max(this.#lastActivityAt, conversation.lastActivityAt);
    const hasWindowMoved = conversation.settings !== undefined && this.takeSettings(conversation.settings);
    if (conversation.lastMessage) {
      this.#takeLastMessage(conversation.lastMessage, 0);
    }
    this.#takeMembers(conversation.members, conversation.group);
    this.takeCounts(this.#ownPosition(conversation.members), conversation.unreadCount, conversation.countedSeq);
    return hasWindowMoved;
  }

  /**
   * Takes what it is to the user alone, unless something newer is known. Answers whether less or more of it is to be seen now.
   */
  takeSettings(settings: ConversationSettings): boolean {
    if (settings.revision < this.#settings.revision) {
      return false;
    }
    const before = this.#settings.visibleFromSeq;
    this.#settings = settings;
    const edge = settings.visibleFromSeq;
    if (edge > before) {
      this.#dropThrough(edge);
    }
    this.#changed();
    return edge !== before;
  }

  /** Drops what the user does not see any more. */
  #dropThrough(edge: number): void {
    const cut = lowerBound(this.#messages, (message) => message.seq <= edge);
    if (cut > 0) {
      this.#messages = this.#messages.slice(cut);
      this.#hasOlder = false;
    }
    this.#changes = this.#changes.slice(lowerBound(this.#changes, (change) => change.afterSeq < edge));
    for (const seq of this.#heard) {
      if (seq <= edge) {
        this.#heard.delete(seq);
      }
    }
    if (this.#lastMessage && this.#lastMessage.seq <= edge) {
      this.#lastMessage = undefined;
      this.#lastStateRevision = 0;
    }
  }

  /** Takes a page of history: the newest when there is none yet, or one of older messages. */
  takePage(page: Page): void {
    if (this.#phase !== "paging" && this.#phase !== "loaded") {
      return;
    }
    const oldest = this.oldestSeq;
    const isOlder = oldest === undefined || page.messages.every((message) => message.seq < oldest);
    if (!this.isLoaded || isOlder) {
      this.#hasOlder = page.hasMoreBefore;
      const first = page.messages[0];
      if (first) {
        this.#fromSeq = this.#hasOlder ? first.seq : 0;
      }
    }
    this.#phase = "loaded";
    if (oldest !== undefined && oldest < this.#fromSeq) {
      this.#messages = this.#messages.filter((message) => message.seq >= this.#fromSeq);
    }
    if (isOlder && oldest !== undefined) {
      // A page below all that is there needs no search.
      const shown = page.messages.filter((message) => message.seq > this.#settings.visibleFromSeq);
      this.#messages = [...shown, ...this.#messages];
      shown.forEach((message) => {
        this.#hearOf(message);
      });
    } else {
      for (const message of page.messages) {
        this.#takeMessage(message);
      }
    }
    if (this.#changes.some(({ afterSeq }) => afterSeq < this.#fromSeq)) {
      this.#changes = this.#changes.filter(({ afterSeq }) => afterSeq >= this.#fromSeq);
    }
    this.#takeChanges(page.changes);
    this.#heard.clear();
    this.#changed();
  }

  /** Takes a change of the group that a live event tells of, with the revision before it. */
  takePushedChange(
    change: GroupChange,
    group: Group | undefined,
    members: readonly Member[],
    previousRevision: number,
  ): Step {
    this.#roster.takeChange(change, members, group?.stateRevision ?? change.revision);
    for (const member of members) {
      this.#raiseReadSeq(member.userId, member.readSeq);
      this.takeDeliveredSeq(member.userId, member.deliveredSeq ?? 0);
    }
    this.#takeGroup(group);
    this.#takeChanges([change]);
    this.#changed();
    if (this.#phase !== "closed" && (previousRevision > 0 || change.revision === 1)) {
      this.#hints.set(change.revision, previousRevision);
    }
    return this.takePoke(change.revision);
  }

  /** Takes some of a group's members, as of a state that was known when they were asked for. */
  takeGroupMembers(members: readonly Member[], asOf: number): void {
    // Unless another life of the databases has begun meanwhile.
    if (asOf <= (this.#group?.stateRevision ?? -1)) {
      this.#roster.takeSome(members, asOf);
      this.#changed();
    }
  }

  /** Takes a message that a live event tells of, with the revision before it. */
  takePushedMessage(message: Message, revision: number, previousRevision: number): Step {
    this.#takeMessage(message);
    // Without the revision before it, nothing says what else is missing.
    if (this.#phase !== "closed" && (previousRevision > 0 || revision === 1)) {
      this.#hints.set(revision, previousRevision);
    }
    return this.takePoke(revision);
  }

  /** Takes the news that there is a revision, without what it holds. */
  takePoke(revision: number): Step {
    this.#head = Math.max(this.#head, revision);
    return this.#advance();
  }

  /** Takes a message of the user's own from the answer to its call. Whether the others were told is another question. */
  takeSentMessage(message: Message): void {
    this.#takeMessage(message);
  }

  /** Takes what has reached a device of a member's. */
  takeDeliveredSeq(userId: string, deliveredSeq: number): void {
    if (deliveredSeq > (this.#deliveredSeqs.get(userId) ?? 0)) {
      this.#deliveredSeqs = new Map(this.#deliveredSeqs).set(userId, deliveredSeq);
      this.#changed();
    }
  }

  /** Takes a read position. */
  takeReadPosition(userId: string, readSeq: number, unreadCount: number | undefined, countedSeq: number): void {
    this.#raiseReadSeq(userId, readSeq);
    if (userId === this.#userId) {
      if (unreadCount === undefined) {
        this.#readSeq = Math.max(this.#readSeq, readSeq);
      } else {
        this.takeCounts(readSeq, unreadCount, countedSeq);
      }
    }
    this.#changed();
  }

  /** Takes how many messages of others are unread above the user's read position and up to `countedSeq`. */
  takeCounts(readSeq: number, unreadCount: number, countedSeq: number): void {
    const counted = { readSeq, seq: countedSeq, unread: unreadCount };
    if (isAfter(counted, this.#counted)) {
      this.#counted = counted;
    }
    this.#readSeq = Math.max(this.#readSeq, readSeq);
    this.#trimHeard();
    this.#changed();
  }

  /**
   * Marks messages as read, up to a seq or to the newest that is shown, whichever is less. Answers the seq to tell the
   * service of, unless that much is read already.
   */
  markRead(seq: number): number | undefined {
    const through = Math.min(seq, this.#shownSeq());
    if (through <= this.#readSeq) {
      return undefined;
    }
    this.#readSeq = through;
    this.#markedSeq = through;
    this.#trimHeard();
    this.#changed();
    return through;
  }

  /** Takes the answer to a sync that was asked from `asked`, however much later it comes. */
  takeSync(asked: Cursor, sync: ConversationSync): Step {
    const { cursor } = sync;
    if (this.#phase === "closed" || asked.joinedRevision !== this.#joinedRevision || asked.epoch !== this.#epoch) {
      // The membership that was asked about has been replaced meanwhile.
      return this.#advance();
    }
    const movesOn = cursor.revision > 0 || !sync.incomplete;
    // To name a conversation without history is to ask for a start: nothing new, when all of it is known.
    const isKnown = this.isLoaded && asked.revision === 0 && cursor.revision <= this.#cursor;
    const isStart = sync.reset && !isKnown;
    if (isStart) {
      this.#restart(cursor);
    }
    if (this.#phase === "starting" && movesOn) {
      this.#phase = "paging";
    }
    this.#joinedRevision = cursor.joinedRevision;
    this.#epoch = cursor.epoch;
    this.#head = Math.max(this.#head, sync.revision);
    this.#cursorSeq = Math.max(this.#cursorSeq, sync.cursorSeq);
    // Before the list, which is newer: nobody whom it leaves out comes back by them. What pages tell is older, or synced as well.
    this.#roster.takeChanges(sync.changes.flatMap((it) => (it.kind === "group" ? it.change : [])));
    this.#takeMembers(sync.members, sync.group, isStart);
    this.takeCounts(this.#ownPosition(sync.members), sync.unreadCount, sync.countedSeq);
    for (const change of sync.changes) {
      this.#takeChange(change);
    }
    if (asked.revision <= this.#cursor) {
      this.#cursor = Math.max(this.#cursor, cursor.revision);
    }
    return this.#advance();
  }

  #takeChange(change: Change): void {
    if (change.kind === "message") {
      this.#takeMessage(change.message);
    } else if (change.kind === "group") {
      this.#takeChanges([change.change]);
      this.#changed();
    } else if (change.kind === "void") {
      this.#voids.add(change.revision);
    }
    // What a later version of the service tells is stepped over.
  }

  /** Forgets what was cached and goes on from here. Nothing is shown until the newest page is loaded. */
  #restart(cursor: Cursor): void {
    this.#forget();
    const isAnother = this.#joinedRevision !== cursor.joinedRevision || this.#epoch !== cursor.epoch;
    const isFirst = this.#joinedRevision === 0 && this.#epoch === 0;
    if (isAnother && !isFirst) {
      // Another membership, or another life of the databases.
      this.#forgetNumbers();
    }
    this.#counted = NOTHING_COUNTED;
    this.#phase = "starting";
    this.#knownFrom = cursor.revision;
    this.#cursor = cursor.revision;
    this.#head = cursor.revision;
  }

  /** Another life of the databases begins. What has a cursor finds out by itself, and starts over. */
  forgetFormerLife(): void {
    this.#settings = NO_SETTINGS;
    this.#changed();
    if (this.#phase === "closed") {
      this.#forgetNumbers();
      this.#counted = NOTHING_COUNTED;
      this.#head = 0;
      this.#heard.clear();
    }
  }

  /** Forgets what is told from older news by its number: what was read then is not read now. */
  #forgetNumbers(): void {
    this.#readSeq = 0;
    this.#markedSeq = 0;
    this.#readSeqs = new Map();
    this.#deliveredSeqs = new Map();
    this.#roster.clear();
    this.#group = undefined;
    this.#lastMessage = undefined;
    this.#lastStateRevision = 0;
  }

  #forget(): void {
    this.#messages = NO_MESSAGES;
    this.#changes = NO_CHANGES;
    this.#voids.clear();
    this.#heard.clear();
    this.#hints.clear();
    this.#cursorSeq = 0;
    this.#hasOlder = false;
    this.#fromSeq = 0;
  }

  #takeMessage(taken: Message): void {
    if (taken.seq <= this.#settings.visibleFromSeq) {
      return;
    }
    this.#hearOf(taken);
    if (this.#phase === "closed" || taken.seq < this.#fromSeq) {
      return;
    }
    const message = this.#quoting(taken);
    const place = this.#place(message);
    const atHand = this.#messages[place];
    if (atHand?.messageId === message.messageId) {
      const isNewer = message.stateRevision > atHand.stateRevision;
      const isFuller = message.stateRevision === atHand.stateRevision && lacksQuote(atHand) && !lacksQuote(message);
      if (isNewer || isFuller) {
        this.#messages = this.#messages.with(place, message);
      }
    } else {
      this.#messages = this.#messages.toSpliced(place, 0, message);
    }
    this.#changed();
  }

  /** A reply with what it quotes, if that is at hand: pushes do not bring it along. */
  #quoting(message: Message): Message {
    const { replyTo } = message;
    if (!replyTo || !lacksQuote(message)) {
      return message;
    }
    const quoted = this.#messages[lowerBound(this.#messages, (other) => other.seq < replyTo.seq)];
    if (quoted?.messageId !== replyTo.messageId) {
      return message;
    }
    const quote = { senderId: quoted.senderId, excerpt: excerpt(quoted.text) };
    return { ...message, replyTo: { ...replyTo, quote } };
  }

  /** What a list shows of a message. */
  #hearOf(message: Message): void {
    if (!this.#lastMessage || this.#lastMessage.seq <= message.seq) {
      this.#lastActivityAt = Math.max(this.#lastActivityAt, message.sentAt);
      this.#takeLastMessage(lastMessageOf(message), message.stateRevision);
    }
    if (!this.isLoaded && message.senderId !== this.#userId) {
      this.#heard.add(message.seq);
      this.#trimHeard();
    }
    this.#changed();
  }

  /** The first place whose message is not before this one. */
  #place(message: Message): number {
    return lowerBound(
      this.#messages,
      (other) => other.seq < message.seq || (other.seq === message.seq && other.messageId < message.messageId),
    );
  }

  #takeLastMessage(message: LastMessage, stateRevision: number): void {
    const last = this.#lastMessage;
    if (message.seq <= this.#settings.visibleFromSeq) {
      return;
    }
    if (!last || message.seq > last.seq || (message.seq === last.seq && stateRevision > this.#lastStateRevision)) {
      this.#lastMessage = message;
      this.#lastStateRevision = stateRevision;
    }
  }

  #takeChanges(changes: readonly GroupChange[]): void {
    if (this.#phase === "closed") {
      return;
    }
    for (const change of changes) {
      const place = lowerBound(this.#changes, (other) => other.revision < change.revision);
      if (
        change.afterSeq >= Math.max(this.#fromSeq, this.#settings.visibleFromSeq) &&
        this.#changes[place]?.revision !== change.revision
      ) {
        this.#changes = this.#changes.toSpliced(place, 0, change);
      }
    }
  }

  #takeGroup(group: Group | undefined): void {
    if (group && group.stateRevision > (this.#group?.stateRevision ?? -1)) {
      this.#group = group;
    }
  }

  /** The group with what the user is in it, which only lists of members say. The same one as long as neither changes. */
  #groupOfUser(): Group | undefined {
    const role = this.#roster.roles.get(this.#userId);
    if (this.#group && this.#group.role !== role) {
      this.#group = { ...this.#group, role };
    }
    return this.#group;
  }

  #takeMembers(members: readonly Member[], group: Group | undefined, isStart = false): void {
    this.#takeGroup(group);
    this.#roster.takeList(members, group, this.#userId, isStart);
    for (const member of members) {
      this.#raiseReadSeq(member.userId, member.readSeq);
      this.takeDeliveredSeq(member.userId, member.deliveredSeq ?? 0);
    }
  }

  /** The user's own read position, as a list of members tells it. Zero when it does not. */
  #ownPosition(members: readonly Member[]): number {
    return members.find((member) => member.userId === this.#userId)?.readSeq ?? 0;
  }

  #raiseReadSeq(userId: string, readSeq: number): void {
    const known = this.#readSeqs.get(userId);
    if (known === undefined || known < readSeq) {
      this.#readSeqs = new Map(this.#readSeqs).set(userId, readSeq);
    }
  }

  #unreadCount(): number {
    const { seq, unread } = this.#counted;
    let count = 0;
    if (this.#readSeq < seq) {
      const read = this.#othersBetween(this.#counted.readSeq, this.#readSeq);
      count = unread >= UNREAD_MAX ? UNREAD_MAX : Math.max(unread - read, 0);
    }
    const floor = Math.max(this.#readSeq, seq);
    if (this.isLoaded) {
      count += this.#othersBetween(floor, Number.MAX_SAFE_INTEGER);
    } else {
      for (const heard of this.#heard) {
        count += heard > floor ? 1 : 0;
      }
    }
    return Math.min(count, UNREAD_MAX);
  }

  /** How many messages of others are known above one seq and up to another; at most `UNREAD_MAX` are counted. */
  #othersBetween(above: number, through: number): number {
    let count = 0;
    for (let place = lowerBound(this.#messages, (message) => message.seq <= above); count < UNREAD_MAX; place += 1) {
      const message = this.#messages[place];
      if (!message || message.seq > through) {
        break;
      }
      count += message.senderId === this.#userId ? 0 : 1;
    }
    return count;
  }

  /** The greatest seq that may be marked as read: of a message that is shown, or known at the cursor of a sync. */
  #shownSeq(): number {
    const newest = this.isLoaded ? this.#messages.at(-1)?.seq : undefined;
    return Math.max(newest ?? this.#lastMessage?.seq ?? 0, this.#cursorSeq);
  }

  /** Drops what is counted or read from what was heard, and the newest above the bound of counts. */
  #trimHeard(): void {
    const floor = Math.max(this.#counted.seq, this.#readSeq);
    for (const seq of this.#heard) {
      if (seq <= floor) {
        this.#heard.delete(seq);
      }
    }
    if (this.#heard.size > UNREAD_MAX) {
      const kept = [...this.#heard].sort((one, other) => one - other).slice(0, UNREAD_MAX);
      this.#heard = new Set(kept);
    }
  }

  /** Moves the cursor over every hint that nothing is missing before. */
  #advance(): Step {
    if (this.#phase === "closed") {
      return "whole";
    }
    if (this.#hints.size > 0) {
      const hints = [...this.#hints].sort(([one], [other]) => one - other);
      // What is before one may be above another that leads there: again until none leads on.
      for (let moved = true; moved; ) {
        moved = false;
        for (const [revision, previous] of hints) {
          if (revision > this.#cursor && previous <= this.#cursor) {
            this.#cursor = revision;
            moved = true;
          }
        }
      }
      const left = hints.filter(([revision]) => revision > this.#cursor).slice(0, HINTS_MAX);
      this.#hints = new Map(left);
    }
    this.#head = Math.max(this.#head, this.#cursor);
    this.#changed();
    return this.#cursor < this.#head ? "gap" : "whole";
  }

  #changed(): void {
    this.#state = undefined;
  }
}

const NO_MESSAGES: readonly Message[] = [];
const NO_CHANGES: readonly GroupChange[] = [];
const NO_SETTINGS: ConversationSettings = {
  mutedUntil: 0,
  isArchived: false,
  isPinned: false,
  isMarkedUnread: false,
  visibleFromSeq: 0,
  revision: 0,
};

/** What a list shows of a message. */
export function lastMessageOf({ messageId, seq, senderId, sentAt, text }: Message): LastMessage {
  return { messageId, seq, senderId, excerpt: excerpt(text), sentAt };
}

/** Whether a message is a reply whose quote is still to be had. */
export function lacksQuote({ replyTo }: Message): boolean {
  return replyTo !== undefined && !replyTo.quote && !replyTo.isUnavailable;
}

/** How many items at the beginning fulfil a condition, which those that do come before all that do not. */
export function lowerBound<T>(items: readonly T[], isBefore: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(items[middle] as T)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

let segmenter: Intl.Segmenter | undefined;

/** The first characters of a text, on one line, cut between what is read as one character, as the service cuts them. */
export function excerpt(text: string): string {
  // No more than this can be shown, and to cut all of a long text into what is read as one takes long.
  const characters = Array.from(text.slice(0, EXCERPT_CHARS * 4));
  let length = characters.length;
  if (length > EXCERPT_CHARS) {
    segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
    length = 0;
    for (const { segment } of segmenter.segment(characters.slice(0, EXCERPT_CHARS * 2).join(""))) {
      const next = length + Array.from(segment).length;
      if (next > EXCERPT_CHARS) {
        break;
      }
      length = next;
    }
    length ||= EXCERPT_CHARS;
  }
  return characters
    .slice(0, length)
    .map((character) => (/\p{Cc}/u.test(character) ? " " : character))
    .join("");
}
