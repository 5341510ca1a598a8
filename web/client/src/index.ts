/** A chat for the browser: friends, conversations and messages of a user, up to date, also offline. */

export type { KeptConversation } from "./book.ts";
export {
  ChatClient,
  type ChatClientOptions,
  type ConversationsFilter,
  type GroupAdded,
  type GroupUpdate,
  type JoinRequested,
  type MembershipEnd,
  type Messages,
  type NewGroup,
  type NewGroupInvite,
  type NewMessage,
  type SettingsUpdate,
  type Status,
  type UnreadTotals,
} from "./client.ts";
export { ChatError, type ErrorCode, type Violation } from "./errors.ts";
export type { FollowOptions, PagePosition } from "./follower.ts";
export type { History, HistoryState } from "./history.ts";
export type { LiveOptions } from "./live.ts";
export {
  type Conversation,
  type ConversationSettings,
  type Friend,
  type FriendshipState,
  type Group,
  type GroupAction,
  type GroupAdders,
  type GroupChange,
  type GroupInvite,
  type GroupPermission,
  type GroupRole,
  type GroupSettings,
  type InvitedTo,
  type JoinRequest,
  type LastMessage,
  type Member,
  type MembershipEndReason,
  type Message,
  NAMED_MEMBERS_MAX,
  type Page,
  type Profile,
  type Quote,
  type Reply,
  type UserSettings,
} from "./model.ts";
export type { CallOptions, Calls, Service, ServiceOptions, TokenSource } from "./service.ts";
export { type Kept, MemoryStorage, type Outgoing, type Storage } from "./storage.ts";
export { type Store, waitFor } from "./store.ts";
export { type ConversationState, UNREAD_MAX } from "./timeline.ts";
