/** What the contract's enums are called here. */

import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Book } from "../src/book.ts";
import { ConversationKind, ConversationSchema, MemberSchema } from "../src/generated/chat/v1/conversation_pb.ts";
import { FriendSchema, FriendState } from "../src/generated/chat/v1/friend_pb.ts";
import { GroupAction, GroupChangeSchema, GroupPermission, GroupRole } from "../src/generated/chat/v1/group_pb.ts";
import { LiveEventSchema, MembershipEndReason } from "../src/generated/chat/v1/live_pb.ts";
import { ListMessagesResponseSchema } from "../src/generated/chat/v1/message_pb.ts";
import { readFrame } from "../src/live.ts";
import {
  fromGroupRole,
  fromGroupSettings,
  toConversation,
  toFriend,
  toLiveEvent,
  toMember,
  toPage,
} from "../src/model.ts";

/** The names of an enum's numbers, as this client writes names. */
function names(numbers: object): [number, string][] {
  return Object.entries(numbers)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number" && entry[1] > 0)
    .map(([name, number]) => [
      number,
      name.toLowerCase().replaceAll(/_./gu, ([, letter = ""]) => letter.toUpperCase()),
    ]);
}

test.each(names(ConversationKind))("a conversation of kind %i is %s", (kind, name) => {
  expect(toConversation(create(ConversationSchema, { kind })).kind).toBe(name);
});

test.each(names(FriendState))("a friendship in state %i is %s", (state, name) => {
  expect(toFriend(create(FriendSchema, { state })).state).toBe(name);
});

test.each(names(GroupRole))("a member of role %i is %s, there and back", (role, name) => {
  const member = toMember(create(MemberSchema, { role }));
  expect(member.role).toBe(name);
  expect(member.role && fromGroupRole(member.role)).toBe(role);
});

test.each(names(GroupAction))("a change of action %i is %s", (action, name) => {
  const page = create(ListMessagesResponseSchema, { groupChanges: [create(GroupChangeSchema, { action })] });
  expect(toPage(page).changes[0]?.action).toBe(name);
});

test.each(names(GroupPermission))("permission %i is %s, there and back", (permission, name) => {
  const settings = { memberPermissions: [permission], adminPermissions: [], showsHistory: false };
  const known = toConversation(create(ConversationSchema, { group: { settings } })).group?.settings;
  expect(known?.memberPermissions).toEqual([name]);
  expect(known && fromGroupSettings(known)).toEqual(settings);
});

test.each(names(MembershipEndReason))("a membership that ended for reason %i was %s", (reason, name) => {
  const event = create(LiveEventSchema, { event: { case: "membershipEnded", value: { reason } } });
  expect(toLiveEvent(event).happening).toEqual({ kind: "membershipEnded", reason: name });
});

test("that somebody asks to join is nothing to follow", () => {
  const event = readFrame('{"conversationId": "a", "joinRequested": {"userId": "dave"}}');
  expect(event).toMatchObject({ conversationId: "a", happening: { kind: "joinRequested", userId: "dave" } });
  expect(new Book().takeEvent(event)).toBe("nothing");
});

test("what a later version of the service says is not known", () => {
  const conversation = create(ConversationSchema, {
    kind: 99 as ConversationKind,
    members: [{ role: 99 as GroupRole }],
    group: { settings: { memberPermissions: [99 as GroupPermission] } },
  });
  expect(toConversation(conversation)).toMatchObject({
    kind: "unknown",
    members: [{ role: undefined }],
    group: { settings: { memberPermissions: [] } },
  });
});
