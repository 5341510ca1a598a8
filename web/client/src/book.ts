/**
 * All that a client knows of its user's friends and conversations, and the rules by which it learns and asks. No IO; time
 * comes as an argument, in milliseconds.
 */

import { Feed, type Key, type Moment } from "./feed.ts";
import type {
  Conversation,
  ConversationSettings,
  ConversationSync,
  Cursor,
  Friend,
  LiveEvent,
  Member,
  Message,
  Page,
  SyncAnswer,
  SyncRequest,
} from "./model.ts";
import { type ConversationState, type KeptLine, type KeptTimeline, type Step, Timeline } from "./timeline.ts";

/** Conversations in one sync, at most; the service refuses more. */
const CURSORS_MAX = 200;

/** What has to follow an event: nothing, a sync unless the gap closes by itself, or a sync at once. */
export type Wants = "nothing" | "gapSync" | "sync";

/** A call of a sync, and when it was asked. */
export interface Asked {
  readonly request: SyncRequest;
  readonly since: Moment;
}

/** History to be loaded, and the cursor that a sync gave: what the newest page must show. */
export interface Load {
  readonly conversationId: string;
  readonly cursor: Cursor;
  readonly since: Moment;
}

/** A conversation's line as a device keeps it, with its history if that was loaded. */
export interface KeptConversation extends KeptLine {
  /** `null` forgets the one that was kept. */
  readonly timeline?: KeptTimeline | null | undefined;
  /** When the conversation was last opened, in milliseconds since 1970; 0 for never. */
  readonly openedAt: number;
}

/** A sync: calls until nothing more is to be had now. */
interface CurrentSync {
  firstTurn: number;
  calls: number;
  named: Set<string>;
  /** Named and answered: what still moves is for the next sync. */
  settled: Set<string>;
  feedIsIncomplete: boolean;
}

function newSync(firstTurn: number): CurrentSync {
  return { firstTurn, calls: 0, named: new Set(), settled: new Set(), feedIsIncomplete: false };
}

/** All that a client knows, and what it has to ask next. */
export class Book {
  readonly #timelines = new Map<string, Timeline>();
  readonly #friends = new Map<string, Friend>();
  readonly #feed = new Feed();
  /** Conversations to open as soon as the feed names them. */
  readonly #wanted = new Set<string>();
  #userId = "";
  #syncs = 0;
  #advances = 0;

  // Which conversations are to be asked for. Only opened ones are.
  /** Those whose next change is still being written, and until when to wait for it. */
  readonly #waiting = new Map<string, number>();
  /** Those whose history is on its way. */
  readonly #loading = new Set<string>();
  /** Loaded but not synced since, or to be asked for whatever is known of them. */
  readonly #fresh = new Set<string>();
  /** When each was last named. */
  readonly #turns = new Map<string, number>();
  #turn = 0;
  #sync = newSync(0);

  /** Conversations that have changed since this was last asked, and whether friends have. */
  #changedIds = new Set<string>();
  #friendsChanged = false;

  get userId(): string {
    return this.#userId;
  }

  /** How many syncs were completed. */
  get syncs(): number {
    return this.#syncs;
  }

  /** How often a cursor moved: whether syncs get anywhere. */
  get advances(): number {
    return this.#advances;
  }

  get friends(): ReadonlyMap<string, Friend> {
    return this.#friends;
  }

  conversation(conversationId: string): ConversationState | undefined {
    return this.#timelines.get(conversationId)?.state;
  }

  conversationIds(): IterableIterator<string> {
    return this.#timelines.keys();
  }

  timeline(conversationId: string): Timeline | undefined {
    return this.#timelines.get(conversationId);
  }

  /** Whether anything is missing, apart from what the service said to wait for. */
  get hasGap(): boolean {
    return this.#feed.isBehind || this.#due().length > 0;
  }

  /** When the first of the waits for what is still being written is over. */
  get waitEnds(): number | undefined {
    return this.#waiting.size > 0 ? Math.min(...this.#waiting.values()) : undefined;
  }

  /** Whether loaded conversations should be synced now: enough for a call, or all that there are. */
  get hasFresh(): boolean {
    const isLoading =
      this.#loading.size > 0 || [...this.#timelines.values()].some((timeline) => timeline.phase === "paging");
    return this.#fresh.size >= CURSORS_MAX || (this.#fresh.size > 0 && !isLoading);
  }

  /** What has changed since the last time. */
  takeChanges(): { conversationIds: ReadonlySet<string>; friends: boolean } {
    const changes = { conversationIds: this.#changedIds, friends: this.#friendsChanged };
    this.#changedIds = new Set();
    this.#friendsChanged = false;
    return changes;
  }

  /** Takes what a device has kept. */
  restore(friends: readonly Friend[], conversations: readonly KeptConversation[]): void {
    if (this.#syncs > 0) {
      return;
    }
    for (const friend of friends) {
      if (!this.#friends.has(friend.userId)) {
        this.#feed.restore(`friend:${friend.userId}`);
        this.#putFriend(friend);
      }
    }
    for (const kept of conversations) {
      const { conversation, timeline } = kept;
      const { conversationId } = conversation;
      if (!this.#timelines.has(conversationId)) {
        this.#feed.restore(`membership:${conversationId}`);
        this.#putConversation(conversation);
        this.#change(conversationId, (it) => {
          it.restoreLine(kept);
        });
      }
      if (timeline) {
        this.#change(conversationId, (it) => {
          it.restore(timeline);
        });
        this.#fresh.add(conversationId);
      }
    }
  }

  /** Says who follows. */
  takeUserId(userId: string): void {
    if (this.#userId === userId) {
      return;
    }
    this.#userId = userId;
    for (const [id, timeline] of this.#timelines) {
      timeline.takeUserId(userId);
      this.#changedIds.add(id);
    }
  }

  /** Opens a conversation: its history is loaded and followed. Answers whether a sync has to follow. */
  open(conversationId: string): boolean {
    const timeline = this.#timelines.get(conversationId);
    if (!timeline) {
      const isNew = !this.#wanted.has(conversationId);
      this.#wanted.add(conversationId);
      return isNew;
    }
    if (timeline.phase !== "closed") {
      return false;
    }
    this.#change(conversationId, (it) => {
      it.open();
    });
    return true;
  }

  /** Closes a conversation: its history is forgotten, and only its line of the list is kept up to date. */
  close(conversationId: string): void {
    this.#wanted.delete(conversationId);
    this.#change(conversationId, (timeline) => {
      timeline.close();
    });
  }

  /** Takes a live event: a hint. */
  takeEvent({ conversationId: id, revision, previousRevision, feedRevision, happening }: LiveEvent): Wants {
    const isKnown = this.#timelines.has(id);
    switch (happening.kind) {
      case "welcome":
      // Nothing that is followed.
      case "joinRequested":
      // An error of this side's frames changes nothing.
      case "error":
        return "nothing";
      case "messageSent":
        if (isKnown) {
          return this.#afterStep(
            id,
            (it) => it.takePushedMessage(happening.message, revision, previousRevision),
            "gapSync",
          );
        }
        break;
      case "groupChanged":
        if (isKnown) {
          const { change, group, members } = happening;
          return this.#afterStep(id, (it) => it.takePushedChange(change, group, members, previousRevision), "gapSync");
        }
        break;
      case "membershipEnded":
        if (feedRevision > 0) {
          const { isNews, step } = this.#feed.hears(`membership:${id}`, false, feedRevision);
          if (isNews) {
            this.#removeConversation(id);
          }
          return this.#feedStep(step);
        }
        break;
      case "readPositionMoved":
        if (isKnown) {
          const { userId, readSeq, unreadCount, countedSeq } = happening;
          this.#change(id, (it) => {
            it.takeReadPosition(userId, readSeq, unreadCount, countedSeq);
          });
          return "nothing";
        }
        break;
      case "deliveredPositionMoved":
        if (isKnown) {
          this.#change(id, (it) => {
            it.takeDeliveredSeq(happening.userId, happening.deliveredSeq);
          });
          return "nothing";
        }
        break;
      case "poke":
        if (isKnown && revision > 0) {
          return this.#afterStep(id, (it) => it.takePoke(revision), "sync");
        }
        if (feedRevision > 0) {
          return this.#feed.pokes(feedRevision) === "gap" ? "sync" : "nothing";
        }
        break;
      case "friendChanged":
        if (feedRevision > 0) {
          const { friend } = happening;
          const key: Key = `friend:${friend.userId}`;
          const { isNews, step } = this.#feed.hears(key, friend.state !== "none", feedRevision);
          if (isNews) {
            this.#putFriend(friend);
          }
          return this.#feedStep(step);
        }
        break;
      case "settingsChanged":
        if (feedRevision > 0 && isKnown) {
          const { isNews, step } = this.#feed.hears(`membership:${id}`, true, feedRevision);
          if (isNews) {
            this.takeSettings(id, happening.settings);
          }
          const wants = this.#feedStep(step);
          return this.#fresh.has(id) ? "sync" : wants;
        }
        if (feedRevision > 0) {
          // Of a conversation that was not heard of: its membership comes with a sync.
          return this.#feed.pokes(feedRevision) === "gap" ? "sync" : "nothing";
        }
        break;
      case "conversationOpened":
        if (feedRevision > 0) {
          const { conversation } = happening;
          const key: Key = `membership:${conversation.conversationId}`;
          const { isNews, step } = this.#feed.hears(key, true, feedRevision);
          const isOpened = isNews && this.#putConversation(conversation);
          return isOpened ? "sync" : this.#feedStep(step);
        }
        break;
    }
    // What cannot be understood here can be by a sync that names what it is about.
    if (isKnown) {
      this.#change(id, (it) => {
        it.takePoke(revision);
      });
      this.#askFor(id);
    }
    return "sync";
  }

  /** Begins a sync: calls follow until there is none to make. */
  beginSync(): void {
    this.#sync = newSync(this.#turn);
  }

  /**
   * The next call of the sync: names what moved, and fills up with what was not named for longest. A first call is made in
   * any case, further ones only for what moved.
   */
  nextCall(now: number): Asked | undefined {
    if (!this.#hasCalls(now)) {
      return undefined;
    }
    this.#turn += 1;
    const sync = this.#sync;
    sync.calls += 1;
    // Those that take many calls come after those that were not asked for yet.
    const allDue = this.#due();
    const isDue = new Set(allDue);
    const due = allDue.filter((id) => !sync.settled.has(id));
    const again = due.filter((id) => sync.named.has(id));
    const names = [...due.filter((id) => !sync.named.has(id)), ...again].slice(0, CURSORS_MAX);
    const others = [...this.#turns]
      .filter(([id, turn]) => turn <= sync.firstTurn && !isDue.has(id) && !this.#waiting.has(id))
      .sort(([oneId, one], [otherId, other]) => one - other || (oneId < otherId ? -1 : 1))
      .slice(0, CURSORS_MAX - names.length);
    const cursors: Cursor[] = [];
    for (const id of [...names, ...others.map(([other]) => other)]) {
      const timeline = this.#timelines.get(id);
      if (timeline) {
        cursors.push(timeline.cursor);
        sync.named.add(id);
        if (this.#turns.has(id)) {
          this.#turns.set(id, this.#turn);
        }
      }
    }
    return { request: { cursors, feed: this.#feed.cursor }, since: this.#feed.now };
  }

  #hasCalls(now: number): boolean {
    for (const [id, until] of this.#waiting) {
      if (until <= now) {
        this.#waiting.delete(id);
        this.#sync.settled.delete(id);
      }
    }
    const { calls, feedIsIncomplete, settled } = this.#sync;
    return calls === 0 || feedIsIncomplete || this.#due().some((id) => !settled.has(id));
  }

  /** Takes the answer to a call. Answers whether the sync is complete. */
  takeAnswer(asked: Asked, answer: SyncAnswer, now: number): boolean {
    for (const sync of answer.conversations) {
      const cursor = asked.request.cursors.find(({ conversationId }) => conversationId === sync.cursor.conversationId);
      if (cursor) {
        this.#takeConversationSync(cursor, sync, now);
      }
    }
    this.#sync.feedIsIncomplete = answer.feed?.incomplete ?? false;
    if (answer.feed) {
      const { feed } = answer;
      if (this.#feed.begins(asked.since, asked.request.feed, feed)) {
        this.#forgetFormerLife();
      }
      for (const change of feed.changes) {
        if (change.kind === "friend") {
          const { friend } = change;
          if (this.#feed.takes(`friend:${friend.userId}`, friend.state !== "none", change.revision)) {
            this.#putFriend(friend);
          }
        } else if (change.kind === "membership") {
          this.#listMembership(change.conversation, change.isActive, change.revision);
        }
        // What a later version of the service tells is stepped over.
      }
      for (const key of this.#feed.ends(feed)) {
        const id = key.slice(key.indexOf(":") + 1);
        if (key.startsWith("friend:")) {
          this.#friends.delete(id);
          this.#friendsChanged = true;
        } else {
          this.#removeConversation(id);
        }
      }
      this.#advances += feed.changes.length > 0 ? 1 : 0;
    }
    for (const id of answer.lostConversationIds) {
      if (this.#feed.loses(asked.since, `membership:${id}`)) {
        this.#removeConversation(id);
      }
    }
    const isComplete = !this.#hasCalls(now);
    this.#syncs += isComplete ? 1 : 0;
    return isComplete;
  }

  #takeConversationSync(asked: Cursor, sync: ConversationSync, now: number): void {
    const id = asked.conversationId;
    if (!this.#timelines.has(id)) {
      return;
    }
    // Answered from a cursor that pages have led to: what follows comes live, or is seen to be missing.
    this.#fresh.delete(id);
    this.#change(id, (timeline) => {
      timeline.takeSync(asked, sync);
    });
    if (sync.incomplete && sync.retryAfter !== undefined && this.#isDue(id)) {
      this.#waiting.set(id, now + sync.retryAfter);
    } else if (!sync.incomplete || sync.retryAfter !== undefined) {
      this.#sync.settled.add(id);
    }
  }

  #listMembership(conversation: Conversation, isActive: boolean, revision: number): void {
    const id = conversation.conversationId;
    if (!this.#feed.takes(`membership:${id}`, isActive, revision)) {
      return;
    }
    if (isActive) {
      this.#putConversation(conversation);
    } else {
      this.#removeConversation(id);
    }
  }

  #putFriend(friend: Friend): void {
    if (friend.state === "none") {
      this.#friends.delete(friend.userId);
    } else {
      this.#friends.set(friend.userId, friend);
    }
    this.#friendsChanged = true;
  }

  /** Puts a membership. Answers whether that opens it. */
  #putConversation(conversation: Conversation): boolean {
    const id = conversation.conversationId;
    if (this.#timelines.has(id)) {
      if (this.#change(id, (it) => it.takeConversation(conversation))) {
        this.#askFor(id);
      }
      return false;
    }
    this.#timelines.set(id, new Timeline(this.#userId, conversation));
    this.#changedIds.add(id);
    return this.#wanted.delete(id) && this.open(id);
  }

  /**
   * The databases went back to an earlier state: what was counted and numbered before cannot be compared with what comes.
   * Opened conversations start over by themselves.
   */
  #forgetFormerLife(): void {
    for (const id of this.#timelines.keys()) {
      this.#change(id, (timeline) => {
        timeline.forgetFormerLife();
      });
    }
  }

  #removeConversation(id: string): void {
    // Closed first, so that it leaves the plan.
    this.#change(id, (timeline) => {
      timeline.close();
    });
    this.#timelines.delete(id);
    this.#changedIds.add(id);
  }

  /** The next history to load, if any. */
  nextLoad(): Load | undefined {
    for (const [conversationId, timeline] of this.#timelines) {
      if (timeline.phase === "paging" && !this.#loading.has(conversationId)) {
        this.#loading.add(conversationId);
        return {
          conversationId,
          cursor: { ...timeline.cursor, revision: timeline.knownFrom },
          since: this.#feed.now,
        };
      }
    }
    return undefined;
  }

  /** Takes the newest page that was loaded; none if the conversation is not there any more. */
  takeHistory({ conversationId: id, cursor: then, since }: Load, page: Page | undefined): void {
    this.#loading.delete(id);
    const timeline = this.#timelines.get(id);
    if (timeline?.phase !== "paging") {
      return;
    }
    const { joinedRevision, epoch } = timeline.cursor;
    if (joinedRevision !== then.joinedRevision || epoch !== then.epoch || timeline.knownFrom !== then.revision) {
      // Started over while this was on its way: it is loaded once more.
      return;
    }
    if (!page) {
      // Gained again while this was on its way, it is loaded once more.
      if (this.#feed.loses(since, `membership:${id}`)) {
        this.#removeConversation(id);
      }
      return;
    }
    this.#fresh.add(id);
    this.#change(id, (it) => {
      it.takePage(page);
    });
  }

  /**
   * Takes a page of history that was asked for from below a seq. It is passed over when what is loaded begins elsewhere by
   * now, as after starting over: between the two something would be missing for good.
   */
  takeOlderPage(conversationId: string, below: number | undefined, page: Page): void {
    this.#change(conversationId, (timeline) => {
      if (timeline.isLoaded && timeline.oldestSeq === below) {
        timeline.takePage(page);
      }
    });
  }

  /** Takes what a list says of conversations. */
  takeListed(conversations: readonly Conversation[]): void {
    for (const conversation of conversations) {
      if (this.#change(conversation.conversationId, (timeline) => timeline.takeConversation(conversation))) {
        this.#askFor(conversation.conversationId);
      }
    }
  }

  /** Takes some of a group's members, as they were at a state that was known, or since. */
  takeGroupMembers(conversationId: string, members: readonly Member[], asOf: number): void {
    this.#change(conversationId, (timeline) => {
      timeline.takeGroupMembers(members, asOf);
    });
  }

  /** Takes a message that the user has sent. */
  takeSent(message: Message): void {
    this.#change(message.conversationId, (timeline) => {
      timeline.takeSentMessage(message);
    });
  }

  /** Marks messages as read. Answers the seq to tell the service of. */
  markRead(conversationId: string, seq: number): number | undefined {
    return this.#change(conversationId, (timeline) => timeline.markRead(seq));
  }

  /** Takes the answer to a mark. */
  takeMark(conversationId: string, readSeq: number, unreadCount: number, countedSeq: number): void {
    this.#change(conversationId, (timeline) => {
      timeline.takeCounts(readSeq, unreadCount, countedSeq);
    });
  }

  /** Takes what a conversation is to the user alone. */
  takeSettings(conversationId: string, settings: ConversationSettings): void {
    if (this.#change(conversationId, (timeline) => timeline.takeSettings(settings))) {
      this.#askFor(conversationId);
    }
  }

  /** Has a conversation named by the next sync, such as when its cursor is to start over. */
  #askFor(id: string): void {
    if (this.#timelines.get(id)?.isLoaded) {
      this.#fresh.add(id);
    }
  }

  /** Those that moved, or want to start. */
  #due(): string[] {
    return [...this.#timelines.keys()].filter((id) => this.#isDue(id) && !this.#waiting.has(id)).sort();
  }

  #isDue(id: string): boolean {
    const timeline = this.#timelines.get(id);
    return (
      timeline?.phase === "starting" || (timeline?.phase === "loaded" && (!timeline.isWhole || this.#fresh.has(id)))
    );
  }

  #afterStep(id: string, change: (timeline: Timeline) => Step, wants: Wants): Wants {
    const step = this.#change(id, change);
    // What is not loaded yet is on its way to be.
    return step === "gap" && this.#timelines.get(id)?.isLoaded ? wants : "nothing";
  }

  #feedStep(step: Step): Wants {
    if (step === "gap") {
      return "gapSync";
    }
    this.#advances += 1;
    return "nothing";
  }

  /** Changes a conversation, if it is there, and its place in the plan with it. */
  #change<T>(id: string, change: (timeline: Timeline) => T): T | undefined {
    const timeline = this.#timelines.get(id);
    if (!timeline) {
      return undefined;
    }
    const before = timeline.cursor.revision;
    const changed = change(timeline);
    this.#advances += timeline.cursor.revision === before ? 0 : 1;
    this.#changedIds.add(id);
    if (timeline.phase === "loaded") {
      if (!this.#turns.has(id)) {
        this.#turns.set(id, 0);
      }
      if (timeline.isWhole && !this.#fresh.has(id)) {
        this.#waiting.delete(id);
      }
    } else {
      this.#turns.delete(id);
      this.#fresh.delete(id);
      if (timeline.phase === "closed") {
        this.#waiting.delete(id);
      }
    }
    return changed;
  }
}
