/** The examples of the guide and of the README, as they stand there. */

import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { ChatClient, type ChatClientOptions, ChatError, waitFor } from "../src/index.ts";
import { clientOf, newUser, tokenOf, URL_OF_SERVICE } from "./service.ts";

const clients: ChatClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.stop()));
});

/** The blocks of a page of the docs that are JavaScript. */
function examples(path: string): string[] {
  const text = readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
  return [...text.matchAll(/^```js\n(.*?)^```$/gmsu)].map(([, code]) => code ?? "");
}

/** Runs code as if it stood in a page of this user, and answers what it has shown. */
async function run(code: string, user: string, friend: string): Promise<unknown[][]> {
  class OfThisService extends ChatClient {
    constructor(options: ChatClientOptions) {
      super({ ...options, url: URL_OF_SERVICE, storage: false });
      clients.push(this);
    }
  }
  const shown: unknown[][] = [];
  const names = { ChatClient: OfThisService, waitFor, session: { token: () => tokenOf(user) } };
  const show = (...values: unknown[]) => shown.push(values);
  const body = code.replaceAll(/^import .*$/gmu, "").replaceAll('"bob"', JSON.stringify(friend));
  const page = new Function(
    "names",
    "show",
    `const { ChatClient, waitFor, session } = names; return (async () => {${body}})()`,
  );
  await page(names, show);
  return shown;
}

/** A user, and a friend whom the examples call bob. */
async function aliceAndBob(): Promise<[string, string, ChatClient]> {
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [ofAlice, ofBob] = [clientOf(alice), clientOf(bob)];
  clients.push(ofAlice, ofBob);
  await ofAlice.requestFriend(bob);
  await ofBob.acceptFriendRequest(alice);
  return [alice, bob, ofBob];
}

test("the guide's examples run, one after the other", async () => {
  const [alice, bob, ofBob] = await aliceAndBob();
  const code = examples("docs/web-client.md");
  expect(code.length).toBeGreaterThan(5);
  const shown = await run(code.join("\n"), alice, bob);
  expect(shown.length).toBeGreaterThan(1);
  expect(shown.at(-1)).toEqual([
    "InvalidArgument",
    "INVALID_FIELDS",
    [expect.objectContaining({ field: "display_name" })],
  ]);
  expect(shown).toContainEqual([["nobody"]]);
  expect(shown).toContainEqual(["Trains", "admin", ["created", "roleChanged"]]);
  expect(shown).toContainEqual(["OWNER_CANNOT_LEAVE"]);
  expect(shown).toContainEqual(["Trains", 2, false]);
  expect(shown.filter(([one]) => one === true)).toEqual([[true]]);
  expect(shown).toContainEqual([0]);
  const conversations = await waitFor(ofBob.conversations(), (all) => all.length === 2);
  expect(conversations.map(({ kind }) => kind).sort()).toEqual(["direct", "group"]);
});

test("the README's example runs, and says hello", async () => {
  const [alice, bob, ofBob] = await aliceAndBob();
  const [code = ""] = examples("README.md");
  const shown = await run(code, alice, bob);
  const heard = await waitFor(ofBob.conversations(), (all) => all[0]?.lastMessage?.excerpt === "Hello Bob!");
  expect(heard.length).toBe(1);
  await expect.poll(() => JSON.stringify(shown)).toContain("Hello Bob!");
});

test("an error is one of the client's", async () => {
  const user = newUser("alice");
  const client = clientOf(user);
  clients.push(client);
  await expect(client.removeFriend(user)).rejects.toBeInstanceOf(ChatError);
});
