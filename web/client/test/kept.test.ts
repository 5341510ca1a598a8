/** What a device keeps, and what a client does that finds it, or cannot keep anything. */

import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { type ChatClient, type ChatClientOptions, MemoryStorage, waitFor } from "../src/index.ts";
import { clientOf, friends, newUser, tokenOf } from "./service.ts";

const clients: ChatClient[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(clients.splice(0).map((made) => made.stop()));
});

function client(user: string, options: Partial<ChatClientOptions> = {}): ChatClient {
  const made = clientOf(user, { userId: user, ...options });
  clients.push(made);
  return made;
}

/** Two friends in a conversation, and the names of both. */
async function two(options: Partial<ChatClientOptions> = {}) {
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [ofAlice, ofBob] = [client(alice, options), client(bob)];
  const conversation = await friends(ofAlice, ofBob, [alice, bob]);
  return { alice, bob, ofAlice, ofBob, conversation };
}

/** A network that is there or not, and counts calls of an RPC. */
class Network {
  isThere = true;
  readonly calls: string[] = [];

  readonly fetch: typeof fetch = async (input, init) => {
    this.calls.push(String(input).split("/").at(-1) ?? "");
    if (!this.isThere) {
      throw new TypeError("there is no network");
    }
    return fetch(input, init);
  };

  count(rpc: string): number {
    return this.calls.filter((call) => call === rpc).length;
  }
}

test.each([
  ["in memory", () => new MemoryStorage()],
  // What a page has that says nothing of it.
  ["in IndexedDB", () => undefined],
])("what was shown is shown again without a network, and goes on with it, %s", async (_, open) => {
  const kept = { storage: open() } as Partial<ChatClientOptions>;
  const { alice, ofAlice, ofBob, conversation } = await two(kept);
  ofAlice.open(conversation);
  await ofBob.send(conversation, "one");
  await ofBob.send(conversation, "two");
  await waitFor(ofAlice.messages(conversation), (it) => it.conversation?.messages.length === 2);
  await ofAlice.stop();

  const network = new Network();
  network.isThere = false;
  const later = client(alice, { ...kept, fetch: network.fetch });
  const shown = await waitFor(later.messages(conversation), (it) => it.conversation?.messages.length === 2);
  expect(shown.conversation?.unreadCount).toBe(2);
  expect(later.status.getSnapshot().isStale).toBe(true);
  await ofBob.send(conversation, "three");
  network.isThere = true;
  await waitFor(later.messages(conversation), (it) => it.conversation?.messages.length === 3);
});

test("what was marked as read without a network is told later, and hides nothing that came meanwhile", async () => {
  const storage = new MemoryStorage();
  const network = new Network();
  const { alice, ofAlice, ofBob, conversation } = await two({ storage, fetch: network.fetch, markInterval: 50 });
  ofAlice.open(conversation);
  await ofBob.send(conversation, "one");
  await ofBob.send(conversation, "two");
  await waitFor(ofAlice.messages(conversation), (it) => it.conversation?.messages.length === 2);
  network.isThere = false;
  ofAlice.markRead(conversation);
  await waitFor(ofAlice.messages(conversation), (it) => it.conversation?.unreadCount === 0);
  await ofAlice.stop();
  await ofBob.send(conversation, "three");
  await ofBob.send(conversation, "four");
  await waitFor(ofBob.messages(conversation), (it) => it.outgoing.length === 0);

  const later = client(alice, { storage, markInterval: 50 });
  await waitFor(later.messages(conversation), (it) => it.conversation?.messages.length === 4);
  expect(later.messages(conversation).getSnapshot().conversation?.unreadCount).toBe(2);
  await expect.poll(async () => (await later.getConversation(conversation)).unreadCount).toBe(2);
});

test("a mark is told although there was no token for a moment", async () => {
  const { bob, ofAlice, ofBob, conversation } = await two();
  await ofAlice.send(conversation, "one");
  await ofBob.stop();
  let isThere = true;
  const later = client(bob, {
    markInterval: 50,
    token: () => (isThere ? tokenOf(bob) : Promise.reject(new TypeError("there is no network"))),
  });
  await waitFor(later.messages(conversation), (it) => it.conversation?.messages.length === 1);
  isThere = false;
  later.markRead(conversation);
  await expect.poll(() => later.status.getSnapshot().failure === undefined).toBe(true);
  isThere = true;
  await waitFor(ofAlice.messages(conversation), (it) => it.conversation?.readSeqs.get(bob) === 1);
});

/** A device that cannot keep messages on their way after so many. */
class FullStorage extends MemoryStorage {
  #left: number;

  constructor(left: number) {
    super();
    this.#left = left;
  }

  override async putOutgoing(...args: Parameters<MemoryStorage["putOutgoing"]>): Promise<void> {
    this.#left -= 1;
    if (this.#left < 0) {
      throw new DOMException("full", "QuotaExceededError");
    }
    return super.putOutgoing(...args);
  }
}

test.each([0, 1, 2])("a device that is full after %i writes sends each message once", async (left) => {
  const network = new Network();
  const { ofAlice, ofBob, conversation } = await two({ storage: new FullStorage(left), fetch: network.fetch });
  const messages = ofAlice.messages(conversation);
  await ofAlice.send(conversation, "one");
  await ofAlice.send(conversation, "two");
  await waitFor(ofBob.messages(conversation), (it) => it.conversation?.messages.length === 2);
  await waitFor(messages, (it) => it.outgoing.length === 0);
  expect(network.count("SendMessage")).toBe(2);
});

test("a device that is full still shows what was refused, without trying for ever", async () => {
  const network = new Network();
  const { alice, ofAlice, ofBob, conversation } = await two({ storage: new FullStorage(1), fetch: network.fetch });
  await ofBob.removeFriend(alice);
  await ofAlice.send(conversation, "still friends?");
  const messages = ofAlice.messages(conversation);
  await waitFor(messages, (it) => it.outgoing[0]?.status === "failed");
  await ofAlice.send(conversation, "and this?");
  await waitFor(messages, (it) => it.outgoing[1]?.status === "failed");
  expect(network.count("SendMessage")).toBe(2);
});

test("what was written before the clock was put back is sent first", async () => {
  const storage = new MemoryStorage();
  const network = new Network();
  const { alice, ofAlice, ofBob, conversation } = await two({ storage, fetch: network.fetch });
  network.isThere = false;
  vi.spyOn(Date, "now").mockReturnValueOnce(Date.now() + 3_600_000);
  await ofAlice.send(conversation, "first");
  await ofAlice.stop();
  const later = client(alice, { storage });
  await later.send(conversation, "second");
  const heard = await waitFor(ofBob.messages(conversation), (it) => it.conversation?.messages.length === 2);
  expect(heard.conversation?.messages.map((message) => message.text)).toEqual(["first", "second"]);
});

test("a listener that throws keeps nobody from hearing, and each message is told of once", async () => {
  const { ofAlice, ofBob, conversation } = await two();
  const complaints = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const heard: string[] = [];
  ofBob.onMessage(() => {
    throw new Error("a defect of the page");
  });
  ofBob.onMessage(({ excerpt }) => heard.push(excerpt));
  ofBob.messages(conversation).subscribe(() => {
    throw new Error("another defect");
  });
  await waitFor(ofBob.status, (status) => !status.isStale);
  await ofAlice.send(conversation, "one");
  await ofAlice.send(conversation, "two");
  await waitFor(ofBob.messages(conversation), (it) => it.conversation?.messages.length === 2);
  expect(heard).toEqual(["one", "two"]);
  expect(complaints).toHaveBeenCalled();
});

test("a device that has nothing shows what was said last", async () => {
  const { bob, ofAlice, ofBob, conversation } = await two();
  await ofAlice.send(conversation, "the last word");
  await waitFor(ofBob.conversations(), (all) => all[0]?.lastMessage !== undefined);
  await ofBob.stop();
  const later = client(bob);
  const [line] = await waitFor(later.conversations(), (all) => all[0]?.lastMessage !== undefined);
  expect(line?.lastMessage?.excerpt).toBe("the last word");
});

test("a clock that is far ahead replaces no connection before its time", async () => {
  const real = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => real() + 13 * 3_600_000);
  const network = new Network();
  const user = newUser("alice");
  const ahead = client(user, { fetch: network.fetch, live: { heartbeat: 100, pongTimeout: 300 } });
  await waitFor(ahead.status, (status) => status.connection === "live");
  // A sync follows each heartbeat.
  await expect.poll(() => network.count("SyncConversations"), { timeout: 20_000 }).toBeGreaterThan(8);
  expect(network.count("CreateLiveTicket")).toBe(1);
});

test("a service that says to come back in a month is asked again in minutes, not at once", async () => {
  const user = newUser("alice");
  const network = new Network();
  const busy: typeof fetch = async (input, init) => {
    await network.fetch(input, init);
    return new Response("{}", { status: 429, headers: { "retry-after": "2592000" } });
  };
  const patient = client(user, { fetch: busy });
  await waitFor(patient.status, (status) => status.failure?.retryAfter !== undefined);
  expect(patient.status.getSnapshot().failure?.retryAfter).toBe(300_000);
});

test("a token that never comes ends a call in its time", async () => {
  const user = newUser("alice");
  const patient = client(user, { token: () => new Promise<string>(() => undefined), timeout: 200 });
  await expect(patient.updateProfile({ displayName: "Alice" })).rejects.toMatchObject({ code: "Unavailable" });
});
