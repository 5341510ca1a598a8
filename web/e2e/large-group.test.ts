/** A group of more members than are named, in real browsers. */

import AxeBuilder from "@axe-core/playwright";
import { afterAll, afterEach, expect, test } from "vitest";
import { call, callAs, closeBrowser, newName, Person } from "./browser.ts";

const people: Person[] = [];

afterEach(async () => {
  const complaints = people.flatMap((person) => person.complaints);
  await Promise.all(people.splice(0).map((person) => person.context.close()));
  expect(complaints).toEqual([]);
});
afterAll(closeBrowser);

/** Users that are asked to do something at the same time. */
const AT_A_TIME = 10;
/** Users that a call adds to a group, at most. */
const ADDED_MAX = 100;
/** Members of the group. */
const MEMBERS = 131;

interface Made {
  readonly conversation: { readonly conversationId: string };
}

/** Lets anybody add these users to groups. */
async function letAnyoneAdd(userIds: readonly string[]): Promise<void> {
  const request = { settings: { groupAdders: "GROUP_ADDERS_ANYONE" }, updateMask: "groupAdders" };
  for (let begin = 0; begin < userIds.length; begin += AT_A_TIME) {
    const some = userIds.slice(begin, begin + AT_A_TIME);
    await Promise.all(some.map((userId) => callAs(userId, "UserService/UpdateUserSettings", request)));
  }
}

/**
 * Alice and Zoe, who look at a large group that was made before they came: so they were told of nobody but its first members. It
 * is Alice's by now, and Zoe comes last in it by user id. Besides, those who are in it in this order.
 */
async function inLargeGroup(): Promise<{ alice: Person; zoe: Person; others: readonly [string, ...string[]] }> {
  const [alice, zoe] = await Promise.all([Person.arrive("Alice"), Person.arrive("Zoe")]);
  people.push(alice, zoe);
  const founder = newName("founder");
  const numbers = Array.from({ length: MEMBERS - 3 }, (_, number) => String(number).padStart(3, "0"));
  const others = numbers.map((number) => newName(`member-${number}`));
  await letAnyoneAdd([...others, alice.id, zoe.id]);
  const { conversation } = await callAs<Made>(founder, "GroupService/CreateGroup", {
    requestId: crypto.randomUUID(),
    name: "Everybody",
    userIds: others.slice(0, ADDED_MAX - 1),
  });
  const { conversationId } = conversation;
  const change = (rpc: string, request: object) =>
    callAs(founder, `GroupService/${rpc}`, { conversationId, requestId: crypto.randomUUID(), ...request });
  await change("AddGroupMembers", { userIds: others.slice(ADDED_MAX - 1) });
  await change("AddGroupMembers", { userIds: [alice.id] });
  await change("AddGroupMembers", { userIds: [zoe.id] });
  await change("TransferGroupOwnership", { userId: alice.id });
  await Promise.all([alice.openFirst(), zoe.openFirst()]);
  return { alice, zoe, others: [founder, ...others] };
}

/** Waits until the head of the conversation says how many members there are. */
async function counted({ page }: Person, count: number): Promise<void> {
  await page.getByRole("heading", { level: 1, name: `Everybody ${count} members` }).waitFor();
}

function details({ page }: Person) {
  return page.getByRole("complementary", { name: "Details" });
}

function lines(person: Person) {
  return details(person).locator(".member .name");
}

test("a large group talks, and is looked after", async () => {
  const { alice, zoe, others } = await inLargeGroup();
  await Promise.all([counted(alice, MEMBERS), counted(zoe, MEMBERS)]);
  await alice.say("Who comes along?");
  await zoe.message("Who comes along?").waitFor();
  await zoe.say("I do");
  await alice.message("I do").waitFor();

  // Zoe has seen it, and is not the only one who is not told of.
  await zoe.page.bringToFront();
  await alice.message("Who comes along?").getByRole("img", { name: "Sent" }).waitFor();
  expect(await alice.page.getByRole("img", { name: /^Read/u }).count()).toBe(0);

  await alice.page.bringToFront();
  await alice.page.getByRole("button", { name: "Details" }).click();
  await details(alice).waitFor();
  const more = details(alice).getByRole("button", { name: "Show more members" });
  await more.waitFor();
  expect(await lines(alice).count()).toBeLessThan(MEMBERS);
  const { violations } = await new AxeBuilder({ page: alice.page }).setLegacyMode().analyze();
  expect(violations.map(({ id, nodes }) => [id, ...nodes.map(({ target }) => target.join(" "))])).toEqual([]);

  // A page that cannot be read can be asked for again.
  const listing = "**/chat.v1.GroupService/ListGroupMembers*";
  await alice.page.route(listing, (route) => route.fulfill({ status: 403 }));
  await more.click();
  await details(alice).getByRole("alert").waitFor();
  await alice.page.unroute(listing);
  await more.click();
  await more.waitFor({ state: "detached" });
  // Whoever looks after it comes first, then the others by user id.
  await expect.poll(() => lines(alice).allTextContents()).toEqual(["Alice", ...others, "Zoe"]);

  const removed = others.at(-1) ?? "";
  const dialog = alice.page.getByRole("dialog");
  await details(alice)
    .getByRole("button", { name: `What to do with ${removed}` })
    .click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await Promise.all([counted(alice, MEMBERS - 1), counted(zoe, MEMBERS - 1)]);
  await expect.poll(() => lines(alice).allTextContents()).not.toContain(removed);

  const friend = newName("friend");
  await call(alice, "FriendService/RequestFriend", { userId: friend });
  await callAs(friend, "FriendService/RespondToFriendRequest", {
    userId: alice.id,
    answer: "FRIEND_REQUEST_ANSWER_ACCEPT",
  });
  await details(alice).getByRole("button", { name: "Add members" }).click();
  await dialog.getByLabel(friend).check();
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await Promise.all([counted(alice, MEMBERS), counted(zoe, MEMBERS)]);
  await expect.poll(() => lines(alice).allTextContents()).toContain(friend);
});
