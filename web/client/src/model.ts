/**
 * What the contract says, as programs like to have it: numbers for seqs and revisions, milliseconds for times. Everything
 * that comes from the service is turned into these once, at the edge.
 */

import { create } from "@bufbuild/protobuf";
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Conversation as ConversationProto,
  type ConversationCursor as CursorProto,
  type FeedCursor as FeedCursorProto,
  type FeedSync as FeedSyncProto,
  type LastMessage as LastMessageProto,
  type Member as MemberProto,
  MembershipState,
  type ConversationSettings as SettingsProto,
  SyncConversationsRequestSchema,
  type SyncConversationsRequest as SyncRequestProto,
  type SyncConversationsResponse as SyncResponseProto,
} from "./generated/chat/v1/conversation_pb.ts";
import type { Friend as FriendProto } from "./generated/chat/v1/friend_pb.ts";
import type {
  GroupChange as GroupChangeProto,
  GroupInvite as GroupInviteProto,
  Group as GroupProto,
  GroupSettings as GroupSettingsProto,
  JoinRequest as JoinRequestProto,
} from "./generated/chat/v1/group_pb.ts";
import type { GetGroupInviteResponse } from "./generated/chat/v1/group_service_pb.ts";
import type { LiveEvent as LiveEventProto } from "./generated/chat/v1/live_pb.ts";
import type {
  ListMessagesResponse as ListMessagesProto,
  Message as MessageProto,
} from "./generated/chat/v1/message_pb.ts";
import type { Profile as ProfileProto, UserSettings as UserSettingsProto } from "./generated/chat/v1/user_pb.ts";

/** Something that was said. */
export interface Message {
  readonly conversationId: string;
  readonly messageId: string;
  /** Its place among the conversation's messages. */
  readonly seq: number;
  /** Its place among all changes of the conversation. */
  readonly revision: number;
  readonly senderId: string;
  /** The id that the sender chose. */
  readonly clientMessageId: string;
  readonly text: string;
  readonly replyTo?: Reply;
  /** When it got its place, in milliseconds since 1970. */
  readonly sentAt: number;
  /** Of two copies, the one with the greater value is newer. */
  readonly stateRevision: number;
}

/** What a message replies to. */
export interface Reply {
  readonly messageId: string;
  readonly seq: number;
  /** What the quoted message says now; absent in what was pushed. */
  readonly quote?: Quote;
  /** Whether the quoted message cannot be seen, or is not there any more. */
  readonly isUnavailable: boolean;
}

/** What a quoted message says now. */
export interface Quote {
  readonly senderId: string;
  readonly excerpt: string;
}

/** The newest message of a conversation, for a list. */
export interface LastMessage {
  readonly messageId: string;
  readonly seq: number;
  readonly senderId: string;
  readonly excerpt: string;
  readonly sentAt: number;
}

/** What a member is to a group. Each role may do what those before it may. */
export type GroupRole = "member" | "admin" | "owner";

/** What may be allowed to a role; an owner may all of it. */
export type GroupPermission =
  | "sendMessages"
  | "addMembers"
  | "editInfo"
  | "removeMembers"
  | "manageRoles"
  | "changeSettings"
  | "manageInvites";

/** How a group works. */
export interface GroupSettings {
  /** What every member may. */
  readonly memberPermissions: readonly GroupPermission[];
  /** What admins may besides. */
  readonly adminPermissions: readonly GroupPermission[];
  /** Whether new members see what was said before they came. */
  readonly showsHistory: boolean;
}

/** Who may make a user a member of groups without asking them. */
export type GroupAdders = "friends" | "anyone" | "nobody";

/** How the service treats a user. */
export interface UserSettings {
  /** Nothing where a later version of the service knows more than these. */
  readonly groupAdders: GroupAdders | undefined;
}

/**
 * Members of a conversation of whom all are named, at most. Where there are more, how far each has read is told to nobody else, and
 * live events come out of order more often.
 */
export const NAMED_MEMBERS_MAX = 100;

/** What a conversation is beyond one, if it is a group. */
export interface Group {
  readonly name: string;
  readonly description: string;
  readonly avatarUrl: string;
  readonly settings: GroupSettings;
  readonly memberCount: number;
  /** What the user is in it. */
  readonly role?: GroupRole | undefined;
  /** Of two copies, the one with the greater value is newer. */
  readonly stateRevision: number;
}

/** What happened to a group; `unknown` is what a later version of the service did. */
export type GroupAction =
  | "created"
  | "renamed"
  | "updated"
  | "membersAdded"
  | "memberRemoved"
  | "memberLeft"
  | "roleChanged"
  | "ownershipTransferred"
  | "memberJoined"
  | "unknown";

/** A change of a group, as its history tells it. */
export interface GroupChange {
  readonly revision: number;
  /** In the history it stands below the message with this seq. */
  readonly afterSeq: number;
  readonly actorId: string;
  readonly action: GroupAction;
  /** Whom it is about. */
  readonly userIds: readonly string[];
  /** The name that was given. */
  readonly name: string;
  /** The role that was given. */
  readonly role?: GroupRole | undefined;
  /** In milliseconds since 1970. */
  readonly changedAt: number;
  /** Of an update, what has another value than before, such as `description` or `settings.showsHistory`, if that is known. */
  readonly updated?: readonly string[];
}

/** A link into a group: whoever has its token may join, or ask to. */
export interface GroupInvite {
  /** Names it to those who manage invites. */
  readonly inviteId: string;
  /** What the link carries: a secret of those who are to join. */
  readonly token: string;
  readonly creatorId: string;
  /** In milliseconds since 1970. */
  readonly createdAt: number;
  /** In milliseconds since 1970; absent: never. */
  readonly expiresAt?: number;
  /** How many may join by it, or ask to; 0: any number. */
  readonly maxUses: number;
  readonly uses: number;
  /** Whether who has it asks to join, and waits to be let in. */
  readonly needsApproval: boolean;
}

/** Where an invite leads, and how the user stands to it. */
export interface InvitedTo {
  readonly name: string;
  readonly description: string;
  readonly avatarUrl: string;
  readonly memberCount: number;
  /** Whether the user would ask to join. */
  readonly needsApproval: boolean;
  /** Whether the user has asked to join. */
  readonly hasAsked: boolean;
  /** The group, if the user is a member. */
  readonly conversationId?: string;
}

/** Somebody who asks to join a group. */
export interface JoinRequest {
  readonly userId: string;
  /** In milliseconds since 1970. */
  readonly requestedAt: number;
}

/** Why a membership ended; `unknown` is one of the others. */
export type MembershipEndReason = "left" | "removed" | "groupDeleted" | "unknown";

/** A member of a conversation, and how far they have read. */
export interface Member {
  readonly userId: string;
  readonly readSeq: number;
  /** The greatest seq that has reached a device of theirs, as far as they have said. */
  readonly deliveredSeq?: number;
  /** In a group. */
  readonly role?: GroupRole | undefined;
}

/** A conversation as the service tells of it. */
export interface Conversation {
  readonly conversationId: string;
  readonly kind: "direct" | "group" | "unknown";
  readonly members: readonly Member[];
  readonly revision: number;
  readonly countedSeq: number;
  readonly unreadCount: number;
  readonly lastMessage?: LastMessage;
  readonly createdAt: number;
  readonly lastActivityAt: number;
  readonly group?: Group | undefined;
  /** Absent where it was not told. */
  readonly settings?: ConversationSettings | undefined;
}

/** What a conversation is to the user alone. */
export interface ConversationSettings {
  /** Until when it is to make no sound, in milliseconds since 1970; 0 when it is not muted. */
  readonly mutedUntil: number;
  readonly isArchived: boolean;
  readonly isPinned: boolean;
  /** Whether the user has marked it as unread. */
  readonly isMarkedUnread: boolean;
  /** Nothing up to this seq is shown to the user. */
  readonly visibleFromSeq: number;
  /** Hidden from lists unless something was said after this seq. */
  readonly hiddenThroughSeq?: number | undefined;
  /** Of two copies, the one with the greater value is newer. */
  readonly revision: number;
}

/** How the user and another stand. */
export type FriendshipState = "none" | "requestSent" | "requestReceived" | "accepted";

/** Another user, seen from the user. */
export interface Friend {
  readonly userId: string;
  readonly state: FriendshipState;
  /** When that last changed, in milliseconds since 1970. */
  readonly updatedAt: number;
}

/** What a user shows of themselves. */
export interface Profile {
  readonly userId: string;
  readonly displayName: string;
  readonly avatarUrl: string;
}

/** How far a client is in one conversation. */
export interface Cursor {
  readonly conversationId: string;
  readonly joinedRevision: number;
  readonly revision: number;
  readonly epoch: number;
}

/** How far a client is in the user's own feed. */
export interface FeedCursor {
  readonly epoch: number;
  readonly revision: number;
  readonly listingThrough: number;
}

/** A page of history, by increasing seq. */
export interface Page {
  readonly messages: readonly Message[];
  readonly hasMoreBefore: boolean;
  readonly hasMoreAfter: boolean;
  /** How the group changed, by increasing revision. */
  readonly changes: readonly GroupChange[];
}

/** One revision of a conversation: a message's present state, a change of the group, or nothing that this client knows. */
export type Change =
  | { readonly revision: number; readonly kind: "group"; readonly change: GroupChange }
  | { readonly revision: number; readonly kind: "message"; readonly message: Message }
  | { readonly revision: number; readonly kind: "void" | "unknown" };

/** What changed in one conversation. */
export interface ConversationSync {
  readonly cursor: Cursor;
  readonly reset: boolean;
  readonly changes: readonly Change[];
  readonly incomplete: boolean;
  /** How long to wait before asking again, in milliseconds, when the next change is still being written. */
  readonly retryAfter?: number;
  readonly revision: number;
  readonly cursorSeq: number;
  readonly countedSeq: number;
  readonly unreadCount: number;
  readonly members: readonly Member[];
  readonly group?: Group | undefined;
}

/** The newest state of one thing in the user's feed. */
export type FeedChange =
  | { readonly revision: number; readonly kind: "friend"; readonly friend: Friend }
  | {
      readonly revision: number;
      readonly kind: "membership";
      readonly isActive: boolean;
      readonly conversation: Conversation;
    }
  | { readonly revision: number; readonly kind: "unknown" };

/** What changed for the user alone. */
export interface FeedSync {
  readonly cursor: FeedCursor;
  readonly reset: boolean;
  readonly changes: readonly FeedChange[];
  readonly incomplete: boolean;
  readonly revision: number;
}

/** What a client asks a sync. */
export interface SyncRequest {
  readonly cursors: readonly Cursor[];
  readonly feed: FeedCursor;
}

/** What changed. */
export interface SyncAnswer {
  readonly conversations: readonly ConversationSync[];
  readonly feed?: FeedSync;
  readonly lostConversationIds: readonly string[];
}

/** What happened, as a live event tells it. */
export type Happening =
  | { readonly kind: "welcome"; readonly userId: string; readonly expiresAt: number }
  | { readonly kind: "pong" | "poke" | "unknown" }
  | { readonly kind: "membershipEnded"; readonly reason: MembershipEndReason }
  | { readonly kind: "joinRequested"; readonly userId: string }
  | {
      readonly kind: "groupChanged";
      readonly change: GroupChange;
      readonly group: Group | undefined;
      /** Those that the change is about, as they are now. */
      readonly members: readonly Member[];
    }
  | { readonly kind: "messageSent"; readonly message: Message }
  | {
      readonly kind: "readPositionMoved";
      readonly userId: string;
      readonly readSeq: number;
      readonly unreadCount?: number;
      readonly countedSeq: number;
    }
  | { readonly kind: "conversationOpened"; readonly conversation: Conversation }
  | { readonly kind: "friendChanged"; readonly friend: Friend }
  | { readonly kind: "deliveredPositionMoved"; readonly userId: string; readonly deliveredSeq: number }
  | { readonly kind: "settingsChanged"; readonly settings: ConversationSettings }
  | { readonly kind: "error"; readonly reason: string };

/** A live event: a hint. */
export interface LiveEvent {
  readonly conversationId: string;
  readonly revision: number;
  readonly previousRevision: number;
  readonly feedRevision: number;
  readonly happening: Happening;
}

/** A time that is not said lies at the beginning. */
function time(timestamp: Timestamp | undefined): number {
  return timestamp ? timestampMs(timestamp) : 0;
}

function milliseconds(duration: Duration): number {
  return Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000;
}

export function toMessage(proto: MessageProto): Message {
  const { replyTo } = proto;
  return {
    conversationId: proto.conversationId,
    messageId: proto.messageId,
    seq: Number(proto.seq),
    revision: Number(proto.revision),
    senderId: proto.senderId,
    clientMessageId: proto.clientMessageId,
    text: proto.text,
    ...(replyTo && {
      replyTo: {
        messageId: replyTo.messageId,
        seq: Number(replyTo.seq),
        isUnavailable: replyTo.unavailable,
        ...(replyTo.quote && { quote: { senderId: replyTo.quote.senderId, excerpt: replyTo.quote.excerpt } }),
      },
    }),
    sentAt: time(proto.sentAt),
    stateRevision: Number(proto.stateRevision),
  };
}

function toLastMessage(proto: LastMessageProto): LastMessage {
  return {
    messageId: proto.messageId,
    seq: Number(proto.seq),
    senderId: proto.senderId,
    excerpt: proto.excerpt,
    sentAt: time(proto.sentAt),
  };
}

// What the contract's enums say, at the places of their numbers: those do not change, and a name weighs more.
const KINDS: readonly Conversation["kind"][] = ["unknown", "direct", "group"];

const ROLES: readonly (GroupRole | undefined)[] = [undefined, "member", "admin", "owner"];

const PERMISSIONS: readonly (GroupPermission | undefined)[] = [
  undefined,
  "sendMessages",
  "addMembers",
  "editInfo",
  "removeMembers",
  "manageRoles",
  "changeSettings",
  "manageInvites",
];

const GROUP_ADDERS: readonly (GroupAdders | undefined)[] = [undefined, "friends", "anyone", "nobody"];

const ACTIONS: readonly GroupAction[] = [
  "unknown",
  "created",
  "renamed",
  "updated",
  "membersAdded",
  "memberRemoved",
  "memberLeft",
  "roleChanged",
  "ownershipTransferred",
  "memberJoined",
];

const END_REASONS: readonly MembershipEndReason[] = ["unknown", "left", "removed", "groupDeleted"];

export function toMember({ userId, readSeq, deliveredSeq, role }: MemberProto): Member {
  return { userId, readSeq: Number(readSeq), deliveredSeq: Number(deliveredSeq), role: ROLES[role] };
}

function toPermissions(numbers: readonly number[]): readonly GroupPermission[] {
  return numbers.flatMap((number) => PERMISSIONS[number] ?? []);
}

function fromPermissions(permissions: readonly GroupPermission[]): number[] {
  return permissions.map((permission) => PERMISSIONS.indexOf(permission));
}

function toGroupSettings(proto: GroupSettingsProto | undefined): GroupSettings {
  return {
    memberPermissions: toPermissions(proto?.memberPermissions ?? []),
    adminPermissions: toPermissions(proto?.adminPermissions ?? []),
    showsHistory: proto?.showsHistory ?? false,
  };
}

/** A group's settings for a request: those that are given. */
export function fromGroupSettings({
  memberPermissions = [],
  adminPermissions = [],
  showsHistory = false,
}: Partial<GroupSettings>) {
  return {
    memberPermissions: fromPermissions(memberPermissions),
    adminPermissions: fromPermissions(adminPermissions),
    showsHistory,
  };
}

export function toUserSettings({ groupAdders }: UserSettingsProto): UserSettings {
  return { groupAdders: GROUP_ADDERS[groupAdders] };
}

/** A user's settings for a request: those that are given. */
export function fromUserSettings({ groupAdders }: Partial<UserSettings>) {
  return { groupAdders: GROUP_ADDERS.indexOf(groupAdders) };
}

/** A role for a request. */
export function fromGroupRole(role: GroupRole): number {
  return ROLES.indexOf(role);
}

function toGroup(proto: GroupProto | undefined): Group | undefined {
  return (
    proto && {
      name: proto.name,
      description: proto.description,
      avatarUrl: proto.avatarUrl,
      settings: toGroupSettings(proto.settings),
      memberCount: proto.memberCount,
      role: ROLES[proto.role],
      stateRevision: Number(proto.stateRevision),
    }
  );
}

function toGroupChange(proto: GroupChangeProto): GroupChange {
  const { updated } = proto;
  return {
    revision: Number(proto.revision),
    afterSeq: Number(proto.afterSeq),
    actorId: proto.actorId,
    action: ACTIONS[proto.action] ?? "unknown",
    userIds: proto.userIds,
    name: proto.name,
    role: ROLES[proto.role],
    changedAt: time(proto.changedAt),
    ...(updated && {
      updated: updated.paths.map((path) => path.replaceAll(/_./gu, ([, letter = ""]) => letter.toUpperCase())),
    }),
  };
}

export function toSettings(proto: SettingsProto, isMarkedUnread: boolean): ConversationSettings {
  return {
    mutedUntil: time(proto.mutedUntil),
    isArchived: proto.archived,
    isPinned: proto.pinned,
    isMarkedUnread,
    visibleFromSeq: Number(proto.visibleFromSeq),
    ...(proto.hiddenThroughSeq !== undefined && { hiddenThroughSeq: Number(proto.hiddenThroughSeq) }),
    revision: Number(proto.revision),
  };
}

export function toGroupInvite(proto: GroupInviteProto): GroupInvite {
  const { inviteId, token, creatorId, expiresAt, maxUses, uses, needsApproval } = proto;
  return {
    inviteId,
    token,
    creatorId,
    createdAt: time(proto.createdAt),
    ...(expiresAt && { expiresAt: time(expiresAt) }),
    maxUses,
    uses,
    needsApproval,
  };
}

export function toInvitedTo(proto: GetGroupInviteResponse): InvitedTo {
  const { name, description, avatarUrl, memberCount, needsApproval, hasAsked, conversationId } = proto;
  return {
    name,
    description,
    avatarUrl,
    memberCount,
    needsApproval,
    hasAsked,
    ...(conversationId && { conversationId }),
  };
}

export function toJoinRequest({ userId, requestedAt }: JoinRequestProto): JoinRequest {
  return { userId, requestedAt: time(requestedAt) };
}

export function toConversation(proto: ConversationProto): Conversation {
  const group = toGroup(proto.group);
  return {
    conversationId: proto.conversationId,
    kind: KINDS[proto.kind] ?? "unknown",
    members: proto.members.map(toMember),
    ...(group && { group }),
    revision: Number(proto.revision),
    countedSeq: Number(proto.countedSeq),
    unreadCount: Number(proto.unreadCount),
    ...(proto.lastMessage && { lastMessage: toLastMessage(proto.lastMessage) }),
    createdAt: time(proto.createdAt),
    lastActivityAt: time(proto.lastActivityAt),
    ...(proto.settings && { settings: toSettings(proto.settings, proto.markedUnread) }),
  };
}

const FRIENDSHIP_STATES: readonly FriendshipState[] = ["none", "requestSent", "requestReceived", "accepted"];

export function toFriend(proto: FriendProto): Friend {
  return {
    userId: proto.userId,
    state: FRIENDSHIP_STATES[proto.state] ?? "none",
    updatedAt: time(proto.updatedAt),
  };
}

export function toProfile({ userId, displayName, avatarUrl }: ProfileProto): Profile {
  return { userId, displayName, avatarUrl };
}

export function toPage(proto: ListMessagesProto): Page {
  return {
    messages: proto.messages.map(toMessage),
    hasMoreBefore: proto.hasMoreBefore,
    hasMoreAfter: proto.hasMoreAfter,
    changes: proto.groupChanges.map(toGroupChange),
  };
}

function toCursor(proto: CursorProto): Cursor {
  return {
    conversationId: proto.conversationId,
    joinedRevision: Number(proto.joinedRevision),
    revision: Number(proto.revision),
    epoch: Number(proto.epoch),
  };
}

function toFeedCursor(proto: FeedCursorProto | undefined): FeedCursor {
  return {
    epoch: Number(proto?.epoch ?? 0n),
    revision: Number(proto?.revision ?? 0n),
    listingThrough: Number(proto?.listingThrough ?? 0n),
  };
}

function toFeedSync(proto: FeedSyncProto): FeedSync {
  return {
    cursor: toFeedCursor(proto.cursor),
    reset: proto.reset,
    changes: proto.changes.map(({ revision: place, change }): FeedChange => {
      const revision = Number(place);
      if (change.case === "friend") {
        return { revision, kind: "friend", friend: toFriend(change.value) };
      }
      if (change.case === "membership" && change.value.conversation) {
        const isActive = change.value.state === MembershipState.ACTIVE;
        return { revision, kind: "membership", isActive, conversation: toConversation(change.value.conversation) };
      }
      return { revision, kind: "unknown" };
    }),
    incomplete: proto.incomplete,
    revision: Number(proto.revision),
  };
}

export function toSyncAnswer(proto: SyncResponseProto): SyncAnswer {
  return {
    conversations: proto.conversations.flatMap((sync) => {
      if (!sync.cursor) {
        return [];
      }
      const retryAfter = sync.retryAfter ? milliseconds(sync.retryAfter) : 0;
      return [
        {
          cursor: toCursor(sync.cursor),
          reset: sync.reset,
          changes: sync.changes.map(({ revision: place, kind }): Change => {
            const revision = Number(place);
            if (kind.case === "messageSent") {
              return { revision, kind: "message", message: toMessage(kind.value) };
            }
            if (kind.case === "groupChanged") {
              return { revision, kind: "group", change: toGroupChange(kind.value) };
            }
            return { revision, kind: kind.case === "void" ? "void" : "unknown" };
          }),
          incomplete: sync.incomplete,
          ...(retryAfter > 0 && { retryAfter }),
          revision: Number(sync.revision),
          cursorSeq: Number(sync.cursorSeq),
          countedSeq: Number(sync.countedSeq),
          unreadCount: Number(sync.unreadCount),
          members: sync.members.map(toMember),
          group: toGroup(sync.group),
        },
      ];
    }),
    ...(proto.feed && { feed: toFeedSync(proto.feed) }),
    lostConversationIds: proto.lostConversationIds,
  };
}

export function fromSyncRequest(request: SyncRequest): SyncRequestProto {
  return create(SyncConversationsRequestSchema, {
    cursors: request.cursors.map((cursor) => ({
      conversationId: cursor.conversationId,
      joinedRevision: BigInt(cursor.joinedRevision),
      revision: BigInt(cursor.revision),
      epoch: BigInt(cursor.epoch),
    })),
    feed: {
      epoch: BigInt(request.feed.epoch),
      revision: BigInt(request.feed.revision),
      listingThrough: BigInt(request.feed.listingThrough),
    },
  });
}

function toHappening({ event }: LiveEventProto): Happening {
  switch (event.case) {
    case "welcome":
      return { kind: "welcome", userId: event.value.userId, expiresAt: time(event.value.expiresAt) };
    case "pong":
    case "poke":
      return { kind: event.case };
    case "membershipEnded":
      return { kind: "membershipEnded", reason: END_REASONS[event.value.reason] ?? "unknown" };
    case "joinRequested":
      return { kind: "joinRequested", userId: event.value.userId };
    case "messageSent":
      return { kind: "messageSent", message: toMessage(event.value) };
    case "groupChanged": {
      const { change, group, members } = event.value;
      return change
        ? {
            kind: "groupChanged",
            change: toGroupChange(change),
            group: toGroup(group),
            members: members.map(toMember),
          }
        : { kind: "unknown" };
    }
    case "readPositionMoved": {
      const { userId, readSeq, unreadCount, countedSeq } = event.value;
      return {
        kind: "readPositionMoved",
        userId,
        readSeq: Number(readSeq),
        ...(unreadCount !== undefined && { unreadCount: Number(unreadCount) }),
        countedSeq: Number(countedSeq),
      };
    }
    case "conversationOpened":
      return event.value.conversation
        ? { kind: "conversationOpened", conversation: toConversation(event.value.conversation) }
        : { kind: "unknown" };
    case "friendChanged":
      return event.value.friend ? { kind: "friendChanged", friend: toFriend(event.value.friend) } : { kind: "unknown" };
    case "deliveredPositionMoved":
      return { kind: event.case, userId: event.value.userId, deliveredSeq: Number(event.value.deliveredSeq) };
    case "conversationSettingsChanged":
      return event.value.settings
        ? { kind: "settingsChanged", settings: toSettings(event.value.settings, event.value.markedUnread) }
        : { kind: "unknown" };
    case "error":
      return { kind: "error", reason: event.value.reason };
    default:
      return { kind: "unknown" };
  }
}

export function toLiveEvent(proto: LiveEventProto): LiveEvent {
  return {
    conversationId: proto.conversationId,
    revision: Number(proto.revision),
    previousRevision: Number(proto.previousRevision),
    feedRevision: Number(proto.feedRevision),
    happening: toHappening(proto),
  };
}
