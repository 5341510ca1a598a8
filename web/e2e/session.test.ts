/** Who is signed in, in which tab, and what is left when they go. */

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { closeBrowser, newName, Person, twoFriends, URL_OF_SERVICE } from "./browser.ts";

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

async function signOut(page: Page): Promise<void> {
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
}

/** Somebody else, in a tab of the same browser. */
async function signInBeside(person: Person, userId: string): Promise<Page> {
  const page = await person.context.newPage();
  person.listen(page);
  await page.goto(URL_OF_SERVICE);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Name", { exact: true }).fill(userId);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("dialog", { name: "Welcome" }).waitFor();
  return page;
}

/** What the page offers to who is not signed in, once it offers this person. */
async function offersBeside(page: Page, userId: string): Promise<string[]> {
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  const offers = page.getByRole("button", { name: /^Continue as/u });
  await offers.filter({ hasText: userId }).waitFor();
  return offers.allTextContents();
}

test.each(["joined the other one", "was joined"])(
  "who signs out in the tab that %s is offered nowhere",
  async (which) => {
    const alice = await arrive("Alice");
    const carol = newName("carol");
    const ofCarol = await signInBeside(alice, carol);
    const second = await alice.anotherTab();
    await signOut(which === "was joined" ? alice.page : second);
    const all = [alice.page, second, await alice.context.newPage()];
    await all[2]?.goto(URL_OF_SERVICE);
    for (const page of all) {
      expect(await offersBeside(page, carol)).toEqual([`Continue as ${carol}`]);
      expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
      await page.reload();
      expect(await offersBeside(page, carol)).toEqual([`Continue as ${carol}`]);
    }
    expect(await ofCarol.evaluate(() => sessionStorage.getItem("chat-session"))).toContain(carol);
  },
);

test("a tab that was elsewhere at the sign-out signs nobody in when it comes back", async () => {
  const alice = await arrive("Alice");
  const second = await alice.anotherTab();
  await second.goto("about:blank");
  await signOut(alice.page);
  await alice.page.getByRole("button", { name: "Sign in" }).waitFor();
  await second.goto(URL_OF_SERVICE);
  await second.getByRole("button", { name: "Sign in" }).waitFor();
  // Who signs in again is.
  await alice.signIn(alice.page);
  await alice.page.reload();
  await alice.page.getByRole("navigation").waitFor();
});

test("who signs out is told of what was not sent, and may stay", async () => {
  const [alice, bob] = await twoFriends();
  people.push(alice, bob);
  const { page } = alice;
  await alice.say("before");
  await bob.message("before").waitFor();
  await alice.context.setOffline(true);
  await alice.say("one more");
  await alice.say("and another");
  await page.locator(".message.pending", { hasText: "and another" }).waitFor();
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 messages were not sent yet, and will be lost.").waitFor();
  await dialog.getByRole("button", { name: "Stay" }).click();
  await dialog.waitFor({ state: "detached" });
  await alice.context.setOffline(false);
  await bob.message("and another").waitFor();
  expect(await bob.texts()).toEqual(["before", "one more", "and another"]);
  await alice.context.setOffline(true);
  await alice.openFirst();
  await alice.say("never to be seen");
  await page.locator(".message.pending", { hasText: "never to be seen" }).waitFor();
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await dialog.getByText("1 message was not sent yet, and will be lost.").waitFor();
  await dialog.getByRole("button", { name: "Sign out and discard" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
});

test("a draft is there after a reload, for its writer alone, until it is sent or they sign out", async () => {
  const [alice, bob] = await twoFriends();
  people.push(alice, bob);
  const { page } = alice;
  const field = page.getByLabel("Write a message");
  const drafts = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("chat-draft:")));
  await field.fill("not quite done");
  await page.reload();
  await field.waitFor();
  expect(await field.inputValue()).toBe("not quite done");
  await page.keyboard.press("Enter");
  await bob.message("not quite done").waitFor();
  await expect.poll(drafts).toEqual([]);
  await page.reload();
  await alice.message("not quite done").waitFor();
  expect(await field.inputValue()).toBe("");
  await field.fill("for my eyes only");
  expect(await drafts()).toHaveLength(1);
  // In the same browser, in the same conversation.
  const second = await alice.context.newPage();
  await bob.signIn(second);
  await second.locator(".line").first().click();
  await second.getByLabel("Write a message").fill("by bob");
  expect(await drafts()).toHaveLength(2);
  await signOut(page);
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  expect(await drafts()).toEqual([expect.stringContaining(bob.id)]);
  await second.reload();
  await second.getByLabel("Write a message").waitFor();
  expect(await second.getByLabel("Write a message").inputValue()).toBe("by bob");
});

/** Gives the issuer what providers have and it does not: an end of refresh tokens. Answers those that were ended. */
async function withRevocation(context: BrowserContext): Promise<string[]> {
  const revoked: string[] = [];
  await context.route("**/.well-known/openid-configuration", async (route) => {
    const response = await route.fetch();
    const described = (await response.json()) as { issuer: string };
    await route.fulfill({ response, json: { ...described, revocation_endpoint: `${described.issuer}/revoke` } });
  });
  await context.route("**/revoke", async (route) => {
    revoked.push(new URLSearchParams(route.request().postData() ?? "").get("token") ?? "");
    await route.fulfill({ status: 200, headers: { "access-control-allow-origin": "*" } });
  });
  return revoked;
}

test("a sign-out ends the refresh token, also one that comes after it", async () => {
  const alice = await arrive("Alice");
  const { page } = alice;
  const revoked = await withRevocation(alice.context);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const asked = page.waitForRequest("**/token");
  let renewed = "";
  await page.route("**/token", async (route) => {
    const response = await route.fetch();
    renewed = ((await response.json()) as { refresh_token: string }).refresh_token;
    await held;
    await route.fulfill({ response });
  });
  await page.reload();
  await asked;
  const kept = await page.evaluate(() => JSON.parse(sessionStorage.getItem("chat-session") ?? "{}").refreshToken);
  await signOut(page);
  await expect.poll(() => revoked).toEqual([kept]);
  release();
  await expect.poll(() => revoked).toEqual([kept, renewed]);
});

test("one language is loaded, and the others are there without a network", async () => {
  const alice = await arrive("Alice");
  const { page } = alice;
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await page.getByRole("navigation").waitFor();
  const loaded = () =>
    page.evaluate(() =>
      performance
        .getEntriesByType("resource")
        .map(({ name }) => new URL(name).pathname.match(/^\/assets\/(en|ar)-/u)?.[1])
        .filter((language) => language !== undefined),
    );
  expect(await loaded()).toEqual(["en"]);
  await alice.context.setOffline(true);
  await page.reload();
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Language").selectOption("ar");
  await page.getByRole("heading", { name: "الإعدادات" }).waitFor();
  expect(await page.evaluate(() => document.documentElement.dir)).toBe("rtl");
  await page.reload();
  await page.getByRole("heading", { name: "الإعدادات" }).waitFor();
  expect(await loaded()).toEqual(["ar"]);
});
