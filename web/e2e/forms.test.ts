/** What is said to who has done something: by forms, hints, and where there is nothing. */

import { afterAll, afterEach, expect, test } from "vitest";
import { call, closeBrowser, Person, twoFriends, URL_OF_SERVICE } from "./browser.ts";

const people: Person[] = [];

async function arrive(...args: Parameters<typeof Person.arrive>): Promise<Person> {
  const person = await Person.arrive(...args);
  people.push(person);
  return person;
}

afterEach(async () => {
  const complaints = people.flatMap((person) => person.complaints);
  await Promise.all(people.splice(0).map((person) => person.context.close()));
  expect(complaints).toEqual([]);
});
afterAll(closeBrowser);

test("one's own id is where one adds friends, and is copied for all to see", async () => {
  const { id, page } = await arrive("Alice");
  await page.getByRole("link", { name: "People" }).click();
  await page.getByText(`Your own id: ${id}`).waitFor();
  await page.getByRole("button", { name: "Copy your id" }).click();
  await page.locator(".notice", { hasText: "Copied" }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(id);
  // And goes.
  await page.locator(".notice").waitFor({ state: "detached" });
});

test("what was said of a request goes once that is answered, withdrawn, or another one is begun", async () => {
  const [alice, bob] = await Promise.all([arrive("Alice"), arrive("Bob")]);
  const { page } = alice;
  const hint = page.getByText(`You have asked ${bob.id}.`);
  await alice.askToBeFriends(bob);
  await page.getByRole("button", { name: "Withdraw" }).click();
  await hint.waitFor({ state: "detached" });
  await alice.askToBeFriends(bob);
  await page.getByLabel("Add a friend").fill("c");
  await hint.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Withdraw" }).click();
  await page.getByRole("button", { name: "Withdraw" }).waitFor({ state: "detached" });
  await alice.askToBeFriends(bob);
  await bob.accept();
  await page.getByRole("button", { name: "Message", exact: true }).waitFor();
  await hint.waitFor({ state: "detached" });
});

test("what the service refuses of a field is said in the person's language", async () => {
  const alice = await arrive("Alice");
  const { page } = alice;
  await page.getByRole("link", { name: "People" }).click();
  await page.getByLabel("Add a friend").fill("somebody else");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("That has to be the id of somebody else").waitFor();
  await page.evaluate(() => localStorage.setItem("chat-language", "ar"));
  await page.reload();
  for (const id of ["somebody else", alice.id]) {
    await page.locator("#friend-id").fill(id);
    await page.keyboard.press("Enter");
    await page.getByText("يجب أن يكون معرّف شخص آخر").waitFor();
    expect(await page.locator(".add-friend .fault").textContent()).not.toMatch(/[a-z]/iu);
  }
});

test("a picture that is not https is refused by the form, which says why", async () => {
  const [alice] = await twoFriendsIn();
  const { page } = alice;
  await page.getByRole("link", { name: "Settings" }).click();
  const picture = page.getByLabel("Picture");
  const fault = page.getByRole("alert").filter({ hasText: "begins with https://" });
  for (const wrong of ["http://example.com/a.png", "nonsense"]) {
    await picture.fill(wrong);
    await page.getByRole("button", { name: "Save" }).click();
    await fault.waitFor();
    expect(await picture.evaluate((field) => field === document.activeElement)).toBe(true);
  }
  await picture.fill("");
  await fault.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved").waitFor();
});

async function twoFriendsIn(): Promise<[Person, Person]> {
  const two = await twoFriends();
  people.push(...two);
  return two;
}

test("a conversation in which nobody has spoken says so", async () => {
  const [alice, bob] = await twoFriendsIn();
  await alice.page.getByText("Nothing was said here yet").waitFor();
  await bob.say("now there is");
  await alice.message("now there is").waitFor();
  expect(await alice.page.getByText("Nothing was said here yet").count()).toBe(0);
});

test("Escape closes the details wherever one is, but what is above them first", async () => {
  const [alice] = await twoFriendsIn();
  const { page } = alice;
  const details = page.getByRole("complementary", { name: "Details" });
  await page.getByRole("button", { name: "Details" }).click();
  await details.waitFor();
  await page.getByLabel("Write a message").focus();
  await page.keyboard.press("Escape");
  await details.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Details" }).click();
  await details.getByRole("button", { name: "Remove friend" }).click();
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await details.isVisible()).toBe(true);
  await page.keyboard.press("Escape");
  await details.waitFor({ state: "detached" });
});

test("a link to what is not there says so as soon as the service does, and to what is not yet, not at all", async () => {
  const [alice, bob] = await twoFriendsIn();
  const { page } = alice;
  const missing = page.getByText("This conversation is not there, or it is not yours.");
  for (const id of ["01890a5d-ac96-774b-bcce-b302099a8057", "nonsense"]) {
    // All that the page hears of is this answer.
    await page.route("**/SyncConversations", () => undefined);
    await page.goto(`${URL_OF_SERVICE}/c/${id}`);
    await missing.waitFor();
    await page.unroute("**/SyncConversations");
  }
  // One that is there, of which the page has not heard yet.
  type Made = { conversation: { conversationId: string } };
  const group = { name: "Trains", userIds: [alice.id], requestId: "01890a5d-ac96-774b-bcce-b302099a8057" };
  const { conversation } = await call<Made>(bob, "GroupService/CreateGroup", group);
  await page.goto(`${URL_OF_SERVICE}/c/${conversation.conversationId}`);
  await page.getByRole("heading", { name: "Trains" }).waitFor();
  expect(await missing.count()).toBe(0);
});
