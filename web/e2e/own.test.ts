/** What a conversation is to one person alone, in real browsers. */

import AxeBuilder from "@axe-core/playwright";
import { afterAll, afterEach, expect, test } from "vitest";
import { call, closeBrowser, Person, twoFriends } from "./browser.ts";

const people: Person[] = [];

afterEach(async () => {
  const complaints = people.flatMap((person) => person.complaints);
  await Promise.all(people.splice(0).map((person) => person.context.close()));
  expect(complaints).toEqual([]);
});
afterAll(closeBrowser);

/** Alice, who has chats with Bob and, the newer one, with Carol, and looks at the details of Bob's. */
async function alice(): Promise<[Person, Person, Person]> {
  const [first, bob] = await twoFriends();
  const carol = await Person.arrive("Carol");
  people.push(first, bob, carol);
  await bob.say("Hello from Bob");
  await first.askToBeFriends(carol);
  await carol.accept();
  await carol.openChat();
  await carol.say("Hello from Carol");
  await first.page.getByRole("link", { name: "Chats" }).click();
  await first.page.locator(".line", { hasText: "Hello from Carol" }).waitFor();
  await expect.poll(() => names(first)).toEqual(["Carol", "Bob"]);
  await openDetails(first, "Bob");
  return [first, bob, carol];
}

async function names({ page }: Person): Promise<string[]> {
  return page.locator(".line .name").allTextContents();
}

function own({ page }: Person) {
  return page.getByRole("group", { name: "For you alone" });
}

async function openDetails(person: Person, name: string): Promise<void> {
  const { page } = person;
  await page.getByRole("link", { name: "Chats" }).click();
  await page.locator(".line", { hasText: name }).first().click();
  await page.getByRole("button", { name: "Details" }).click();
  await own(person).waitFor();
}

test("what a person pins is on top, and what they archive is put away", async () => {
  const [first, bob] = await alice();
  const { page } = first;
  const another = await first.anotherTab();
  await own(first).getByRole("button", { name: "Pin", exact: true }).click();
  await expect.poll(() => names(first)).toEqual(["Bob", "Carol"]);
  await page.locator(".line", { hasText: "Bob" }).getByRole("img", { name: "Pinned" }).waitFor();
  await expect.poll(() => another.locator(".line .name").allTextContents()).toEqual(["Bob", "Carol"]);
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id }) => id)).toEqual([]);
  await own(first).getByRole("button", { name: "Unpin" }).click();
  await own(first).getByRole("button", { name: "Archive", exact: true }).click();
  await expect.poll(() => names(first)).toEqual(["Carol"]);
  await page.getByRole("button", { name: "Archive (1)" }).click();
  await expect.poll(() => names(first)).toEqual(["Bob"]);
  await own(first).getByRole("button", { name: "Take out of the archive" }).click();
  await expect.poll(() => names(first)).toEqual(["Carol", "Bob"]);
  // Bob sees nothing of it.
  expect(await bob.page.getByRole("img", { name: "Pinned" }).count()).toBe(0);
});

test("a person is left in peace, and flags what they come back to", async () => {
  const [first] = await alice();
  const { page } = first;
  await own(first).getByLabel("Notifications").selectOption("Off for a day");
  const line = page.locator(".line", { hasText: "Bob" });
  await line.getByRole("img", { name: "No notifications" }).waitFor();
  await expect
    .poll(() => own(first).getByLabel("Notifications").locator("option:checked").textContent())
    .toMatch(/^Off until /u);
  await own(first).getByLabel("Notifications").selectOption("On");
  await line.getByRole("img", { name: "No notifications" }).waitFor({ state: "detached" });
  await own(first).getByRole("button", { name: "Mark as unread" }).click();
  await line.getByRole("img", { name: "Marked as unread" }).waitFor();
  // It is read, by who looks at it, and so no more.
  await page.bringToFront();
  await line.click();
  await line.getByRole("img", { name: "Marked as unread" }).waitFor({ state: "detached" });
});

test("what a person clears and hides, the other one keeps, and news brings it back", async () => {
  const [first, bob] = await alice();
  const { page } = first;
  await own(first).getByRole("button", { name: "Clear history" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Clear history" }).click();
  await first.message("Hello from Bob").waitFor({ state: "detached" });
  await own(first).getByRole("button", { name: "Hide until something new is said" }).click();
  await expect.poll(() => names(first)).toEqual(["Carol"]);
  await page.reload();
  await expect.poll(() => names(first)).toEqual(["Carol"]);
  await bob.message("Hello from Bob").waitFor();
  await bob.say("Still there?");
  await expect.poll(() => names(first)).toEqual(["Bob", "Carol"]);
  const { conversations } = await call<{ conversations: unknown[] }>(
    first,
    "ConversationService/ListConversations",
    {},
  );
  expect(conversations).toHaveLength(2);
});
