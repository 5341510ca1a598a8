/** What a conversation is to its user alone, against the running service. */

import "fake-indexeddb/auto";
import { afterEach, expect, test } from "vitest";
import { type ChatClient, type ConversationSettings, waitFor } from "../src/index.ts";
import { clientOf, friends, newUser } from "./service.ts";

const clients: ChatClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((made) => made.stop()));
});

function arrive(id: string): ChatClient {
  const chat = clientOf(id, { userId: id });
  clients.push(chat);
  return chat;
}

/** Alice with two devices, and Bob, in their conversation. */
async function people() {
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [first, second, other] = [arrive(alice), arrive(alice), arrive(bob)];
  const id = await friends(first, other, [alice, bob]);
  for (const chat of [first, second, other]) {
    await waitFor(chat.messages(id), ({ conversation }) => conversation?.isLoaded === true);
  }
  return { id, first, second, other, alice, bob };
}

async function settled(chat: ChatClient, id: string, wanted: Partial<ConversationSettings>): Promise<void> {
  await waitFor(chat.messages(id), ({ conversation }) =>
    Object.entries(wanted).every(
      ([name, value]) => conversation?.settings[name as keyof ConversationSettings] === value,
    ),
  );
}

test("what one device settles, the other one is told, and nobody else", async () => {
  const { id, first, second, other } = await people();
  const mutedUntil = Math.floor(Date.now() / 1_000) * 1_000 + 3_600_000;
  await first.updateConversationSettings(id, { isPinned: true, mutedUntil });
  await settled(second, id, { isPinned: true, mutedUntil, isArchived: false });
  // As of what the other device has settled meanwhile.
  await second.updateConversationSettings(id, { mutedUntil: 0 });
  await first.updateConversationSettings(id, { isArchived: true });
  for (const chat of [first, second]) {
    await settled(chat, id, { isPinned: true, mutedUntil: 0, isArchived: true });
  }
  await settled(other, id, { isPinned: false, isArchived: false });
  const archived = await first.listConversations({ archived: "only" });
  expect(archived.conversations.map(({ conversationId }) => conversationId)).toEqual([id]);
  expect((await first.listConversations()).conversations).toEqual([]);
});

test("a conversation is flagged as unread until it is read, and counted", async () => {
  const { id, first, second, other } = await people();
  await other.send(id, "Hello");
  await waitFor(first.messages(id), ({ conversation }) => conversation?.unreadCount === 1);
  expect(await first.getUnreadTotals()).toMatchObject({ conversations: 1, messages: 1, mutedConversations: 0 });
  first.markRead(id, 1);
  await waitFor(second.messages(id), ({ conversation }) => conversation?.unreadCount === 0);
  await first.markUnread(id);
  await settled(second, id, { isMarkedUnread: true });
  second.markRead(id, 1);
  await settled(first, id, { isMarkedUnread: false });
  // Again, before the moment is over in which one mark follows another.
  await first.markUnread(id);
  await settled(second, id, { isMarkedUnread: true });
  second.markRead(id, 1);
  await settled(first, id, { isMarkedUnread: false });
});

test("history is cleared and a conversation hidden for one user alone", async () => {
  const { id, first, second, other } = await people();
  await other.send(id, "Before");
  for (const chat of [first, second]) {
    await waitFor(chat.messages(id), ({ conversation }) => conversation?.messages.length === 1);
  }
  await first.clearHistory(id);
  for (const chat of [first, second]) {
    await waitFor(
      chat.messages(id),
      ({ conversation }) => conversation?.messages.length === 0 && conversation.isLoaded,
    );
  }
  expect(other.messages(id).getSnapshot().conversation?.messages).toHaveLength(1);
  await first.hideConversation(id);
  await waitFor(second.messages(id), ({ conversation }) => conversation?.isHidden === true);
  await other.send(id, "After");
  // It may be known to be back before what was said there is.
  await waitFor(
    second.messages(id),
    ({ conversation }) =>
      conversation?.isHidden === false && `${conversation.messages.map(({ text }) => text)}` === "After",
  );
});

test("how far others have read is listed, and what has arrived is said", async () => {
  const { id, first, other, alice, bob } = await people();
  await first.send(id, "Hello");
  await waitFor(other.messages(id), ({ conversation }) => conversation?.messages.length === 1);
  await other.markDelivered(id, 1);
  await waitFor(first.messages(id), ({ conversation }) => conversation?.deliveredSeqs.get(bob) === 1);
  other.markRead(id, 1);
  await waitFor(first.messages(id), ({ conversation }) => conversation?.readSeqs.get(bob) === 1);
  const { readSeqs } = await first.listReadPositions(id);
  expect([...readSeqs.keys()].sort()).toEqual([alice, bob].sort());
  expect(readSeqs.get(bob)).toBe(1);
});
