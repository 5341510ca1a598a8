/** Groups, against the running service. */

import "fake-indexeddb/auto";
import { afterEach, expect, test } from "vitest";
import {
  type ChatClient,
  type ChatClientOptions,
  type JoinRequested,
  type MembershipEndReason,
  MemoryStorage,
  waitFor,
} from "../src/index.ts";
import { clientOf, newUser } from "./service.ts";

const clients: ChatClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((made) => made.stop()));
});

interface Somebody {
  readonly id: string;
  readonly chat: ChatClient;
}

function arrive(name: string, options: Partial<ChatClientOptions> = {}): Somebody {
  const id = newUser(name);
  const chat = clientOf(id, { userId: id, ...options });
  clients.push(chat);
  return { id, chat };
}

/** Alice and two friends of hers. */
async function alice(options: Partial<ChatClientOptions> = {}): Promise<[Somebody, Somebody, Somebody]> {
  const people: [Somebody, Somebody, Somebody] = [arrive("alice", options), arrive("bob"), arrive("carol")];
  const [first, ...friends] = people;
  for (const friend of friends) {
    await first.chat.requestFriend(friend.id);
    await friend.chat.acceptFriendRequest(first.id);
  }
  return people;
}

/** Alice and her friends in a group, which all of them follow. */
async function group(options: Partial<ChatClientOptions> = {}) {
  const [ofAlice, ofBob, ofCarol] = await alice(options);
  const userIds = [ofBob.id, ofCarol.id];
  const { conversationId: id } = await ofAlice.chat.createGroup({ name: "Trains", userIds });
  for (const { chat } of [ofAlice, ofBob, ofCarol]) {
    await waitFor(chat.messages(id), (it) => it.conversation?.isLoaded === true);
  }
  return { id, alice: ofAlice, bob: ofBob, carol: ofCarol };
}

function state({ chat }: Somebody, id: string) {
  return chat.messages(id).getSnapshot().conversation;
}

/** A network that counts calls of an RPC with their bodies, and loses answers of as many of them as it is told. */
class Network {
  readonly bodies: string[] = [];
  #losses = 0;
  readonly #rpc: string;

  constructor(rpc: string) {
    this.#rpc = rpc;
  }

  lose(losses: number): void {
    this.#losses = losses;
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (String(input).endsWith(`/${this.#rpc}`)) {
      this.bodies.push(new TextDecoder("latin1").decode(init?.body as Uint8Array));
      if (this.#losses > 0) {
        this.#losses -= 1;
        throw new TypeError("the answer was lost");
      }
    }
    return response;
  };
}

test("who makes a group owns it, and who is no friend is named and left out", async () => {
  const [ofAlice, ofBob] = await alice();
  const settings = {
    memberPermissions: ["addMembers"],
    adminPermissions: ["manageRoles"],
    showsHistory: true,
  } as const;
  const made = await ofAlice.chat.createGroup({
    name: "Trains",
    description: "On Sundays",
    avatarUrl: "https://example.com/train.png",
    userIds: [ofBob.id, "nobody"],
    settings,
  });
  expect(made.notAddedUserIds).toEqual(["nobody"]);
  const { conversation } = await waitFor(
    ofAlice.chat.messages(made.conversationId),
    (it) => it.conversation?.isLoaded === true,
  );
  expect(conversation).toMatchObject({
    kind: "group",
    group: {
      name: "Trains",
      description: "On Sundays",
      avatarUrl: "https://example.com/train.png",
      memberCount: 2,
      role: "owner",
      settings: { memberPermissions: ["addMembers"], showsHistory: true },
    },
    changes: [{ action: "created", actorId: ofAlice.id, userIds: [ofBob.id], name: "Trains", afterSeq: 0 }],
  });
  expect(conversation?.group?.settings.adminPermissions).toContain("manageRoles");
  expect(conversation?.roles).toEqual(
    new Map([
      [ofAlice.id, "owner"],
      [ofBob.id, "member"],
    ]),
  );
});

test("an answer is known at once to who asked, and to the others by events", async () => {
  const { id, alice, bob } = await group();
  await alice.chat.updateGroup(id, { name: "Boats" });
  expect(state(alice, id)?.group).toMatchObject({ name: "Boats", description: "" });
  await alice.chat.updateGroup(id, { description: "On Sundays" });
  expect(state(alice, id)?.group).toMatchObject({ name: "Boats", description: "On Sundays" });
  await alice.chat.setGroupMemberRole(id, bob.id, "admin");
  expect(state(alice, id)?.roles.get(bob.id)).toBe("admin");
  const { conversation } = await waitFor(bob.chat.messages(id), (it) => it.conversation?.group?.role === "admin");
  expect(conversation?.group).toMatchObject({ name: "Boats", description: "On Sundays" });
  await waitFor(bob.chat.messages(id), (it) => it.conversation?.changes.length === 4);
  expect(state(bob, id)?.changes.map(({ action }) => action)).toEqual(["created", "renamed", "updated", "roleChanged"]);
  const { members, nextPageToken } = await bob.chat.listGroupMembers(id);
  expect(nextPageToken).toBe("");
  expect(new Map(members.map(({ userId, role }) => [userId, role]))).toEqual(state(bob, id)?.roles);
});

test("who is removed knows nothing of the group any more, and follows it again when added", async () => {
  const { id, alice, bob, carol } = await group();
  // Bob's page goes on to look at it.
  bob.chat.messages(id).subscribe(() => undefined);
  await alice.chat.send(id, "before");
  await waitFor(bob.chat.messages(id), (it) => it.conversation?.messages.length === 1);
  await alice.chat.removeGroupMember(id, bob.id);
  expect(state(alice, id)?.memberIds).not.toContain(bob.id);
  await waitFor(bob.chat.messages(id), (it) => it.conversation === undefined);
  expect(bob.chat.conversations().getSnapshot()).toEqual([]);
  await expect(bob.chat.getPage(id, {})).rejects.toMatchObject({ reason: "CONVERSATION_NOT_FOUND" });
  expect(await alice.chat.addGroupMembers(id, [bob.id])).toEqual({ conversationId: id, notAddedUserIds: [] });
  await carol.chat.send(id, "after");
  const { conversation } = await waitFor(bob.chat.messages(id), (it) => it.conversation?.messages.length === 1);
  expect(conversation?.messages[0]?.text).toBe("after");
  expect(conversation?.changes).toMatchObject([{ action: "membersAdded", userIds: [bob.id] }]);
});

test("an owner hands over and leaves, and the next one deletes", async () => {
  const { id, alice, bob, carol } = await group();
  await expect(alice.chat.leaveGroup(id)).rejects.toMatchObject({ reason: "OWNER_CANNOT_LEAVE" });
  await expect(bob.chat.deleteGroup(id)).rejects.toMatchObject({ reason: "NOT_PERMITTED" });
  await alice.chat.transferGroupOwnership(id, bob.id);
  expect(state(alice, id)?.group?.role).toBe("admin");
  await alice.chat.leaveGroup(id);
  await waitFor(alice.chat.messages(id), (it) => it.conversation === undefined);
  await waitFor(carol.chat.messages(id), (it) => it.conversation?.group?.memberCount === 2);
  await bob.chat.deleteGroup(id);
  for (const { chat } of [bob, carol]) {
    await waitFor(chat.messages(id), (it) => it.conversation === undefined);
  }
});

test("a call whose answer is lost is repeated under its id, and done once", async () => {
  const network = new Network("CreateGroup");
  const [ofAlice, ofBob] = await alice({ fetch: network.fetch });
  network.lose(2);
  await ofAlice.chat.createGroup({ name: "Once", userIds: [ofBob.id] });
  expect(network.bodies.length).toBe(3);
  expect(new Set(network.bodies).size).toBe(1);
  await waitFor(ofBob.chat.conversations(), (all) => all.length === 1);
  // Another time it is another group.
  await ofAlice.chat.createGroup({ name: "Once", userIds: [ofBob.id] });
  await waitFor(ofBob.chat.conversations(), (all) => all.length === 2);
  expect(new Set(network.bodies).size).toBe(2);
});

test("a part of long ago tells how the group changed then", async () => {
  const { id, alice } = await group();
  for (const text of ["one", "two"]) {
    await alice.chat.send(id, text);
    await waitFor(alice.chat.messages(id), (it) => it.outgoing.length === 0);
    await alice.chat.updateGroup(id, { name: `After ${text}` });
  }
  const history = alice.chat.history(id, 1);
  await history.load();
  expect(history.getSnapshot()?.changes.map(({ name, afterSeq }) => `${name}@${afterSeq}`)).toEqual([
    "Trains@0",
    "After one@1",
    "After two@2",
  ]);
});

test.each([
  ["in memory", () => new MemoryStorage()],
  ["in IndexedDB", () => undefined],
])("a group is shown again without a network, with roles and changes, and goes on with it, %s", async (_, open) => {
  const kept = { storage: open() } as Partial<ChatClientOptions>;
  const { id, alice, bob, carol } = await group(kept);
  await bob.chat.send(id, "hello");
  await alice.chat.setGroupMemberRole(id, bob.id, "admin");
  await waitFor(
    alice.chat.messages(id),
    (it) => it.conversation?.messages.length === 1 && it.conversation.changes.length === 2,
  );
  const before = state(alice, id);
  await alice.chat.stop();

  let isThere = false;
  const later = clientOf(alice.id, {
    userId: alice.id,
    ...kept,
    fetch: (input, init) => (isThere ? fetch(input, init) : Promise.reject(new TypeError("there is no network"))),
  });
  clients.push(later);
  const { conversation } = await waitFor(later.messages(id), (it) => it.conversation?.isLoaded === true);
  expect(conversation).toMatchObject({
    group: before?.group,
    roles: before?.roles,
    changes: before?.changes,
    memberIds: before?.memberIds,
  });
  // What happens meanwhile is what it goes on with.
  await bob.chat.removeGroupMember(id, carol.id);
  isThere = true;
  const now = await waitFor(later.messages(id), (it) => it.conversation?.changes.length === 3);
  expect(now.conversation?.memberIds).toEqual([alice.id, bob.id].sort());
  expect(now.conversation?.group).toMatchObject({ memberCount: 2, role: "owner" });
});

test("what was kept before there were groups is shown as ever", async () => {
  const storage = new MemoryStorage();
  const { id, alice } = await group({ storage });
  await alice.chat.send(id, "hello");
  await waitFor(alice.chat.messages(id), (it) => it.conversation?.messages.length === 1);
  await alice.chat.stop();
  const old = await storage.load();
  const [line] = old.conversations;
  const { group: _, ...conversation } = line?.conversation ?? ({} as never);
  const { changes: __, ...timeline } = line?.timeline ?? ({} as never);
  const members = conversation.members.map(({ userId, readSeq }) => ({ userId, readSeq }));
  await storage.putConversations([{ ...line, conversation: { ...conversation, members }, timeline } as never], []);
  const later = clientOf(alice.id, {
    userId: alice.id,
    storage,
    fetch: () => Promise.reject(new TypeError("there is no network")),
  });
  clients.push(later);
  const shown = await waitFor(later.messages(id), (it) => it.conversation?.isLoaded === true);
  expect(shown.conversation).toMatchObject({ group: undefined, roles: new Map(), changes: [] });
  expect(shown.conversation?.messages.map(({ text }) => text)).toEqual(["hello"]);
});

test("two admins who change different settings do not undo each other", async () => {
  const { id, alice, bob } = await group();
  await alice.chat.updateGroup(id, { settings: { adminPermissions: ["changeSettings", "manageInvites"] } });
  await alice.chat.setGroupMemberRole(id, bob.id, "admin");
  await waitFor(bob.chat.messages(id), (it) => it.conversation?.group?.role === "admin");
  await alice.chat.updateGroup(id, { settings: { showsHistory: true } });
  await bob.chat.updateGroup(id, { settings: { memberPermissions: ["sendMessages"] } });
  const settings = {
    memberPermissions: ["sendMessages"],
    adminPermissions: ["sendMessages", "changeSettings", "manageInvites"],
    showsHistory: true,
  };
  expect(state(bob, id)?.group?.settings).toEqual(settings);
  const { conversation } = await waitFor(alice.chat.messages(id), (it) => it.conversation?.changes.length === 5);
  expect(conversation?.group?.settings).toEqual(settings);
  // What had that value already is no change, and is named in none.
  await alice.chat.updateGroup(id, { description: "On Sundays", settings: { showsHistory: true } });
  expect(state(alice, id)?.group).toMatchObject({ description: "On Sundays", settings });
  const told = await waitFor(bob.chat.messages(id), (it) => it.conversation?.changes.length === 6);
  expect(told.conversation?.changes.map(({ action, updated }) => [action, updated])).toEqual([
    ["created", undefined],
    ["updated", ["settings.adminPermissions"]],
    ["roleChanged", undefined],
    ["updated", ["settings.showsHistory"]],
    ["updated", ["settings.memberPermissions"]],
    ["updated", ["description"]],
  ]);
});

test("who has an invite sees where it leads, joins once, and is told of", async () => {
  const { id, alice } = await group();
  const invite = await alice.chat.createGroupInvite(id, { validFor: 3_600_000, maxUses: 2 });
  expect(invite).toMatchObject({ creatorId: alice.id, maxUses: 2, uses: 0, needsApproval: false });
  expect((invite.expiresAt ?? 0) - invite.createdAt).toBe(3_600_000);
  const dave = arrive("dave");
  expect(await dave.chat.getGroupInvite(invite.token)).toEqual({
    name: "Trains",
    description: "",
    avatarUrl: "",
    memberCount: 3,
    needsApproval: false,
    hasAsked: false,
  });
  expect(await dave.chat.joinGroup(invite.token)).toBe(id);
  const joined = await waitFor(dave.chat.messages(id), (it) => it.conversation?.isLoaded === true);
  expect(joined.conversation?.group).toMatchObject({ name: "Trains", memberCount: 4, role: "member" });
  const { conversation } = await waitFor(alice.chat.messages(id), (it) => it.conversation?.changes.length === 2);
  expect(conversation?.changes[1]).toMatchObject({ action: "memberJoined", actorId: dave.id });
  expect(conversation?.roles.get(dave.id)).toBe("member");
  expect(await dave.chat.getGroupInvite(invite.token)).toMatchObject({ memberCount: 4, conversationId: id });
  expect(await dave.chat.joinGroup(invite.token)).toBe(id);
  expect(await alice.chat.listGroupInvites(id)).toEqual([{ ...invite, uses: 1 }]);
  const forEver = await alice.chat.createGroupInvite(id);
  expect(forEver).not.toHaveProperty("expiresAt");
  expect((await alice.chat.listGroupInvites(id)).map(({ inviteId }) => inviteId)).toEqual([
    forEver.inviteId,
    invite.inviteId,
  ]);
  await expect(dave.chat.listGroupInvites(id)).rejects.toMatchObject({ reason: "NOT_PERMITTED" });
  await alice.chat.revokeGroupInvite(id, invite.inviteId);
  const erin = arrive("erin");
  await expect(erin.chat.getGroupInvite(invite.token)).rejects.toMatchObject({ reason: "INVITE_NOT_FOUND" });
  await expect(erin.chat.joinGroup(invite.token)).rejects.toMatchObject({ reason: "INVITE_NOT_FOUND" });
  await expect(erin.chat.getGroupInvite("nowhere")).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
});

test("who has to ask is let in, or turned away and asks again", async () => {
  const { id, alice } = await group();
  const { token } = await alice.chat.createGroupInvite(id, { needsApproval: true });
  const asked: JoinRequested[] = [];
  const stop = alice.chat.onJoinRequest((request) => asked.push(request));
  await waitFor(alice.chat.status, ({ connection }) => connection === "live");
  const dave = arrive("dave");
  expect(await dave.chat.getGroupInvite(token)).toMatchObject({ needsApproval: true, hasAsked: false });
  expect(await dave.chat.joinGroup(token)).toBeUndefined();
  await expect.poll(() => asked).toEqual([{ conversationId: id, userId: dave.id }]);
  expect(await dave.chat.getGroupInvite(token)).toMatchObject({ hasAsked: true });
  const [request] = await alice.chat.listJoinRequests(id);
  expect(request?.userId).toBe(dave.id);
  expect(request?.requestedAt).toBeGreaterThan(0);
  await alice.chat.answerJoinRequest(id, dave.id, false);
  expect(await alice.chat.listJoinRequests(id)).toEqual([]);
  await expect(alice.chat.answerJoinRequest(id, dave.id, true)).rejects.toMatchObject({
    reason: "JOIN_REQUEST_NOT_FOUND",
  });
  expect(await dave.chat.joinGroup(token)).toBeUndefined();
  await expect.poll(() => asked.length).toBe(2);
  stop();
  await alice.chat.answerJoinRequest(id, dave.id, true);
  // Known at once to who has answered, and to who has asked as soon as they are told.
  expect(state(alice, id)?.memberIds).toContain(dave.id);
  await waitFor(dave.chat.conversations(), (all) => all[0]?.group?.name === "Trains");
});

test("an invite and a use of one whose answers are lost are made once", async () => {
  const made = new Network("CreateGroupInvite");
  const { id, alice } = await group({ fetch: made.fetch });
  made.lose(2);
  const { token } = await alice.chat.createGroupInvite(id, { maxUses: 2 });
  expect(made.bodies.length).toBe(3);
  const joined = new Network("JoinGroup");
  const dave = arrive("dave", { fetch: joined.fetch });
  joined.lose(2);
  expect(await dave.chat.joinGroup(token)).toBe(id);
  expect(joined.bodies.length).toBe(3);
  expect((await alice.chat.listGroupInvites(id)).map(({ uses }) => uses)).toEqual([1]);
});

test("who is in a group no more is told why, before the group is gone", async () => {
  const { id, alice, bob, carol } = await group();
  const ends: [string, MembershipEndReason, boolean][] = [];
  for (const { id: userId, chat } of [alice, bob, carol]) {
    await waitFor(chat.status, ({ connection }) => connection === "live");
    const { [userId]: name } = { [alice.id]: "alice", [bob.id]: "bob", [carol.id]: "carol" };
    chat.onMembershipEnd(({ conversationId, reason }) => {
      const isShown = chat.messages(id).getSnapshot().conversation !== undefined;
      ends.push([name as string, reason, isShown && conversationId === id]);
    });
  }
  await alice.chat.removeGroupMember(id, bob.id);
  await expect.poll(() => ends.splice(0)).toEqual([["bob", "removed", true]]);
  await alice.chat.deleteGroup(id);
  await waitFor(carol.chat.messages(id), (it) => it.conversation === undefined);
  expect(ends).toContainEqual(["carol", "groupDeleted", true]);
  const { conversationId: other } = await bob.chat.createGroup({ name: "Boats", userIds: [alice.id] });
  await waitFor(alice.chat.conversations(), (all) => all.length === 1);
  await alice.chat.leaveGroup(other);
  await expect.poll(() => ends.map(([name, reason]) => `${name} ${reason}`)).toContain("alice left");
});

test("who lets nobody add them is named, and who lets anyone is added by who is no friend", async () => {
  const [ofAlice, ofBob] = await alice();
  const dave = arrive("dave");
  expect(await ofBob.chat.getUserSettings()).toEqual({ groupAdders: "friends" });
  expect(await ofBob.chat.updateUserSettings({ groupAdders: "nobody" })).toEqual({ groupAdders: "nobody" });
  await dave.chat.updateUserSettings({ groupAdders: "anyone" });
  const made = await ofAlice.chat.createGroup({ name: "Trains", userIds: [ofBob.id, dave.id] });
  expect(made.notAddedUserIds).toEqual([ofBob.id]);
  await waitFor(dave.chat.conversations(), (all) => all.some((it) => it.conversationId === made.conversationId));
  await ofBob.chat.updateUserSettings({ groupAdders: "friends" });
  expect(await ofBob.chat.getUserSettings()).toEqual({ groupAdders: "friends" });
  const added = await ofAlice.chat.addGroupMembers(made.conversationId, [ofBob.id]);
  expect(added.notAddedUserIds).toEqual([]);
});
