/** A user's chat. */

import { Book, type KeptConversation } from "./book.ts";
import { ChatError } from "./errors.ts";
import { FOLLOW_DEFAULTS, Follower, type FollowOptions, type PagePosition } from "./follower.ts";
import { FriendRequestAnswer } from "./generated/chat/v1/friend_pb.ts";
import { History } from "./history.ts";
import { LIVE_DEFAULTS, type LiveOptions } from "./live.ts";
import { Marks } from "./marks.ts";
import {
  type Conversation,
  type Friend,
  type Message,
  type Page,
  type Profile,
  toConversation,
  toFriend,
  toMessage,
} from "./model.ts";
import { Outbox } from "./outbox.ts";
import { Profiles } from "./profiles.ts";
import { Service, type ServiceOptions } from "./service.ts";
import { Session } from "./session.ts";
import { MemoryStorage, type Outgoing, openStorage, type Storage } from "./storage.ts";
import { Cell, type Store } from "./store.ts";
import { type ConversationState, lacksQuote } from "./timeline.ts";

/** How a client works. All but the token may be left out; times are in milliseconds. */
export interface ChatClientOptions extends ServiceOptions {
  /** Whose chat it is; else the subject of the token. With it, what the device has kept is shown without a network. */
  readonly userId?: string;
  /** `false` keeps nothing on the device. */
  readonly storage?: Storage | false;
  readonly live?: Partial<LiveOptions>;
  readonly follow?: Partial<FollowOptions>;
  /** How long a page may be hidden before it lets its connection go. */
  readonly hiddenFor?: number;
  /** How far apart two marks of one conversation are told to the service, at least. */
  readonly markInterval?: number;
  /** How long the push of one's own message may take to come back before the call is repeated. */
  readonly pushWait?: number;
}

/** How a client stands with the service. */
export interface Status {
  /** Empty until a token or the service has told. */
  readonly userId: string;
  /**
   * Before the first answer; with a live connection; without one, but with answers; without answers.
   */
  readonly connection: "connecting" | "live" | "polling" | "offline";
  /** Whether what the device had kept is shown, and nothing newer yet. */
  readonly isStale: boolean;
  /** What failed last, if nothing succeeded since. */
  readonly failure: ChatError | undefined;
}

/** A conversation with what is on its way. */
export interface Messages {
  /** Nothing as long as the user is not known to be in it. */
  readonly conversation: ConversationState | undefined;
  /** What waits to be sent, or was refused, in its order. */
  readonly outgoing: readonly Outgoing[];
}

/** Messages of an opened conversation that a device keeps, at most. */
const KEPT_MESSAGES_MAX = 200;
/** Opened conversations that a client keeps up to date although nobody looks at them. */
const UNWATCHED_MAX = 10;
/** How long changes may wait to be kept. */
const KEEP_WAIT = 300;

const NOTHING_OUTGOING: readonly Outgoing[] = [];

export class ChatClient {
  /** How it stands with the service. */
  readonly status: Store<Status>;
  readonly #options: ChatClientOptions;
  readonly #service: Service;
  readonly #book = new Book();
  readonly #follower: Follower;
  readonly #marks: Marks;
  readonly #profiles: Profiles;
  readonly #status: Cell<Status>;
  readonly #conversations = new Cell<readonly ConversationState[]>([]);
  readonly #friends = new Cell<readonly Friend[]>([]);
  readonly #messages = new Map<string, Cell<Messages>>();
  readonly #messageListeners = new Set<(message: Message) => void>();
  readonly #stopped = new AbortController();
  /** Opened, the one first that was looked at last. */
  #opened: string[] = [];
  #storage: Storage = new MemoryStorage();
  #session: Session | undefined;
  #outbox: Outbox | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  #keepTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #toKeep = new Set<string>();
  #friendsToKeep = false;
  #isToldOf = false;
  #isLive = false;
  #syncs = 0;
  readonly #started: Promise<void>;

  /** Starts at once, and goes on until `stop`. */
  constructor(options: ChatClientOptions) {
    this.#options = options;
    this.#service = new Service(options);
    this.#status = new Cell<Status>({
      userId: options.userId ?? "",
      connection: "connecting",
      isStale: true,
      failure: undefined,
    });
    this.status = this.#status;
    const changed = () => this.#tellSoon();
    const failed = (error: ChatError) => this.#failed(error);
    this.#follower = new Follower(
      this.#service,
      this.#book,
      { ...FOLLOW_DEFAULTS, ...options.follow },
      changed,
      failed,
    );
    this.#marks = new Marks(this.#service, this.#book, options.markInterval ?? 2_000, changed);
    this.#profiles = new Profiles(this.#service, (profiles) => {
      this.#storage.putProfiles(profiles).catch(() => undefined);
    });
    this.#started = this.#start();
  }

  /** The user's conversations, newest activity first. */
  conversations(): Store<readonly ConversationState[]> {
    return this.#conversations;
  }

  /** The user's friends and open requests, by user id. */
  friends(): Store<readonly Friend[]> {
    return this.#friends;
  }

  /** What a user shows of themselves; nothing until that is known. Profiles that are looked at are read together. */
  profile(userId: string): Store<Profile | undefined> {
    return this.#profiles.of(userId);
  }

  /** A conversation's messages. Whoever subscribes has its newest history loaded and followed. */
  messages(conversationId: string): Store<Messages> {
    let cell = this.#messages.get(conversationId);
    if (!cell) {
      const { conversation, outgoing } = this.#look(conversationId);
      cell = new Cell<Messages>({ conversation, outgoing }, (isWatched) => {
        if (isWatched) {
          this.open(conversationId);
        }
      });
      this.#messages.set(conversationId, cell);
    }
    return cell;
  }

  /** Calls back for each new message of others that is pushed. Answers how to stop that. */
  onMessage(listener: (message: Message) => void): () => void {
    this.#messageListeners.add(listener);
    return () => this.#messageListeners.delete(listener);
  }

  /** Loads a conversation's newest history, and follows it. */
  open(conversationId: string): void {
    this.#opened = [conversationId, ...this.#opened.filter((id) => id !== conversationId)];
    const unwatched = this.#opened.filter((id) => !this.#messages.get(id)?.isWatched);
    for (const id of unwatched.slice(UNWATCHED_MAX)) {
      this.#keepNow([id]);
      this.#opened = this.#opened.filter((opened) => opened !== id);
      this.#book.close(id);
    }
    if (this.#book.open(conversationId)) {
      this.#follower.sync();
    }
  }

  /** Loads one more page of an opened conversation's older messages. */
  async loadOlder(conversationId: string): Promise<void> {
    const before = this.#book.timeline(conversationId)?.oldestSeq;
    const page = await this.#follower.page(conversationId, { before });
    this.#book.takeOlderPage(conversationId, before, page);
    this.#tellSoon();
  }

  /** The messages around one, wherever in the history it is; it is not followed. */
  history(conversationId: string, around: number): History {
    return new History((position) => this.#follower.page(conversationId, position), around);
  }

  /** A page of a conversation's history. */
  page(conversationId: string, position: PagePosition): Promise<Page> {
    return this.#follower.page(conversationId, position);
  }

  /** One message. */
  async message(conversationId: string, messageId: string): Promise<Message> {
    const { message } = await this.#service.call((call) =>
      this.#service.messages.getMessage({ conversationId, messageId }, call),
    );
    return toMessage(answered(message));
  }

  /**
   * Says something. It is shown at once, goes out in the order of the conversation as soon as it can, also after a reload or
   * from another tab, and fails only with what repeating cannot mend. Answers as soon as it is kept.
   */
  async send(conversationId: string, text: string): Promise<Outgoing> {
    return this.#add(conversationId, text, "");
  }

  /** Says something about a message. */
  async reply(conversationId: string, messageId: string, text: string): Promise<Outgoing> {
    return this.#add(conversationId, text, messageId);
  }

  async #add(conversationId: string, text: string, replyTo: string): Promise<Outgoing> {
    await this.#started;
    return this.#theOutbox().add(conversationId, text, replyTo);
  }

  /** Tries a message that was refused once more. */
  async retry(clientMessageId: string): Promise<void> {
    await this.#started;
    await this.#theOutbox().retry(clientMessageId);
  }

  /** Gives up a message that was refused. */
  async drop(clientMessageId: string): Promise<void> {
    await this.#started;
    await this.#theOutbox().drop(clientMessageId);
  }

  /** Marks a conversation's messages as read, up to this seq or to the newest that is known. */
  markRead(conversationId: string, seq = Number.MAX_SAFE_INTEGER): void {
    this.#marks.mark(conversationId, seq);
  }

  /** Opens the direct conversation with a friend, and answers its id. */
  async openDirectConversation(userId: string): Promise<string> {
    const { conversation } = await this.#service.call((call) =>
      this.#service.conversations.openDirectConversation({ userId }, call),
    );
    const { conversationId } = answered(conversation);
    this.open(conversationId);
    return conversationId;
  }

  /** Reads one conversation, as a list shows it. */
  async conversation(conversationId: string): Promise<Conversation> {
    const { conversation } = await this.#service.call((call) =>
      this.#service.conversations.getConversation({ conversationId }, call),
    );
    return toConversation(answered(conversation));
  }

  /** Asks a user to become a friend; who had asked already is one now. */
  async requestFriend(userId: string): Promise<Friend> {
    const { friend } = await this.#service.call((call) => this.#service.friends.requestFriend({ userId }, call));
    return toFriend(answered(friend));
  }

  /** Accepts or declines a user's request. */
  async respondToFriendRequest(userId: string, isAccepted: boolean): Promise<Friend> {
    const answer = isAccepted ? FriendRequestAnswer.ACCEPT : FriendRequestAnswer.DECLINE;
    const { friend } = await this.#service.call((call) =>
      this.#service.friends.respondToFriendRequest({ userId, answer }, call),
    );
    return toFriend(answered(friend));
  }

  /** Ends a friendship, or an open request from either side. */
  async removeFriend(userId: string): Promise<void> {
    await this.#service.call((call) => this.#service.friends.removeFriend({ userId }, call));
  }

  /** Sets what the user shows of themselves. */
  async updateProfile(profile: { displayName?: string; avatarUrl?: string }): Promise<Profile> {
    const paths = [
      ...(profile.displayName === undefined ? [] : ["display_name"]),
      ...(profile.avatarUrl === undefined ? [] : ["avatar_url"]),
    ];
    const request = {
      displayName: profile.displayName ?? "",
      avatarUrl: profile.avatarUrl ?? "",
      updateMask: { paths },
    };
    const updated = await this.#service.call((call) => this.#service.users.upsertProfile(request, call));
    return this.#profiles.take(answered(updated.profile));
  }

  /** Reads profiles anew, such as of whom one searches for. Those without a profile are left out. */
  async readProfiles(userIds: readonly string[]): Promise<readonly Profile[]> {
    return this.#profiles.read(userIds);
  }

  /** Asks for all that is new now. */
  sync(): void {
    this.#follower.sync();
  }

  /** Ends everything. What was not sent yet stays on the device for the next time, unless that is to forget. */
  async stop({ forget = false } = {}): Promise<void> {
    if (!this.#stopped.signal.aborted) {
      this.#stopped.abort();
      clearTimeout(this.#hiddenTimer);
      this.#session?.stop();
      this.#follower.stop();
      this.#marks.stop();
      this.#outbox?.stop();
      this.#service.stop();
    }
    await this.#started;
    if (forget) {
      clearTimeout(this.#keepTimer);
      await this.#storage.clear().catch(() => undefined);
    } else {
      await this.#keep();
    }
    this.#storage.close();
  }

  async #start(): Promise<void> {
    const userId = this.#options.userId ?? (await this.#subject());
    if (userId) {
      this.#book.takeUserId(userId);
    }
    const name = `${new URL(this.#options.url ?? globalThis.location.origin).host}:${userId}`;
    if (this.#options.storage !== undefined) {
      this.#storage = this.#options.storage || new MemoryStorage();
    } else if (userId) {
      this.#storage = await openStorage(`chat:${name}`);
    }
    const kept = await this.#storage
      .load()
      .catch(() => ({ friends: [], conversations: [], profiles: [], outgoing: [] }));
    this.#profiles.restore(kept.profiles);
    this.#book.restore(kept.friends, kept.conversations);
    this.#opened = kept.conversations.filter((it) => it.timeline).map((it) => it.conversation.conversationId);
    this.#outbox = new Outbox(
      name,
      this.#service,
      this.#storage,
      {
        changed: (ids) => {
          for (const id of ids) {
            this.#tellMessages(id);
          }
        },
        sent: (message) => {
          this.#book.takeSent(message);
          this.#tell();
        },
        unsentMark: (id) => this.#book.timeline(id)?.unsentMark,
      },
      this.#options.pushWait ?? 10_000,
    );
    this.#session = new Session(
      name,
      this.#service,
      { ...LIVE_DEFAULTS, ...this.#options.live },
      {
        live: (user) => this.#live(user),
        notLive: () => this.#notLive(),
        event: (event) => {
          const { happening } = event;
          if (happening.kind === "messageSent") {
            this.#hear(happening.message);
          }
          this.#follower.event(event);
          if (happening.kind === "messageSent") {
            this.#completeQuote(happening.message);
          }
        },
        failed: (error) => this.#failed(ChatError.from(error)),
      },
    );
    this.#tell();
    if (this.#stopped.signal.aborted) {
      return;
    }
    this.#outbox.start(kept.outgoing);
    this.#follower.start();
    this.#session.listen();
    this.#watchPage();
  }

  /** The subject of the token, without a look at its signature: it decides where things are kept, and nothing else. */
  async #subject(): Promise<string> {
    try {
      const [, payload = ""] = (await this.#options.token()).split(".");
      const text = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
      const { sub } = JSON.parse(text) as { sub?: unknown };
      return typeof sub === "string" ? sub : "";
    } catch {
      return "";
    }
  }

  #live(userId: string): void {
    this.#isLive = true;
    this.#tellStatus({ userId, connection: "live", failure: undefined });
    this.#follower.live(userId);
  }

  #notLive(): void {
    if (this.#isLive) {
      this.#isLive = false;
      this.#tellStatus({ connection: globalThis.navigator?.onLine === false ? "offline" : "polling" });
    }
    this.#follower.notLive();
  }

  #hear(message: Message): void {
    this.#outbox?.hear(message);
    if (message.senderId !== this.#book.userId) {
      for (const listener of this.#messageListeners) {
        listener(message);
      }
    }
  }

  /** Reads a reply once more whose quote is older than what is loaded. */
  #completeQuote({ conversationId, messageId, seq }: Message): void {
    const state = this.#book.conversation(conversationId);
    const known = state?.messages.findLast((message) => message.seq <= seq);
    if (known?.messageId === messageId && lacksQuote(known)) {
      this.message(conversationId, messageId).then(
        (message) => {
          this.#book.takeSent(message);
          this.#tellSoon();
        },
        // The quote still leads to what it is about.
        () => undefined,
      );
    }
  }

  #failed(error: ChatError): void {
    if (error.code !== "Canceled") {
      this.#tellStatus({ failure: error, ...(!this.#isLive && error.isTransient && { connection: "offline" }) });
    }
  }

  #theOutbox(): Outbox {
    if (!this.#outbox) {
      throw new Error("the client was stopped before it had started");
    }
    return this.#outbox;
  }

  /** Follows what happens to the page: a network that is back, a page that is looked at again, one that is not any more. */
  #watchPage(): void {
    const { signal } = this.#stopped;
    const back = () => {
      this.#session?.listen();
      this.#session?.check();
      this.#outbox?.hurry();
      this.#follower.sync();
    };
    globalThis.addEventListener?.("online", back, { signal });
    globalThis.addEventListener?.(
      "offline",
      () => {
        this.#tellStatus({ connection: "offline" });
        this.#session?.check();
      },
      { signal },
    );
    globalThis.addEventListener?.("pagehide", () => this.#session?.pause(), { signal });
    globalThis.addEventListener?.(
      "pageshow",
      (event) => {
        if (event.persisted) {
          back();
        }
      },
      { signal },
    );
    globalThis.document?.addEventListener(
      "visibilitychange",
      () => {
        clearTimeout(this.#hiddenTimer);
        if (document.visibilityState === "visible") {
          back();
        } else {
          const hiddenFor = this.#options.hiddenFor ?? 300_000;
          this.#hiddenTimer = setTimeout(() => this.#session?.pause(), hiddenFor);
          this.#keep();
        }
      },
      { signal },
    );
  }

  /** Tells once of what happens together. */
  #tellSoon(): void {
    if (!this.#isToldOf) {
      this.#isToldOf = true;
      queueMicrotask(() => {
        this.#isToldOf = false;
        this.#tell();
      });
    }
  }

  #tell(): void {
    const { conversationIds, friends } = this.#book.takeChanges();
    if (this.#book.syncs > this.#syncs) {
      this.#syncs = this.#book.syncs;
      this.#tellStatus({
        isStale: false,
        failure: undefined,
        connection: this.#isLive ? "live" : "polling",
      });
    }
    if (conversationIds.size > 0) {
      const states = [...this.#book.conversationIds()].map((id) => this.#book.conversation(id) as ConversationState);
      states.sort(byActivity);
      this.#conversations.set(states);
      for (const id of conversationIds) {
        this.#tellMessages(id);
        this.#toKeep.add(id);
      }
    }
    if (friends) {
      this.#friends.set([...this.#book.friends.values()].sort((one, other) => (one.userId < other.userId ? -1 : 1)));
      this.#friendsToKeep = true;
    }
    if (conversationIds.size > 0 || friends) {
      this.#keepTimer ??= setTimeout(() => this.#keep(), KEEP_WAIT);
    }
  }

  #tellStatus(news: Partial<Status>): void {
    const before = this.#status.getSnapshot();
    const status = { ...before, userId: this.#book.userId || before.userId, ...news };
    const keys = Object.keys(status) as (keyof Status)[];
    if (keys.some((key) => status[key] !== before[key])) {
      this.#status.set(status);
    }
  }

  #tellMessages(conversationId: string): void {
    const cell = this.#messages.get(conversationId);
    if (!cell) {
      return;
    }
    const before = cell.getSnapshot();
    const { conversation, outgoing } = this.#look(conversationId);
    const isSame =
      outgoing.length === before.outgoing.length && outgoing.every((it, place) => it === before.outgoing[place]);
    if (conversation !== before.conversation || !isSame) {
      cell.set({ conversation, outgoing: isSame ? before.outgoing : outgoing });
    }
  }

  #look(conversationId: string): Messages {
    const conversation = this.#book.conversation(conversationId);
    const waiting = this.#outbox?.of(conversationId) ?? NOTHING_OUTGOING;
    // By a push or an answer, whichever came first: then it is shown as what it has become.
    const isThere = ({ clientMessageId }: Outgoing) =>
      conversation?.messages.findLast(
        (message) => message.clientMessageId === clientMessageId && message.senderId === this.#book.userId,
      ) !== undefined;
    return { conversation, outgoing: waiting.filter((outgoing) => !isThere(outgoing)) };
  }

  async #keep(): Promise<void> {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    const ids = [...this.#toKeep];
    this.#toKeep.clear();
    if (this.#friendsToKeep) {
      this.#friendsToKeep = false;
      await this.#storage.putFriends([...this.#book.friends.values()]).catch(() => undefined);
    }
    await this.#keepNow(ids);
  }

  async #keepNow(ids: readonly string[]): Promise<void> {
    const kept: KeptConversation[] = [];
    const removed: string[] = [];
    for (const id of ids) {
      const timeline = this.#book.timeline(id);
      if (timeline) {
        kept.push({ ...timeline.line, timeline: timeline.keep(KEPT_MESSAGES_MAX) });
      } else {
        removed.push(id);
      }
    }
    // A device that is full, or forbids it, keeps nothing more; all of it is still shown.
    await this.#storage.putConversations(kept, removed).catch(() => undefined);
  }
}

function byActivity(one: ConversationState, other: ConversationState): number {
  return other.lastActivityAt - one.lastActivityAt || (one.conversationId < other.conversationId ? 1 : -1);
}

/** What the contract says is set. */
function answered<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new Error("the answer lacks what the contract says it has");
  }
  return value;
}
