/** Three people in a group, in real browsers. */

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { closeBrowser, Person } from "./browser.ts";

const people: Person[] = [];

afterEach(async () => {
  const complaints = people.flatMap((person) => person.complaints);
  await Promise.all(people.splice(0).map((person) => person.context.close()));
  expect(complaints).toEqual([]);
});
afterAll(closeBrowser);

/** Alice, who has made a group with her friends Bob and Carol, and all three look at it. */
async function threeInAGroup(): Promise<[Person, Person, Person]> {
  const [alice, bob, carol] = await Promise.all([Person.arrive("Alice"), Person.arrive("Bob"), Person.arrive("Carol")]);
  people.push(alice, bob, carol);
  for (const friend of [bob, carol]) {
    await alice.askToBeFriends(friend);
    await friend.accept();
  }
  const { page } = alice;
  await page.getByRole("link", { name: "Chats" }).click();
  await page.getByRole("button", { name: "New group" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of the group").fill("Trains");
  await dialog.getByLabel("Bob").check();
  await dialog.getByLabel("Carol").check();
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByLabel("Write a message").waitFor();
  await bob.openFirst();
  await carol.openFirst();
  return [alice, bob, carol];
}

function member(page: Page, name: string) {
  return page.locator(".member", { hasText: name });
}

test("three people talk in a group, and see how it changes", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  await expect
    .poll(() => bob.page.getByRole("heading", { level: 1, name: "Trains" }).textContent())
    .toContain("3 members");
  await carol.page.getByText(/Alice.* made the group/u).waitFor();
  await alice.say("Who comes along?");
  for (const { page } of [bob, carol]) {
    await page.locator(".message", { hasText: "Who comes along?" }).getByText("Alice").waitFor();
  }
  await bob.say("I do");
  await carol.message("I do").waitFor();
  await alice.page.getByRole("button", { name: "Details" }).click();
  await alice.page.getByLabel("Name of the group").fill("Boats");
  await alice.page.getByRole("button", { name: "Save" }).click();
  await bob.page.getByRole("heading", { level: 1, name: "Boats" }).waitFor();
  await bob.page.getByText(/Alice.* named the group .*Boats/u).waitFor();
  // It is there after a reload, at its place.
  await bob.page.reload();
  await bob.page.getByText(/Alice.* named the group .*Boats/u).waitFor();
  expect(await bob.texts()).toEqual(["Who comes along?", "I do"]);
});

test("who is removed sees nothing any more, and who comes back sees what is new", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  await alice.say("before");
  await bob.message("before").waitFor();
  const { page } = alice;
  await page.getByRole("button", { name: "Details" }).click();
  await member(page, "Bob").getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await bob.page.getByText("This conversation is not there, or it is not yours.").waitFor();
  await bob.page.getByRole("link", { name: "Back to the chats" }).click();
  expect(await bob.page.locator(".line").count()).toBe(0);
  await carol.page.getByText(/Alice.* removed .*Bob/u).waitFor();
  await alice.say("while Bob was away");
  await page.getByRole("button", { name: "Add members" }).click();
  await page.getByRole("dialog").getByLabel("Bob").check();
  await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  await bob.openFirst();
  await bob.page.getByText(/Alice.* added .*You|Alice.* added You/u).waitFor();
  await carol.say("welcome back");
  await bob.message("welcome back").waitFor();
  expect(await bob.texts()).toEqual(["welcome back"]);
});

test("roles and settings decide who may do what", async () => {
  const [alice, bob, carol] = await threeInAGroup();
  const { page } = alice;
  await page.getByRole("button", { name: "Details" }).click();
  await page.getByLabel("Send messages").uncheck();
  await bob.page.getByText("Only admins write here.").waitFor();
  await member(page, "Bob").getByRole("button", { name: "Make admin" }).click();
  await bob.page.getByLabel("Write a message").waitFor();
  await carol.page.getByText(/Alice.* made .*Bob.* an admin/u).waitFor();
  await bob.page.getByRole("button", { name: "Details" }).click();
  await member(bob.page, "Carol").getByRole("button", { name: "Remove" }).waitFor();
  expect(await member(bob.page, "Alice").getByRole("button").count()).toBe(0);
  await carol.page.getByRole("button", { name: "Details" }).click();
  expect(await carol.page.locator(".member-actions").count()).toBe(0);
  await member(page, "Bob").getByRole("button", { name: "Hand over" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Hand over" }).click();
  await member(page, "Bob").getByText("Owner").waitFor();
  await page.getByRole("button", { name: "Leave group" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Leave group" }).click();
  await page.getByText("No conversations yet").waitFor();
  await carol.page.getByText(/Alice.* left/u).waitFor();
  await bob.page.getByRole("button", { name: "Delete group" }).click();
  await bob.page.getByRole("dialog").getByRole("button", { name: "Delete group" }).click();
  await carol.page.getByText("This conversation is not there, or it is not yours.").waitFor();
});

test("a group's screens are accessible, light and dark, on a phone and from right to left", async () => {
  const [alice] = await threeInAGroup();
  const { page } = alice;
  await alice.say("Hello all");
  await alice.message("Hello all").waitFor();
  await page.getByRole("button", { name: "Details" }).click();
  await member(page, "Bob").waitFor();
  const check = async (what: string) => {
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
    expect(found, what).toEqual([]);
  };
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await check(colorScheme);
  }
  await page.getByRole("button", { name: "Add members" }).click();
  await check("adding members");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.setViewportSize({ width: 390, height: 780 });
  await check("phone");
  await page.setViewportSize({ width: 1100, height: 720 });
  await page.getByRole("link", { name: "Chats" }).click();
  await page.getByRole("button", { name: "New group" }).click();
  await check("a new group");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Language").selectOption("ar");
  await page.goBack();
  await page.locator(".line").first().click();
  await page.getByText("هنا تبدأ المجموعة.").waitFor();
  await check("Arabic");
});
