/** Three people in a group, in real browsers. */

import AxeBuilder from "@axe-core/playwright";
import type { Locator } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { call, callAs, closeBrowser, newName, Person, talk } from "./browser.ts";

const people: Person[] = [];

afterEach(async () => {
  const complaints = people.flatMap((person) => person.complaints);
  await Promise.all(people.splice(0).map((person) => person.context.close()));
  expect(complaints).toEqual([]);
});
afterAll(closeBrowser);

/** Everybody's details of what they look at. */
function details({ page }: Person) {
  return page.getByRole("complementary", { name: "Details" });
}

async function openDetails(person: Person): Promise<void> {
  await person.page.getByRole("button", { name: "Details" }).click();
  await details(person).waitFor();
}

/** Alice, who has friends. */
async function withFriends(...names: string[]): Promise<Person[]> {
  const [alice, ...friends] = (await Promise.all(["Alice", ...names].map((name) => Person.arrive(name)))) as [
    Person,
    ...Person[],
  ];
  people.push(alice, ...friends);
  for (const friend of friends) {
    await alice.askToBeFriends(friend);
    await friend.accept();
  }
  return [alice, ...friends];
}

/** Makes a group of these friends. */
async function makeGroup({ page }: Person, name: string, friends: readonly string[]): Promise<void> {
  await page.getByRole("link", { name: "Chats" }).click();
  await page.getByRole("button", { name: "New group" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of the group").fill(name);
  for (const friend of friends) {
    await dialog.getByLabel(friend).check();
  }
  await dialog.getByRole("button", { name: "Create" }).click();
}

/** Alice, who has made a group with her friends Bob and Carol, and all three look at it. */
async function threeInAGroup(): Promise<[Person, Person, Person]> {
  const [alice, bob, carol] = (await withFriends("Bob", "Carol")) as [Person, Person, Person];
  await makeGroup(alice, "Trains", ["Bob", "Carol"]);
  await alice.page.getByLabel("Write a message").waitFor();
  await bob.openFirst();
  await carol.openFirst();
  return [alice, bob, carol];
}

/** What a role may, for who may change that. */
function rights(person: Person, whose: "Members may" | "Admins may") {
  return details(person).getByRole("group", { name: whose });
}

function member(person: Person, name: string) {
  return details(person).getByRole("listitem").filter({ hasText: name });
}

/** Does something with a member, and says so once more where that is asked. */
async function act(person: Person, name: string, action: string, isAsked = false): Promise<void> {
  const { page } = person;
  await member(person, name)
    .getByRole("button", { name: `What to do with ${name}` })
    .click();
  await page.getByRole("dialog").getByRole("button", { name: action }).click();
  if (isAsked) {
    await page.getByRole("dialog").getByRole("button", { name: action }).click();
  }
  await page.getByRole("dialog").waitFor({ state: "detached" });
}

/** Waits until a page says that its group is not there any more, and why. */
async function ended({ page }: Person, why: "Somebody has taken you out of it." | "It was deleted"): Promise<void> {
  await page.locator(".empty", { hasText: `You are not in Trains any more.${why}` }).waitFor();
}

/** What the history tells of the group's changes, in order. */
async function changes({ page }: Person): Promise<string[]> {
  const lines = await page.locator(".change").allTextContents();
  return lines.map((line) => line.replaceAll(/[\u2068\u2069]/gu, ""));
}

test("three people talk in a group, and see how it changes", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  await bob.page.getByRole("heading", { level: 1, name: "Trains 3 members" }).waitFor();
  await expect.poll(() => changes(alice)).toEqual(["You made the group Trains with Bob and Carol"]);
  await expect.poll(() => changes(carol)).toEqual(["Alice made the group Trains with you and Bob"]);
  await alice.say("Who comes along?");
  for (const { page } of [bob, carol]) {
    await page.locator(".message", { hasText: "Who comes along?" }).getByText("Alice").waitFor();
  }
  // Who looks at the other page is the only one that reads, in a browser without windows.
  await bob.page.bringToFront();
  await alice
    .message("Who comes along?")
    .getByRole("img", { name: /^Read by [12] of 2$/u })
    .waitFor();
  await bob.say("I do");
  await carol.message("I do").waitFor();
  await openDetails(alice);
  await details(alice).getByRole("button", { name: "Edit" }).click();
  const dialog = alice.page.getByRole("dialog");
  await dialog.getByLabel("Name of the group").fill("Boats");
  await dialog.getByLabel("What it is about").fill("On Sundays");
  await dialog.getByRole("button", { name: "Save" }).click();
  await bob.page.getByRole("heading", { level: 1, name: "Boats" }).waitFor();
  await bob.page.locator("[aria-live=polite]", { hasText: "Boats" }).waitFor({ state: "attached" });
  await openDetails(bob);
  await details(bob).getByText("On Sundays").waitFor();
  expect(await details(bob).getByRole("button", { name: "Edit" }).count()).toBe(0);
  // It is there after a reload, at its place, and so are the details.
  await bob.page.reload();
  await details(bob).getByText("On Sundays").waitFor();
  await bob.page.keyboard.press("Escape");
  await details(bob).waitFor({ state: "detached" });
  await carol.say("Me too");
  await bob.message("Me too").waitFor();
  const said = await bob.page.getByRole("log").locator(".text, .change").allTextContents();
  expect(said.map((line) => line.replaceAll(/[\u2068\u2069]/gu, ""))).toEqual([
    "Alice made the group Trains with you and Carol",
    "Who comes along?",
    "I do",
    "Alice named the group Boats, and changed the description",
    "Me too",
  ]);
});

test("who is removed sees nothing any more, and who comes back sees what is new", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  await alice.say("before");
  await bob.message("before").waitFor();
  await openDetails(alice);
  await act(alice, "Bob", "Remove", true);
  await ended(bob, "Somebody has taken you out of it.");
  expect(await bob.texts()).toEqual([]);
  expect(await bob.page.locator(".line").count()).toBe(0);
  await expect.poll(() => changes(carol)).toContainEqual("Alice removed Bob");
  await alice.say("while Bob was away");
  await alice.page.getByRole("button", { name: "Add members" }).click();
  await alice.page.getByRole("dialog").getByLabel("Bob").check();
  await alice.page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  // Bob has not gone anywhere: the group is there again.
  await bob.page.getByLabel("Write a message").waitFor();
  await expect.poll(() => changes(bob)).toEqual(["Alice added you"]);
  await bob.page.getByText("This is where you came in.").waitFor();
  await carol.say("welcome back");
  await bob.message("welcome back").waitFor();
  expect(await bob.texts()).toEqual(["welcome back"]);
  await act(alice, "Bob", "Remove", true);
  await bob.page.getByRole("link", { name: "Back to the chats" }).click();
  await bob.page.getByText("No conversations yet").waitFor();
});

test("roles and settings decide who may do what", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  const { page } = alice;
  await openDetails(alice);
  await page.getByRole("checkbox", { name: "Send messages" }).uncheck();
  await bob.page.getByText("Only admins write here.").waitFor();
  expect(await bob.page.getByLabel("Write a message").count()).toBe(0);
  await openDetails(bob);
  expect(
    await details(bob)
      .getByRole("button", { name: /^What to do/u })
      .count(),
  ).toBe(0);
  expect(await details(bob).getByRole("checkbox").count()).toBe(0);
  expect(await details(bob).getByRole("button", { name: "Delete group" }).count()).toBe(0);
  await act(alice, "Bob", "Make admin");
  await bob.page.getByLabel("Write a message").waitFor();
  await expect.poll(() => changes(carol)).toContainEqual("Alice made Bob an admin");
  await member(bob, "Carol").getByRole("button", { name: "What to do with Carol" }).waitFor();
  expect(await member(bob, "Alice").getByRole("button").count()).toBe(0);
  await act(alice, "Bob", "Make member");
  await bob.page.getByText("Only admins write here.").waitFor();
  await act(alice, "Bob", "Hand over", true);
  await member(alice, "Bob").getByText("Owner").waitFor();
  await member(alice, "Alice").getByText("Admin").waitFor();
  await page.getByRole("button", { name: "Leave group" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Leave group" }).click();
  await page.getByText("No conversations yet").waitFor();
  await expect.poll(() => changes(carol)).toContainEqual("Alice left");
  await details(bob).getByRole("button", { name: "Delete group" }).click();
  await bob.page.getByRole("dialog").getByRole("button", { name: "Delete group" }).click();
  await bob.page.getByText("No conversations yet").waitFor();
  await ended(carol, "It was deleted");
});

test("an update says what has changed, and who leaves is shown no reason in another tab", async () => {
  const [alice, bob] = await threeInAGroup();
  await openDetails(alice);
  await rights(alice, "Members may").getByRole("checkbox", { name: "Add members" }).uncheck();
  await expect.poll(() => changes(bob)).toContainEqual("Alice changed what members may do");
  await alice.page.getByRole("checkbox", { name: "See what was said" }).check();
  await expect.poll(() => changes(bob)).toContainEqual("Alice changed what new members see");
  await details(alice).getByRole("button", { name: "Edit" }).click();
  const dialog = alice.page.getByRole("dialog");
  await dialog.getByLabel("What it is about").fill("On Sundays");
  await dialog.getByLabel("Picture").fill("https://example.com/train.png");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect.poll(() => changes(bob)).toContainEqual("Alice changed the description and the picture");
  const second = await bob.anotherTab();
  await second.locator(".line").click();
  await second.getByLabel("Write a message").waitFor();
  await openDetails(bob);
  await details(bob).getByRole("button", { name: "Leave group" }).click();
  await bob.page.getByRole("dialog").getByRole("button", { name: "Leave group" }).click();
  for (const page of [bob.page, second]) {
    await page.getByText("No conversations yet").waitFor();
    await page.getByText("Pick a conversation").waitFor();
    expect(new URL(page.url()).pathname).toBe("/");
  }
});

test("admins may what their rights say, and what every member may", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  for (const person of [alice, bob, carol]) {
    await openDetails(person);
  }
  const ofAdmins = (name: string) => rights(alice, "Admins may").getByRole("checkbox", { name });
  const links = (person: Person) => details(person).getByRole("heading", { name: "Links to join" });
  await act(alice, "Bob", "Make admin");
  await details(bob).getByRole("button", { name: "New link" }).waitFor();
  expect(await links(carol).count()).toBe(0);
  await ofAdmins("Manage links to join").uncheck();
  await expect.poll(() => changes(carol)).toContainEqual("Alice changed what admins may do");
  await links(bob).waitFor({ state: "detached" });
  await links(alice).waitFor();
  await ofAdmins("Manage links to join").check();
  await details(bob).getByRole("button", { name: "New link" }).click();
  await bob.page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await details(bob).locator(".invite").waitFor();
  // What every member may cannot be taken from admins alone.
  expect(await ofAdmins("Add members").isChecked()).toBe(true);
  expect(await ofAdmins("Add members").isDisabled()).toBe(true);
  await rights(alice, "Members may").getByRole("checkbox", { name: "Add members" }).uncheck();
  await expect.poll(() => ofAdmins("Add members").isDisabled()).toBe(false);
  await ofAdmins("Add members").uncheck();
  await details(bob).getByRole("button", { name: "Add members" }).waitFor({ state: "detached" });
  // Who may change what is allowed sees it, and grants no more than they have.
  await ofAdmins("Change what is allowed here").check();
  await rights(bob, "Admins may").getByRole("checkbox", { name: "Make members admins" }).click();
  await details(bob).getByText("Your role in this group does not allow this.").waitFor();
  expect(await rights(bob, "Admins may").getByRole("checkbox", { name: "Make members admins" }).isChecked()).toBe(
    false,
  );
});

test("who lets nobody add them is not added, and the one who tries is told", async () => {
  const [alice, bob] = (await withFriends("Bob")) as [Person, Person];
  const { page } = bob;
  const whoMayAdd = page.getByLabel("Who may add me to groups");
  const choose = async (who: string) => {
    await whoMayAdd.selectOption(who);
    await page.getByRole("status").filter({ hasText: "Saved" }).waitFor();
  };
  // What cannot be read is said, and can be later.
  await page.route("**/GetUserSettings", (route) => route.fulfill({ status: 500 }));
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("alert").waitFor();
  expect(await whoMayAdd.isDisabled()).toBe(true);
  await page.unroute("**/GetUserSettings");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect.poll(() => whoMayAdd.inputValue()).toBe("friends");
  await page.getByRole("alert").waitFor({ state: "detached" });
  await page.route("**/UpdateUserSettings", (route) => route.fulfill({ status: 403 }));
  await whoMayAdd.selectOption("Nobody");
  await page.getByRole("alert").waitFor();
  expect(await whoMayAdd.inputValue()).toBe("friends");
  await page.unroute("**/UpdateUserSettings");
  await choose("Nobody");
  expect(await page.getByRole("alert").count()).toBe(0);
  await makeGroup(alice, "Trains", ["Bob"]);
  await alice.page.getByText("Could not be added: Bob.").waitFor();
  await alice.page.getByRole("button", { name: "To the group" }).click();
  await alice.page.getByRole("heading", { level: 1, name: "Trains 1 member" }).waitFor();
  // It is so on all devices, until it is said otherwise.
  await page.reload();
  await expect.poll(() => whoMayAdd.inputValue()).toBe("nobody");
  await choose("Anyone");
  await alice.page.getByRole("button", { name: "Details" }).click();
  await alice.page.getByRole("button", { name: "Add members" }).click();
  await alice.page.getByRole("dialog").getByLabel("Bob").check();
  await alice.page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  await member(alice, "Bob").waitFor();
  await bob.openFirst();
});

test("a message that the role does not allow any more is refused, and says why", async () => {
  const [alice, bob] = await threeInAGroup();
  await bob.context.setOffline(true);
  await bob.say("may I?");
  await openDetails(alice);
  await alice.page.getByRole("checkbox", { name: "Send messages" }).uncheck();
  await expect.poll(() => changes(alice)).toContainEqual("You changed what members may do");
  await bob.context.setOffline(false);
  await bob.page.getByText("Not sent: Your role in this group does not allow this.").waitFor();
  await alice.page.getByRole("checkbox", { name: "Send messages" }).check();
  await bob.page.getByRole("button", { name: "Send again" }).click();
  await alice.message("may I?").waitFor();
});

test("who cannot be added is named", async () => {
  const [alice, bob] = (await withFriends("Bob", "Carol")) as [Person, Person];
  const { page } = alice;
  await page.getByRole("link", { name: "Chats" }).click();
  await page.getByRole("button", { name: "New group" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of the group").fill("Trains");
  await dialog.getByLabel("Bob").check();
  await dialog.getByLabel("Carol").check();
  await call(bob, "FriendService/RemoveFriend", { userId: alice.id });
  await dialog.getByLabel("Bob").waitFor({ state: "detached" });
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.getByText("Could not be added: Bob.").waitFor();
  await dialog.getByRole("button", { name: "To the group" }).click();
  await page.getByRole("heading", { level: 1, name: "Trains 2 members" }).waitFor();
});

test("among many friends one may search", async () => {
  const [alice] = (await withFriends("Bob")) as [Person];
  const { page } = alice;
  for (let number = 1; number <= 8; number += 1) {
    const friend = newName(`friend${number}`);
    await call(alice, "FriendService/RequestFriend", { userId: friend });
    await callAs(friend, "FriendService/RespondToFriendRequest", {
      userId: alice.id,
      answer: "FRIEND_REQUEST_ANSWER_ACCEPT",
    });
  }
  await page.getByRole("link", { name: "Chats" }).click();
  await page.getByRole("button", { name: "New group" }).click();
  const dialog = page.getByRole("dialog");
  await expect.poll(() => dialog.getByRole("checkbox").count()).toBe(9);
  await dialog.getByLabel("Search").fill("bo");
  await expect.poll(() => dialog.getByRole("checkbox").count()).toBe(1);
  await dialog.getByLabel("Bob").check();
  await dialog.getByLabel("Search").fill("nobody at all");
  await dialog.getByText("Nobody of that name.").waitFor();
});

test("what happens at the end of a long talk is seen, and stands where it was after a reload", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  await talk([alice, bob, carol], 60);
  await bob.message("message 60 of 60").waitFor();
  await openDetails(alice);
  await act(alice, "Carol", "Make admin");
  const line = bob.page.locator(".change", { hasText: /made .*Carol.* an admin/u });
  await line.waitFor();
  await expect.poll(() => isInView(line)).toBe(true);
  await talk([alice, bob], 3);
  await bob.message("message 3 of 3").waitFor();
  await bob.page.reload();
  await line.waitFor();
  await bob.message("message 3 of 3").waitFor();
  const said = await bob.page.getByRole("log").locator(".text, .change").allTextContents();
  expect(said.slice(-5).map((text) => text.replaceAll(/[\u2068\u2069]/gu, "").slice(0, 10))).toEqual([
    "message 60",
    "Alice made",
    "message 1 ",
    "message 2 ",
    "message 3 ",
  ]);
});

/** Whether something is within what its list shows. */
function isInView(locator: Locator): Promise<boolean> {
  return locator.evaluate((element) => {
    const [inside, around] = [element, element.closest(".scroller") as Element].map((it) => it.getBoundingClientRect());
    return inside !== undefined && around !== undefined && inside.top >= around.top && inside.bottom <= around.bottom;
  });
}

test("a group can be made and looked after by keyboard", async () => {
  const [alice] = (await withFriends("Bob")) as [Person];
  const { page } = alice;
  await page.getByRole("link", { name: "Chats" }).click();
  await page.getByRole("button", { name: "New group" }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type("By keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "By keyboard 2 members" }).waitFor();
  await page.getByRole("button", { name: "Details" }).focus();
  await page.keyboard.press("Enter");
  await details(alice).waitFor();
  await member(alice, "Bob").getByRole("button").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Bob" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Bob" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await member(alice, "Bob").getByText("Admin").waitFor();
  await page.keyboard.press("Escape");
  await details(alice).waitFor({ state: "detached" });
  expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Details");
});

test("a group's screens are accessible, light and dark, on a phone and from right to left", async () => {
  const [alice, bob] = await threeInAGroup();
  const { page } = alice;
  await alice.say("Hello all");
  await alice.message("Hello all").waitFor();
  await openDetails(alice);
  const check = async (what: string, of = page) => {
    const { violations } = await new AxeBuilder({ page: of }).setLegacyMode().analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
    expect(found, what).toEqual([]);
  };
  const dialogs = [
    ["Edit", () => details(alice).getByRole("button", { name: "Edit" })],
    ["Add members", () => details(alice).getByRole("button", { name: "Add members" })],
    ["a member", () => member(alice, "Bob").getByRole("button")],
    ["Delete group", () => details(alice).getByRole("button", { name: "Delete group" })],
  ] as const;
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1100, 390]) {
      await page.setViewportSize({ width, height: 780 });
      await check(`details, ${colorScheme}, ${width}`);
    }
    await page.setViewportSize({ width: 1100, height: 720 });
    for (const [what, button] of dialogs) {
      await button().click();
      await check(`${what}, ${colorScheme}`);
      await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    }
    await page.getByRole("button", { name: "New group" }).click();
    await check(`a new group, ${colorScheme}`);
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  }
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Language").selectOption("ar");
  await page.goBack();
  await page.getByText("هنا تبدأ المجموعة.").waitFor();
  await check("Arabic");
  await page.getByRole("button", { name: "خيارات Bob" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "إخراج" }).click();
  await check("Arabic, a question");
  await page.getByRole("dialog").getByRole("button", { name: "إخراج" }).click();
  await ended(bob, "Somebody has taken you out of it.");
  await check("a group that has ended", bob.page);
});
