/** What the contract's enums are called here, and what a client learns of the members of large groups. */

import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Book } from "../src/book.ts";
import {
  ConversationKind,
  ConversationSchema,
  MemberSchema,
  SyncConversationsResponseSchema,
} from "../src/generated/chat/v1/conversation_pb.ts";
import { FriendSchema, FriendState } from "../src/generated/chat/v1/friend_pb.ts";
import { GroupAction, GroupChangeSchema, GroupPermission, GroupRole } from "../src/generated/chat/v1/group_pb.ts";
import { LiveEventSchema, MembershipEndReason } from "../src/generated/chat/v1/live_pb.ts";
import { ListMessagesResponseSchema } from "../src/generated/chat/v1/message_pb.ts";
import { readFrame } from "../src/live.ts";
import {
  type Conversation,
  type ConversationSync,
  fromGroupRole,
  fromGroupSettings,
  toConversation,
  toFriend,
  toLiveEvent,
  toMember,
  toPage,
  toSyncAnswer,
} from "../src/model.ts";
import { Timeline } from "../src/timeline.ts";

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

/** The first ones of a large group by user id, and the user, as the service lists them; as of a revision. */
function listed(stateRevision: number, ...members: [string, GroupRole?][]): Conversation {
  return toConversation(
    create(ConversationSchema, {
      conversationId: "a",
      members: members.map(([userId, role = GroupRole.MEMBER]) => ({ userId, role })),
      group: { memberCount: 130, stateRevision: BigInt(stateRevision) },
    }),
  );
}

/** Changes of a group as its history tells them, each a revision above the one before. */
function told(from: number, ...changes: [GroupAction, string, string[], GroupRole?][]): ConversationSync {
  const answer = create(SyncConversationsResponseSchema, {
    conversations: [
      {
        cursor: { conversationId: "a", joinedRevision: 1n, revision: BigInt(from + changes.length), epoch: 1n },
        changes: changes.map(([action, actorId, userIds, role = GroupRole.UNSPECIFIED], number) => {
          const revision = BigInt(from + 1 + number);
          return {
            revision,
            kind: { case: "groupChanged" as const, value: { revision, action, actorId, userIds, role } },
          };
        }),
      },
    ],
  });
  return toSyncAnswer(answer).conversations[0] as ConversationSync;
}

/** A large group that Mia follows, who was told of its first members, as of a revision. */
function largeGroup(stateRevision: number): Timeline {
  const list = listed(stateRevision, ["bob"], ["carol", GroupRole.OWNER], ["dave"], ["mia"]);
  const timeline = new Timeline("mia", list);
  timeline.open();
  const start = { ...told(stateRevision), reset: true, members: list.members, group: list.group };
  timeline.takeSync(timeline.cursor, start);
  timeline.takePage(toPage(create(ListMessagesResponseSchema)));
  return timeline;
}

function roles({ state }: Timeline): Record<string, string> {
  expect(state.memberIds).toEqual([...state.roles.keys()].sort());
  return Object.fromEntries(state.roles);
}

test("what a sync tells of a large group says who is in it, and in which role", () => {
  const timeline = largeGroup(10);
  expect(roles(timeline)).toEqual({ bob: "member", carol: "owner", dave: "member", mia: "member" });
  const changes = told(
    10,
    [GroupAction.MEMBERS_ADDED, "carol", ["zoe", "yve", "xia"]],
    [GroupAction.MEMBER_JOINED, "wim", []],
    [GroupAction.ROLE_CHANGED, "carol", ["zoe"], GroupRole.ADMIN],
    [GroupAction.MEMBER_REMOVED, "zoe", ["dave"]],
    [GroupAction.MEMBER_LEFT, "yve", []],
    [GroupAction.OWNERSHIP_TRANSFERRED, "carol", ["xia"], GroupRole.OWNER],
  );
  timeline.takeSync(timeline.cursor, changes);
  const after = { bob: "member", carol: "admin", mia: "member", wim: "member", xia: "owner", zoe: "admin" };
  expect(roles(timeline)).toEqual(after);
  // Answered once more, and from further below, it is no news.
  timeline.takeSync(timeline.cursor, told(10, [GroupAction.MEMBERS_ADDED, "carol", ["dave", "yve"]]));
  expect(roles(timeline)).toEqual(after);
});

test("who made a group owns it, and who was named is in it", () => {
  const timeline = new Timeline("mia", listed(0));
  timeline.open();
  timeline.takeSync(timeline.cursor, told(0, [GroupAction.CREATED, "carol", ["mia", "zoe"]]));
  expect(roles(timeline)).toEqual({ carol: "owner", mia: "member", zoe: "member" });
});

test("who would stand among the first members, and is not on a newer list of those, is no member", () => {
  const timeline = largeGroup(10);
  timeline.takeSync(timeline.cursor, told(10, [GroupAction.MEMBERS_ADDED, "carol", ["abe", "cem", "zoe"]]));
  // Newer than what is known of Dave, not than what is known of Abe and Cem.
  timeline.takeConversation(listed(10, ["bob"], ["carol"], ["eve"], ["mia"]));
  const names = () => Object.keys(roles(timeline)).sort();
  expect(names()).toEqual(["abe", "bob", "carol", "cem", "eve", "mia", "zoe"]);
  // Mia is on every list: that she is there says nothing of those between the last one before her and herself.
  timeline.takeConversation(listed(11, ["bob"], ["cem"], ["mia"]));
  expect(names()).toEqual(["bob", "cem", "eve", "mia", "zoe"]);
  // What is older does not bring them back.
  timeline.takeSync(timeline.cursor, told(9, [GroupAction.ROLE_CHANGED, "bob", ["carol"], GroupRole.ADMIN]));
  expect(names()).toEqual(["bob", "cem", "eve", "mia", "zoe"]);
});

test("what a device kept of a large group is older than the changes that it had not got yet", () => {
  const timeline = largeGroup(10);
  timeline.takeSync(timeline.cursor, told(10, [GroupAction.MEMBERS_ADDED, "carol", ["zoe"]]));
  // Heard above a gap, in which Zoe was removed.
  timeline.takeConversation(listed(13, ["bob"], ["carol"], ["dave"], ["mia"]));
  const { line } = timeline;
  const kept = timeline.keep(100);
  const restored = new Timeline("mia", line.conversation);
  restored.restoreLine(line);
  if (kept) {
    restored.restore(kept);
  }
  expect(roles(restored)).toEqual(roles(timeline));
  restored.takeSync(restored.cursor, told(11, [GroupAction.MEMBER_REMOVED, "carol", ["zoe"]]));
  expect(Object.keys(roles(restored)).sort()).toEqual(["bob", "carol", "dave", "mia"]);
});

test("what starts over knows those that it is told of then, and those of whom it knows something newer", () => {
  const timeline = largeGroup(10);
  timeline.takeSync(timeline.cursor, told(10, [GroupAction.MEMBERS_ADDED, "carol", ["yve", "zoe"]]));
  timeline.takeSync(timeline.cursor, told(19, [GroupAction.ROLE_CHANGED, "carol", ["zoe"], GroupRole.ADMIN]));
  // What became of Yve meanwhile is among what is not told any more.
  const { members, group } = listed(15, ["bob"], ["carol"], ["dave"], ["mia"]);
  timeline.takeSync(timeline.cursor, { ...told(30), reset: true, members, group });
  expect(Object.keys(roles(timeline)).sort()).toEqual(["bob", "carol", "dave", "mia", "zoe"]);
});

test("a page of members is as of what was known when it was asked for, and kept up to date then", () => {
  const timeline = largeGroup(10);
  timeline.takeSync(timeline.cursor, told(10, [GroupAction.MEMBER_REMOVED, "carol", ["zoe"]]));
  timeline.takeConversation(listed(12, ["bob"], ["carol"], ["dave"], ["mia"]));
  const page = ["xia", "yve", "zoe"].map((userId) => ({ userId, readSeq: 0, role: "member" as const }));
  // Asked for before it was known that Zoe was removed, and before another life of the databases.
  timeline.takeGroupMembers(page, 10);
  timeline.takeGroupMembers([{ userId: "wim", readSeq: 0, role: "member" }], 99);
  timeline.takeSync(timeline.cursor, told(12, [GroupAction.MEMBER_LEFT, "yve", []]));
  expect(Object.keys(roles(timeline)).sort()).toEqual(["bob", "carol", "dave", "mia", "xia"]);
});
