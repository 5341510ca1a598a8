/** A user's chat: what the parts are for, put together. */

import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Book, type KeptConversation } from "./book.ts";
import { ChatError } from "./errors.ts";
import { FOLLOW_DEFAULTS, Follower, type FollowOptions, type PagePosition } from "./follower.ts";
import { ArchivedFilter, ConversationKind } from "./generated/chat/v1/conversation_pb.ts";
import { FriendRequestAnswer } from "./generated/chat/v1/friend_pb.ts";
import { History } from "./history.ts";
import { Keeper } from "./keeper.ts";
import { LIVE_DEFAULTS, type LiveOptions } from "./live.ts";
import { Marks } from "./marks.ts";
import {
  type Conversation,
  type Friend,
  fromGroupRole,
  fromGroupSettings,
  fromUserSettings,
  type GroupInvite,
  type GroupSettings,
  type InvitedTo,
  type JoinRequest,
  type LastMessage,
  type LiveEvent,
  type Member,
  type MembershipEndReason,
  type Message,
  type Page,
  type Profile,
  toConversation,
  toFriend,
  toGroupInvite,
  toInvitedTo,
  toJoinRequest,
  toMember,
  toMessage,
  toSettings,
  toUserSettings,
  type UserSettings,
} from "./model.ts";
import { Outbox, type OutboxListener } from "./outbox.ts";
import { type PageListener, watchPage } from "./page.ts";
import { Profiles } from "./profiles.ts";
import { type CallOptions, Service, type ServiceOptions } from "./service.ts";
import { Session } from "./session.ts";
import { type Kept, MemoryStorage, type Outgoing, openStorage, type Storage } from "./storage.ts";
import { Cell, type Store, tellAll } from "./store.ts";
import { backoff, sleep } from "./time.ts";
import { type ConversationState, lacksQuote, lastMessageOf, lowerBound } from "./timeline.ts";

/** How a client works. All but the token may be left out; times are in milliseconds. */
export interface ChatClientOptions extends ServiceOptions {
  /** Whose chat it is; else the subject of the token. With it, what the device has kept is shown without a network. */
  readonly userId?: string;
  /** `false` keeps nothing on the device. */
  readonly storage?: Storage | false;
  readonly live?: Partial<LiveOptions>;
  readonly follow?: Partial<FollowOptions>;
  /** How long a page may be hidden before it lets its connection go; asked each time. */
  readonly hiddenFor?: () => number;
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

/** What a list shows of a message that has just come. */
export interface NewMessage extends LastMessage {
  readonly conversationId: string;
}

/** A membership of the user's that has ended, and why. */
export interface MembershipEnd {
  readonly conversationId: string;
  readonly reason: MembershipEndReason;
}

/** Somebody who asks to join a group in which the user manages invites. */
export interface JoinRequested {
  readonly conversationId: string;
  readonly userId: string;
}

/** What of a group may be set. */
export interface GroupUpdate {
  readonly name?: string;
  readonly description?: string;
  readonly avatarUrl?: string;
  readonly settings?: Partial<GroupSettings>;
}

/** A link into a group that is to be. */
export interface NewGroupInvite {
  /** For how long it can be used, in milliseconds: 1 minute to 365 days; for ever without it. */
  readonly validFor?: number;
  /** How many may join by it, or ask to, at most 10,000; 0 or none: any number. */
  readonly maxUses?: number;
  /** Whether who has it asks to join, and waits to be let in. */
  readonly needsApproval?: boolean;
}

/** Which conversations a list has; without archived ones unless it says so. */
export interface ConversationsFilter {
  readonly onlyUnread?: boolean;
  readonly archived?: "only" | "included";
  readonly kind?: "direct" | "group";
}

/** What is unread: of all messages together at most 10,000 are counted, and of each conversation 1,000. */
export interface UnreadTotals {
  readonly conversations: number;
  readonly messages: number;
  readonly mutedConversations: number;
  readonly mutedMessages: number;
}

/** What a conversation may be made to the user alone. */
export interface SettingsUpdate {
  readonly mutedUntil?: number;
  readonly isArchived?: boolean;
  readonly isPinned?: boolean;
}

/** A group that is to be. */
export interface NewGroup extends GroupUpdate {
  readonly name: string;
  readonly settings?: GroupSettings;
  /** Its first members besides the user: friends of theirs. */
  readonly userIds: readonly string[];
}

/** A group that was made or added to, and who could not be added: no friends of the user, or with too many conversations. */
export interface GroupAdded {
  readonly conversationId: string;
  readonly notAddedUserIds: readonly string[];
}

/** Opened conversations that a client keeps up to date although nobody looks at them. */
const UNWATCHED_MAX = 10;

/** Pages of a hundred conversations whose newest message is read for a device that has nothing, at most. */
const PREVIEW_PAGES_MAX = 5;

const NOTHING_OUTGOING: readonly Outgoing[] = [];

/** A call that names itself by an id. */
type NamedCall<R, A> = (request: R & { requestId: string }, call: CallOptions) => Promise<A>;

/** A user's chat, which is up to date from its making until it is stopped. */
export class ChatClient {
  /** How it stands with the service. */
  readonly status: Store<Status>;
  /** The contract's calls, for what has no method here. */
  readonly service: Service;
  readonly #options: ChatClientOptions;
  /** Names what the tabs of a user share: the service, and later the user. */
  readonly #host: string;
  readonly #book = new Book();
  readonly #follower: Follower;
  readonly #marks: Marks;
  readonly #profiles: Profiles;
  readonly #status: Cell<Status>;
  readonly #conversations = new Cell<readonly ConversationState[]>([]);
  readonly #friends = new Cell<readonly Friend[]>([]);
  readonly #messages = new Map<string, Cell<Messages>>();
  readonly #messageListeners = new Set<(message: NewMessage) => void>();
  readonly #endListeners = new Set<(end: MembershipEnd) => void>();
  readonly #joinListeners = new Set<(request: JoinRequested) => void>();
  /** The newest message of each conversation that listeners were told of, or that was there before. */
  readonly #newestSeqs = new Map<string, number>();
  readonly #stopped = new AbortController();
  /** Opened, the one first that was looked at last. */
  #opened: string[] = [];
  #storage: Storage = new MemoryStorage();
  #keeper: Keeper | undefined;
  #session: Session | undefined;
  #outbox: Outbox | undefined;
  #isToldOf = false;
  #isLive = false;
  #syncs = 0;
  readonly #started: Promise<void>;
  #tellRestored = () => {};
  /** Answers once what the device has kept is shown, or there is nothing: a page may wait for it to be drawn once. */
  readonly restored = new Promise<void>((resolve) => {
    this.#tellRestored = resolve;
  });

  /** Starts at once, and goes on until `stop`. */
  constructor(options: ChatClientOptions) {
    this.#options = options;
    const { location } = globalThis;
    this.#host = new URL(options.url ?? location.origin, location?.href).host;
    this.service = new Service(options);
    this.#status = new Cell<Status>({
      userId: options.userId ?? "",
      connection: "connecting",
      isStale: true,
      failure: undefined,
    });
    this.status = this.#status;
    const changed = () => this.#tellSoon();
    const failed = (error: ChatError) => this.#failed(error);
    this.#follower = new Follower(this.service, this.#book, { ...FOLLOW_DEFAULTS, ...options.follow }, changed, failed);
    this.#marks = new Marks(this.service, this.#book, options.markInterval ?? 2_000, changed);
    this.#profiles = new Profiles(this.service, (profiles) => {
      this.#storage.putProfiles(profiles).catch(() => undefined);
    });
    this.#started = this.#start();
    this.#started.catch((cause) => {
      if (!this.#stopped.signal.aborted) {
        this.#failed(ChatError.from(cause));
      }
    });
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
      cell = new Cell<Messages>(this.#look(conversationId), (isWatched) => {
        if (isWatched) {
          this.open(conversationId);
        }
      });
      this.#messages.set(conversationId, cell);
    }
    return cell;
  }

  /**
   * Calls back once for each message of others that comes while the client runs, live or by a sync; not for those that came
   * while it did not. Of conversations that are not opened, only the newest one is told of a sync. Answers how to stop that.
   */
  onMessage(listener: (message: NewMessage) => void): () => void {
    return listen(this.#messageListeners, listener);
  }

  /**
   * Calls back when the user is told live that a membership has ended, and why; before stores tell that it is gone, unless
   * they have already. Of what ends meanwhile, while there is no live connection, only the stores tell. Answers how to stop
   * that.
   */
  onMembershipEnd(listener: (end: MembershipEnd) => void): () => void {
    return listen(this.#endListeners, listener);
  }

  /**
   * Calls back when the user is told live that somebody asks to join a group in which the user manages invites: a reason to
   * list again who does. Answers how to stop that.
   */
  onJoinRequest(listener: (request: JoinRequested) => void): () => void {
    return listen(this.#joinListeners, listener);
  }

  /** Loads a conversation's newest history, and follows it: for a while also when nobody subscribes to it. */
  open(conversationId: string): void {
    this.#opened = [conversationId, ...this.#opened.filter((id) => id !== conversationId)];
    this.#keeper?.opened(conversationId);
    const unwatched = this.#opened.filter((id) => !this.#messages.get(id)?.isWatched);
    const closed = unwatched.slice(UNWATCHED_MAX);
    if (closed.length > 0) {
      this.#opened = this.#opened.filter((id) => !closed.includes(id));
      for (const id of closed) {
        this.#book.close(id);
      }
      this.#tellSoon();
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

  /** The messages around one, wherever in the history it is; they are not followed. */
  history(conversationId: string, around: number): History {
    return new History((position) => this.#follower.page(conversationId, position), around);
  }

  /** Reads a page of a conversation's history. */
  getPage(conversationId: string, position: PagePosition): Promise<Page> {
    return this.#follower.page(conversationId, position);
  }

  /** Reads one message. */
  async getMessage(conversationId: string, messageId: string): Promise<Message> {
    const { messages } = this.service;
    const { message } = await this.service.call((call) => messages.getMessage({ conversationId, messageId }, call));
    return toMessage(answered(message));
  }

  /** Reads one conversation, as a list shows it. */
  async getConversation(conversationId: string): Promise<Conversation> {
    const { conversations } = this.service;
    const answer = await this.service.call((call) => conversations.getConversation({ conversationId }, call));
    return toConversation(answered(answer.conversation));
  }

  /**
   * Says something. It is shown at once, goes out in the order of the conversation as soon as it can, also after a reload or
   * from another tab, and fails only with what repeating cannot mend. Answers as soon as it is kept.
   */
  send(conversationId: string, text: string): Promise<Outgoing> {
    return this.#add(conversationId, text, "");
  }

  /** Says something about a message. */
  reply(conversationId: string, messageId: string, text: string): Promise<Outgoing> {
    return this.#add(conversationId, text, messageId);
  }

  async #add(conversationId: string, text: string, replyTo: string): Promise<Outgoing> {
    return (await this.#theOutbox()).add(conversationId, text, replyTo);
  }

  /** What waits to be sent, or was refused, in all conversations: what `stop({ forget: true })` would lose. */
  async outgoing(): Promise<readonly Outgoing[]> {
    return (await this.#theOutbox()).all();
  }

  /** Tries a message that was refused once more. */
  async retry(clientMessageId: string): Promise<void> {
    await (await this.#theOutbox()).retry(clientMessageId);
  }

  /** Gives up a message that was refused. */
  async drop(clientMessageId: string): Promise<void> {
    await (await this.#theOutbox()).drop(clientMessageId);
  }

  /** Marks a conversation's messages as read, up to this seq or to the newest that is known. */
  markRead(conversationId: string, seq = Number.MAX_SAFE_INTEGER): void {
    this.#marks.mark(conversationId, seq);
  }

  /** Opens the direct conversation with a friend, and answers its id. */
  async openDirectConversation(userId: string): Promise<string> {
    const { conversations } = this.service;
    const answer = await this.service.call((call) => conversations.openDirectConversation({ userId }, call));
    const { conversationId } = answered(answer.conversation);
    this.open(conversationId);
    return conversationId;
  }

  /** Makes a group of the user and friends of theirs, and opens it. */
  async createGroup({ userIds, ...group }: NewGroup): Promise<GroupAdded> {
    const request = { ...toRequest(group), userIds: [...userIds] };
    const answer = await this.#changeGroup(this.service.groups.createGroup, request);
    const { conversationId } = answered(answer.conversation);
    this.open(conversationId);
    return { conversationId, notAddedUserIds: answer.notAddedUserIds };
  }

  /** Sets what is named of a group, of its settings as well, and nothing else. */
  async updateGroup(conversationId: string, group: GroupUpdate): Promise<void> {
    const updateMask = { paths: groupPathsOf(group) };
    await this.#changeGroup(this.service.groups.updateGroup, { ...toRequest(group), conversationId, updateMask });
  }

  /** Adds friends of the user to a group. */
  async addGroupMembers(conversationId: string, userIds: readonly string[]): Promise<GroupAdded> {
    const request = { conversationId, userIds: [...userIds] };
    const { notAddedUserIds } = await this.#changeGroup(this.service.groups.addGroupMembers, request);
    return { conversationId, notAddedUserIds };
  }

  /** Removes a member of a group whose role is lower than the user's. */
  async removeGroupMember(conversationId: string, userId: string): Promise<void> {
    await this.#changeGroup(this.service.groups.removeGroupMember, { conversationId, userId });
  }

  /** Makes a member of a group an admin, or an admin a member. */
  async setGroupMemberRole(conversationId: string, userId: string, role: "member" | "admin"): Promise<void> {
    const request = { conversationId, userId, role: fromGroupRole(role) };
    await this.#changeGroup(this.service.groups.setGroupMemberRole, request);
  }

  /** Makes another member the owner of a group; the user is an admin then. */
  async transferGroupOwnership(conversationId: string, userId: string): Promise<void> {
    await this.#changeGroup(this.service.groups.transferGroupOwnership, { conversationId, userId });
  }

  /** Leaves a group. */
  async leaveGroup(conversationId: string): Promise<void> {
    await this.#changeGroup(this.service.groups.leaveGroup, { conversationId });
  }

  /** Deletes a group, for everybody. */
  async deleteGroup(conversationId: string): Promise<void> {
    await this.#changeGroup(this.service.groups.deleteGroup, { conversationId });
  }

  /**
   * Reads members of a group, a hundred at a time, by user id. Those that were read are in the store of an opened group then, up to
   * date, as all of them are where there are no more than 100.
   */
  async listGroupMembers(
    conversationId: string,
    pageToken = "",
  ): Promise<{ readonly members: readonly Member[]; readonly nextPageToken: string }> {
    const { groups } = this.service;
    // It is as of what is known before it is asked, or newer.
    const asOf = this.#book.conversation(conversationId)?.group?.stateRevision ?? 0;
    const request = { conversationId, pageSize: 100, pageToken };
    const answer = await this.service.call((call) => groups.listGroupMembers(request, call));
    const members = answer.members.map(toMember);
    this.#book.takeGroupMembers(conversationId, members, asOf);
    this.#tell();
    return { members, nextPageToken: answer.nextPageToken };
  }

  /** Makes a link into a group. */
  async createGroupInvite(conversationId: string, invite: NewGroupInvite = {}): Promise<GroupInvite> {
    const { validFor, ...request } = invite;
    const { invite: made } = await this.#callOnce(this.service.groups.createGroupInvite, {
      ...request,
      conversationId,
      ...(validFor !== undefined && { validFor: durationFromMs(validFor) }),
    });
    return toGroupInvite(answered(made));
  }

  /** Ends a link into a group, for good. */
  async revokeGroupInvite(conversationId: string, inviteId: string): Promise<void> {
    await this.service.call((call) => this.service.groups.revokeGroupInvite({ conversationId, inviteId }, call));
  }

  /** Reads the links into a group that can be used, newest first. */
  async listGroupInvites(conversationId: string): Promise<readonly GroupInvite[]> {
    const { groups } = this.service;
    const { invites } = await this.service.call((call) => groups.listGroupInvites({ conversationId }, call));
    return invites.map(toGroupInvite);
  }

  /** Reads where an invite leads, by the token that its link carries. */
  async getGroupInvite(token: string): Promise<InvitedTo> {
    return toInvitedTo(await this.service.call((call) => this.service.groups.getGroupInvite({ token }, call)));
  }

  /**
   * Joins a group by the token of an invite, or asks to. Answers the group's id, and opens it, if the user is a member now;
   * else they have asked.
   */
  async joinGroup(token: string): Promise<string | undefined> {
    const { conversation } = await this.#callOnce(this.service.groups.joinGroup, { token });
    if (conversation) {
      this.open(conversation.conversationId);
    }
    return conversation?.conversationId;
  }

  /** Reads who asks to join a group, by user id. */
  async listJoinRequests(conversationId: string): Promise<readonly JoinRequest[]> {
    const { groups } = this.service;
    return allPages(async (page) => {
      const request = { ...page, conversationId };
      const answer = await this.service.call((call) => groups.listJoinRequests(request, call));
      return [answer.joinRequests.map(toJoinRequest), answer.nextPageToken];
    });
  }

  /** Lets somebody into a group who asks to join, or turns them away. */
  async answerJoinRequest(conversationId: string, userId: string, approve: boolean): Promise<void> {
    await this.#changeGroup(this.service.groups.answerJoinRequest, { conversationId, userId, approve });
  }

  /** Makes a call that changes a group, and takes what it answers at once. */
  async #changeGroup<R extends object, A extends object>(change: NamedCall<R, A>, request: R): Promise<A> {
    const answer = await this.#callOnce(change, request);
    const { conversation } = answer as { conversation?: Parameters<typeof toConversation>[0] };
    if (conversation) {
      this.#book.takeListed([toConversation(conversation)]);
      this.#tell();
    } else {
      // It is gone, which nobody may be there to tell of.
      this.#follower.sync();
    }
    return answer;
  }

  /**
   * Changes what a conversation is to the user alone: what is named, and nothing else. `mutedUntil` is in milliseconds since
   * 1970; 0 is not muted.
   */
  async updateConversationSettings(conversationId: string, update: SettingsUpdate): Promise<void> {
    const { mutedUntil, isArchived, isPinned } = update;
    const paths = [
      ...(mutedUntil === undefined ? [] : ["muted_until"]),
      ...(isArchived === undefined ? [] : ["archived"]),
      ...(isPinned === undefined ? [] : ["pinned"]),
    ];
    const settings = {
      ...(mutedUntil && { mutedUntil: timestampFromMs(mutedUntil) }),
      archived: isArchived ?? false,
      pinned: isPinned ?? false,
    };
    await this.#changeSettings(conversationId, (ids, call) =>
      this.service.conversations.updateConversationSettings({ ...ids, settings, updateMask: { paths } }, call),
    );
  }

  /** Reads a page of conversations, pinned ones first, then newest activity first, and where the next one begins. */
  async listConversations(
    filter: ConversationsFilter = {},
    pageToken = "",
  ): Promise<{ conversations: readonly Conversation[]; nextPageToken: string }> {
    const { onlyUnread = false, archived, kind } = filter;
    const request = {
      pageSize: 100,
      pageToken,
      onlyUnread,
      archived: archived === "only" ? ArchivedFilter.ONLY : archived ? ArchivedFilter.INCLUDED : 0,
      kind: kind === "direct" ? ConversationKind.DIRECT : kind ? ConversationKind.GROUP : 0,
    };
    const page = await this.service.call((call) => this.service.conversations.listConversations(request, call));
    const conversations = page.conversations.map(toConversation);
    this.#book.takeListed(conversations);
    this.#tellSoon();
    return { conversations, nextPageToken: page.nextPageToken };
  }

  /** Clears a conversation's history for the user alone, through a seq or all that is known. */
  async clearHistory(conversationId: string, throughSeq?: number): Promise<void> {
    const seq = throughSeq ?? this.#book.timeline(conversationId)?.newestSeq ?? 0;
    if (seq < 1) {
      return;
    }
    const { conversations } = this.service;
    const request = { conversationId, throughSeq: BigInt(seq) };
    const answer = await this.service.call((call) => conversations.clearConversationHistory(request, call));
    this.#takeSettings(conversationId, answer.settings);
    this.#book.takeMark(
      conversationId,
      this.#book.conversation(conversationId)?.readSeq ?? 0,
      Number(answer.unreadCount),
      Number(answer.countedSeq),
    );
    this.sync();
  }

  /** Hides a conversation from the user's lists until something newer is said there. */
  async hideConversation(conversationId: string): Promise<void> {
    const throughSeq = BigInt(this.#book.timeline(conversationId)?.newestSeq ?? 0);
    const { conversations } = this.service;
    const answer = await this.service.call((call) =>
      conversations.hideConversation({ conversationId, throughSeq }, call),
    );
    this.#takeSettings(conversationId, answer.settings);
  }

  /** Counts what is unread in all conversations that are neither archived nor hidden, muted ones apart. */
  async getUnreadTotals(): Promise<UnreadTotals> {
    const totals = await this.service.call((call) => this.service.conversations.getUnreadTotals({}, call));
    return {
      conversations: Number(totals.conversations),
      messages: Number(totals.messages),
      mutedConversations: Number(totals.mutedConversations),
      mutedMessages: Number(totals.mutedMessages),
    };
  }

  /** Reads a page of how far members have read, by user id, and where the next one begins. */
  async listReadPositions(
    conversationId: string,
    pageToken = "",
  ): Promise<{ readSeqs: ReadonlyMap<string, number>; nextPageToken: string }> {
    const request = { conversationId, pageSize: 100, pageToken };
    const page = await this.service.call((call) => this.service.conversations.listReadPositions(request, call));
    const readSeqs = new Map(page.positions.map(({ userId, readSeq }) => [userId, Number(readSeq)]));
    return { readSeqs, nextPageToken: page.nextPageToken };
  }

  /** Says that messages have reached this device, up to a seq. What is read need not be said to be. */
  async markDelivered(conversationId: string, deliveredSeq: number): Promise<void> {
    const request = { conversationId, deliveredSeq: BigInt(deliveredSeq) };
    await this.service.call((call) => this.service.conversations.markConversationDelivered(request, call));
  }

  /** Flags a conversation as unread, for the user alone; to mark it as read takes the flag off. */
  async markUnread(conversationId: string): Promise<void> {
    await this.#changeSettings(conversationId, (ids, call) =>
      this.service.conversations.markConversationUnread(ids, call),
    );
  }

  /** Changes settings as of the ones known here, or else as of what they are by now, since the user wants so now. */
  async #changeSettings(
    conversationId: string,
    change: (
      ids: { conversationId: string; settingsRevision: bigint },
      call: CallOptions,
    ) => Promise<{ settings?: Parameters<typeof toSettings>[0] | undefined; markedUnread: boolean }>,
  ): Promise<void> {
    const attempt = () => {
      const seen = this.#book.conversation(conversationId)?.settings.revision ?? 0;
      const ids = { conversationId, settingsRevision: BigInt(seen) };
      return this.service.call((call) => change(ids, call));
    };
    const { settings, markedUnread } = await attempt().catch(async (cause: unknown) => {
      if (ChatError.from(cause).code !== "Aborted") {
        throw cause;
      }
      const { conversations } = this.service;
      const { conversation } = await this.service.call((call) =>
        conversations.getConversation({ conversationId }, call),
      );
      this.#book.takeListed([toConversation(answered(conversation))]);
      return attempt();
    });
    this.#takeSettings(conversationId, settings, markedUnread);
  }

  /** Takes what a conversation is to the user by now. */
  #takeSettings(
    conversationId: string,
    settings: Parameters<typeof toSettings>[0] | undefined,
    isMarkedUnread = this.#book.conversation(conversationId)?.settings.isMarkedUnread ?? false,
  ): void {
    this.#book.takeSettings(conversationId, toSettings(answered(settings), isMarkedUnread));
    this.#tellSoon();
  }

  /** Makes a call that is done once, under one id however often it is repeated. */
  #callOnce<R extends object, A>(change: NamedCall<R, A>, request: R): Promise<A> {
    const named = { ...request, requestId: crypto.randomUUID() };
    return this.service.call((call) => change(named, call));
  }

  /** Asks a user to become a friend; who had asked already is one now. */
  async requestFriend(userId: string): Promise<Friend> {
    const { friends } = this.service;
    const { friend } = await this.service.call((call) => friends.requestFriend({ userId }, call));
    return toFriend(answered(friend));
  }

  /** Becomes the friend of a user who has asked. */
  acceptFriendRequest(userId: string): Promise<Friend> {
    return this.#respond(userId, FriendRequestAnswer.ACCEPT);
  }

  /** Drops a user's request; they may ask again. */
  declineFriendRequest(userId: string): Promise<Friend> {
    return this.#respond(userId, FriendRequestAnswer.DECLINE);
  }

  async #respond(userId: string, answer: FriendRequestAnswer): Promise<Friend> {
    const { friends } = this.service;
    const { friend } = await this.service.call((call) => friends.respondToFriendRequest({ userId, answer }, call));
    return toFriend(answered(friend));
  }

  /** Ends a friendship, or an open request from either side. */
  async removeFriend(userId: string): Promise<void> {
    await this.service.call((call) => this.service.friends.removeFriend({ userId }, call));
  }

  /** Sets what the user shows of themselves: what is named, and nothing else. */
  async updateProfile(profile: { displayName?: string; avatarUrl?: string }): Promise<Profile> {
    const request = { ...profile, updateMask: { paths: pathsOf(profile) } };
    const updated = await this.service.call((call) => this.service.users.upsertProfile(request, call));
    return this.#profiles.take(answered(updated.profile));
  }

  /** Reads how the service treats the user, which nobody else sees. */
  async getUserSettings(): Promise<UserSettings> {
    const { settings } = await this.service.call((call) => this.service.users.getUserSettings({}, call));
    return toUserSettings(answered(settings));
  }

  /** Sets what is named of that, and nothing else. Answers all of it. */
  async updateUserSettings(update: Partial<UserSettings>): Promise<UserSettings> {
    const request = { settings: fromUserSettings(update), updateMask: { paths: pathsOf(update) } };
    const { settings } = await this.service.call((call) => this.service.users.updateUserSettings(request, call));
    return toUserSettings(answered(settings));
  }

  /** Reads profiles anew, such as of whom one searches for. Those without a profile are left out. */
  readProfiles(userIds: readonly string[]): Promise<readonly Profile[]> {
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
      this.#session?.stop();
      this.#follower.stop();
      this.#marks.stop();
      this.#outbox?.stop();
      this.service.stop();
    }
    await this.#started.catch(() => undefined);
    if (forget) {
      this.#keeper?.stop();
      await this.#storage.clear().catch(() => undefined);
    } else {
      await this.#keeper?.keep();
    }
    this.#storage.close();
  }

  async #start(): Promise<void> {
    const { signal } = this.#stopped;
    const userId = this.#options.userId ?? (await this.#subject());
    this.#book.takeUserId(userId);
    const name = `${this.#host}:${userId}`;
    const { storage } = this.#options;
    if (storage !== undefined) {
      this.#storage = storage || new MemoryStorage();
    } else {
      this.#storage = await openStorage(`chat:${name}`);
    }
    const kept = await this.#storage.load().catch(() => NOTHING_KEPT);
    this.#profiles.restore(kept.profiles);
    this.#restore(kept.friends, kept.conversations);
    this.#outbox = new Outbox(
      name,
      this.service,
      this.#storage,
      this.#outboxListener(),
      this.#options.pushWait ?? 10_000,
    );
    this.#session = new Session(
      name,
      this.service,
      { ...LIVE_DEFAULTS, ...this.#options.live },
      {
        live: () => this.#live(),
        notLive: () => this.#notLive(),
        event: (event) => this.#event(event),
        failed: (error) => this.#failed(ChatError.from(error)),
      },
    );
    this.#tell();
    this.#tellRestored();
    signal.throwIfAborted();
    this.#outbox.start(kept.outgoing);
    this.#follower.start();
    this.#session.listen();
    this.#marks.resume();
    watchPage(this.#pageListener(), this.#options.hiddenFor ?? (() => 300_000), signal);
  }

  #restore(friends: readonly Friend[], conversations: readonly KeptConversation[]): void {
    this.#keeper = new Keeper(this.#book, this.#storage);
    const withHistory = conversations.filter((it) => it.timeline).sort((one, other) => other.openedAt - one.openedAt);
    const [goneOn, left] = [withHistory.slice(0, UNWATCHED_MAX), new Set(withHistory.slice(UNWATCHED_MAX))];
    this.#keeper.restore(conversations, left);
    this.#book.restore(
      friends,
      conversations.map((it) => (left.has(it) ? { ...it, timeline: undefined } : it)),
    );
    const opened = goneOn.map((it) => it.conversation.conversationId);
    // What was opened before there was anything to restore comes first.
    this.#opened = [...this.#opened, ...opened.filter((id) => !this.#opened.includes(id))];
  }

  /**
   * The subject of the token, without a look at its signature: it decides where things are kept, and what tabs share, and
   * nothing else. It is asked for until there is one.
   */
  async #subject(): Promise<string> {
    for (let failures = 1; ; failures += 1) {
      let token: string;
      try {
        token = await this.#options.token();
      } catch (cause) {
        this.#failed(new ChatError(cause));
        await sleep(backoff(failures), this.#stopped.signal);
        continue;
      }
      return subjectOf(token);
    }
  }

  #outboxListener(): OutboxListener {
    return {
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
    };
  }

  #pageListener(): PageListener {
    return {
      back: () => {
        this.#session?.listen();
        this.#outbox?.hurry();
        this.#marks.resume();
        this.#follower.resume();
        // The answer to a heartbeat makes it sync.
        if (!this.#session?.check()) {
          this.#follower.sync();
        }
      },
      offline: () => {
        this.#tellStatus({ connection: "offline" });
        this.#session?.check();
      },
      hidden: () => {
        this.#keeper?.keep();
      },
      away: () => {
        this.#keeper?.keep();
        this.#session?.pause();
        this.#follower.pause();
      },
    };
  }

  #event(event: LiveEvent): void {
    const { conversationId, happening } = event;
    const wasThere = this.#book.conversation(conversationId) !== undefined;
    this.#follower.event(event);
    if (happening.kind === "membershipEnded") {
      const { reason } = happening;
      // An older one than what is known ends nothing; a repeat that does not say why says nothing new.
      if (!this.#book.conversation(conversationId) && (wasThere || reason !== "unknown")) {
        tellAll(this.#endListeners, { conversationId, reason });
      }
    }
    if (happening.kind === "joinRequested") {
      tellAll(this.#joinListeners, { conversationId, userId: happening.userId });
    }
    if (happening.kind === "messageSent") {
      this.#outbox?.hear(happening.message);
      this.#completeQuote(happening.message);
    }
    if (happening.kind === "pong" && this.#isLive) {
      this.#tellStatus({ connection: "live" });
    }
  }

  #live(): void {
    this.#isLive = true;
    this.#tellStatus({ connection: "live", failure: undefined });
    this.#follower.live();
  }

  #notLive(): void {
    if (this.#isLive) {
      this.#isLive = false;
      this.#tellStatus({ connection: globalThis.navigator?.onLine === false ? "offline" : "polling" });
    }
    this.#follower.notLive();
  }

  /** Reads what lists show of conversations that only the feed has told of, the newest ones. */
  async #readPreviews(): Promise<void> {
    const { conversations } = this.service;
    const isLacking = () =>
      this.#conversations.getSnapshot().some(({ lastMessage, isLoaded }) => !lastMessage && !isLoaded);
    let pageToken = "";
    for (let pages = 0; pages < PREVIEW_PAGES_MAX && isLacking(); pages += 1) {
      try {
        const request = { pageSize: 100, pageToken, archived: ArchivedFilter.INCLUDED };
        const page = await this.service.call((call) => conversations.listConversations(request, call));
        this.#book.takeListed(page.conversations.map(toConversation));
        this.#tell();
        pageToken = page.nextPageToken;
      } catch {
        // They show what is said from now on.
        return;
      }
      if (!pageToken) {
        return;
      }
    }
  }

  /** Reads a reply once more whose quote is older than what is loaded. */
  #completeQuote({ conversationId, messageId, seq }: Message): void {
    const state = this.#book.conversation(conversationId);
    const known = state?.messages.findLast((message) => message.seq <= seq);
    if (known?.messageId === messageId && lacksQuote(known)) {
      this.getMessage(conversationId, messageId).then(
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

  async #theOutbox(): Promise<Outbox> {
    await this.#started;
    if (!this.#outbox) {
      throw new Error("the client was stopped before it had started");
    }
    return this.#outbox;
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
    if (conversationIds.size > 0) {
      const states = [...this.#book.conversationIds()].map((id) => this.#book.conversation(id) as ConversationState);
      states.sort(byActivity);
      this.#conversations.set(states);
      for (const id of conversationIds) {
        this.#tellMessages(id);
        this.#tellNews(id);
      }
    }
    if (friends) {
      this.#friends.set([...this.#book.friends.values()].sort((one, other) => (one.userId < other.userId ? -1 : 1)));
    }
    this.#keeper?.changed(conversationIds, friends);
    // After what was synced is there.
    if (this.#book.syncs > this.#syncs) {
      if (this.#syncs === 0) {
        this.#readPreviews();
      }
      this.#syncs = this.#book.syncs;
      this.#tellStatus({ isStale: false, failure: undefined, connection: this.#isLive ? "live" : "polling" });
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
    if (!conversation && before.conversation && cell.isWatched) {
      // Whoever looks at it sees it go on should the user come back to it.
      this.#book.open(conversationId);
    }
    if (conversation !== before.conversation || !isSame) {
      cell.set({ conversation, outgoing: isSame ? before.outgoing : outgoing });
    }
  }

  /** Tells of messages that are newer than all before. What the first sync brings is no news. */
  #tellNews(conversationId: string): void {
    const state = this.#book.conversation(conversationId);
    const { lastMessage } = state ?? {};
    const before = this.#newestSeqs.get(conversationId) ?? 0;
    if (!state || !lastMessage || lastMessage.seq <= before) {
      return;
    }
    this.#newestSeqs.set(conversationId, lastMessage.seq);
    if (this.#syncs === 0 || this.#messageListeners.size === 0) {
      return;
    }
    const { userId } = this.#book;
    const loaded = state.messages.slice(lowerBound(state.messages, (message) => message.seq <= before));
    const news = state.isLoaded && before > 0 ? loaded.map(lastMessageOf) : [lastMessage];
    for (const message of news) {
      if (message.senderId !== userId) {
        tellAll(this.#messageListeners, { ...message, conversationId });
      }
    }
  }

  #look(conversationId: string): Messages {
    const conversation = this.#book.conversation(conversationId);
    const waiting = this.#outbox?.of(conversationId) ?? NOTHING_OUTGOING;
    if (waiting.length === 0) {
      return { conversation, outgoing: NOTHING_OUTGOING };
    }
    // By a push or an answer, whichever came first: then it is shown as what it has become.
    const isThere = ({ clientMessageId }: Outgoing) =>
      conversation?.messages.findLast(
        (message) => message.clientMessageId === clientMessageId && message.senderId === this.#book.userId,
      ) !== undefined;
    return { conversation, outgoing: waiting.filter((outgoing) => !isThere(outgoing)) };
  }
}

const NOTHING_KEPT: Kept = { friends: [], conversations: [], profiles: [], outgoing: [] };

/** Who a token is for, as it says. */
function subjectOf(token: string): string {
  try {
    const [, payload = ""] = token.split(".");
    const { sub } = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { sub?: unknown };
    if (typeof sub === "string" && sub) {
      return sub;
    }
  } catch {
    // Told below.
  }
  throw new Error("what `token` answered is no JWT with a `sub`: see what it is, or give the option userId");
}

/** The fields of the contract that an update names. */
function pathsOf(update: object): string[] {
  return Object.entries(update)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`));
}

/** Those of a group: of its settings the ones that are given. */
function groupPathsOf({ settings = {}, ...group }: GroupUpdate): string[] {
  return [...pathsOf(group), ...pathsOf(settings).map((path) => `settings.${path}`)];
}

/** Adds a listener. Answers how to stop that. */
function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Reads all pages of a list. `read` answers one, and where to go on. */
async function allPages<T>(
  read: (page: { pageSize: number; pageToken: string }) => Promise<readonly [readonly T[], string]>,
): Promise<readonly T[]> {
  const all: T[] = [];
  let pageToken = "";
  do {
    const [items, next] = await read({ pageSize: 100, pageToken });
    all.push(...items);
    pageToken = next;
  } while (pageToken);
  return all;
}

/** What is set of a group, for a request. */
function toRequest({ settings, ...group }: GroupUpdate) {
  return { ...group, ...(settings && { settings: fromGroupSettings(settings) }) };
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
