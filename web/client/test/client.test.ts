/** The client against the running service. */

import { afterEach, expect, test } from "vitest";
import { type ChatClient, ChatError, waitFor } from "../src/index.ts";
import { clientOf, friends, newUser } from "./service.ts";

const clients: ChatClient[] = [];

function client(...[user, options]: Parameters<typeof clientOf>): ChatClient {
  const made = clientOf(user, options);
  clients.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((made) => made.stop()));
});

test("two friends talk and see what the other has read", async () => {
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [ofAlice, ofBob] = [client(alice), client(bob)];
  const conversation = await friends(ofAlice, ofBob, [alice, bob]);

  const seen = waitFor(ofBob.messages(conversation), (it) => (it.conversation?.messages.length ?? 0) === 2);
  await ofAlice.send(conversation, "Hello Bob");
  await ofAlice.send(conversation, "Are you there?");
  const { conversation: state } = await seen;
  expect(state?.messages.map((message) => message.text)).toEqual(["Hello Bob", "Are you there?"]);
  expect(state?.unreadCount).toBe(2);

  ofBob.markRead(conversation);
  await waitFor(ofAlice.messages(conversation), (it) => it.conversation?.readSeqs.get(bob) === 2);
  expect(ofBob.messages(conversation).getSnapshot().conversation?.unreadCount).toBe(0);
});

test("a reply quotes what it is about", async () => {
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [ofAlice, ofBob] = [client(alice), client(bob)];
  const conversation = await friends(ofAlice, ofBob, [alice, bob]);
  await ofAlice.send(conversation, "What time is it?");
  const asked = await waitFor(ofBob.messages(conversation), (it) => it.conversation?.messages.length === 1);
  await ofBob.reply(conversation, asked.conversation?.messages[0]?.messageId ?? "", "Noon");
  const answered = await waitFor(ofBob.messages(conversation), (it) => it.conversation?.messages.length === 2);
  expect(answered.conversation?.messages[1]?.replyTo).toMatchObject({ seq: 1, quote: { excerpt: "What time is it?" } });
});

test("what is sent is shown at once, in order, and confirmed later", async () => {
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [ofAlice, ofBob] = [client(alice), client(bob)];
  const conversation = await friends(ofAlice, ofBob, [alice, bob]);
  const messages = ofAlice.messages(conversation);
  await waitFor(messages, (it) => it.conversation?.isLoaded === true);
  const texts = ["one", "two", "three"];
  await Promise.all(texts.map((text) => ofAlice.send(conversation, text)));
  expect(messages.getSnapshot().outgoing.map((outgoing) => outgoing.text)).toEqual(texts);
  const sent = await waitFor(messages, (it) => it.outgoing.length === 0);
  expect(sent.conversation?.messages.map((message) => message.text)).toEqual(texts);
});

test("a message that is refused says why, and can be tried again or dropped", async () => {
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [ofAlice, ofBob] = [client(alice), client(bob)];
  const conversation = await friends(ofAlice, ofBob, [alice, bob]);
  await ofBob.removeFriend(alice);
  const messages = ofAlice.messages(conversation);
  await ofAlice.send(conversation, "Still friends?");
  const refused = await waitFor(messages, (it) => it.outgoing[0]?.status === "failed");
  expect(refused.outgoing[0]?.failure).toMatchObject({ code: "FailedPrecondition", reason: "CANNOT_SEND" });
  expect(await ofAlice.outgoing()).toEqual(refused.outgoing);

  await ofBob.requestFriend(alice);
  await ofAlice.acceptFriendRequest(bob);
  await ofAlice.retry(refused.outgoing[0]?.clientMessageId ?? "");
  const sent = await waitFor(messages, (it) => it.outgoing.length === 0);
  expect(sent.conversation?.messages.map((message) => message.text)).toEqual(["Still friends?"]);
  expect(await ofAlice.outgoing()).toEqual([]);
});

test("a bad field is named", async () => {
  const user = newUser("alice");
  const error = await client(user)
    .updateProfile({ displayName: " " })
    .catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(ChatError);
  expect(error).toMatchObject({ code: "InvalidArgument", reason: "INVALID_FIELDS", isNotDone: true });
  expect((error as ChatError).violations.map((violation) => violation.field)).toEqual(["display_name"]);
});

test("a token that is refused is asked for once more", async () => {
  const user = newUser("alice");
  const refused: (string | undefined)[] = [];
  const { tokenOf } = await import("./service.ts");
  const patient = client(user, {
    userId: user,
    token: (before) => {
      refused.push(before);
      return before === undefined ? "nonsense" : tokenOf(user);
    },
  });
  await patient.updateProfile({ displayName: "Alice" });
  expect(refused).toContain("nonsense");

  const stubborn = client(user, { userId: user, token: () => "nonsense" });
  const error = await stubborn.updateProfile({ displayName: "Alice" }).catch((failure: unknown) => failure);
  expect(error).toMatchObject({ code: "Unauthenticated" });
});
