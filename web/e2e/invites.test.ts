/** Links into groups, in real browsers. */

import AxeBuilder from "@axe-core/playwright";
import type { Page, Request } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { call, closeBrowser, newName, Person, URL_OF_SERVICE } from "./browser.ts";

const people: Person[] = [];

afterEach(async () => {
  const complaints = people.flatMap((person) => person.complaints);
  await Promise.all(people.splice(0).map((person) => person.context.close()));
  expect(complaints).toEqual([]);
});
afterAll(closeBrowser);

async function arrive(...args: Parameters<typeof Person.arrive>): Promise<Person> {
  const person = await Person.arrive(...args);
  people.push(person);
  return person;
}

/** Alice, who looks at the details of a group of hers. */
async function withGroup(): Promise<Person> {
  const alice = await arrive("Alice");
  const description = "On Sundays";
  await call(alice, "GroupService/CreateGroup", { requestId: crypto.randomUUID(), name: "Trains", description });
  await alice.openFirst();
  await alice.page.getByRole("button", { name: "Details" }).click();
  return alice;
}

function details({ page }: Person) {
  return page.getByRole("complementary", { name: "Details" });
}

interface Wanted {
  readonly time?: string;
  readonly uses?: string;
  readonly asks?: boolean;
}

/** Makes a link, and copies it. */
async function makeLink(person: Person, { time = "1 week", uses = "Any number", asks = false }: Wanted = {}) {
  const before = await details(person).locator(".invite").count();
  await details(person).getByRole("button", { name: "New link" }).click();
  const dialog = person.page.getByRole("dialog");
  await dialog.getByLabel("It can be used for").selectOption(time);
  await dialog.getByLabel("By how many").selectOption(uses);
  await dialog.getByLabel("Who has it asks to join").setChecked(asks);
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.waitFor({ state: "detached" });
  await expect.poll(() => details(person).locator(".invite").count()).toBe(before + 1);
  await details(person).getByRole("button", { name: "Copy link" }).first().click();
  await person.page.locator(".notice", { hasText: "Copied" }).waitFor();
  const link = await person.page.evaluate(() => navigator.clipboard.readText());
  expect(link).toMatch(new RegExp(`^${URL_OF_SERVICE}/join/[\\w-]+$`, "u"));
  return link;
}

async function revoke(person: Person): Promise<void> {
  await details(person).getByRole("button", { name: "End this link" }).first().click();
  await person.page.getByRole("dialog").getByRole("button", { name: "End this link" }).click();
  await person.page.getByRole("dialog").waitFor({ state: "detached" });
}

async function changes({ page }: Person): Promise<string[]> {
  const lines = await page.locator(".change").allTextContents();
  return lines.map((line) => line.replaceAll(/[\u2068\u2069]/gu, ""));
}

function asking(person: Person, name: string) {
  return details(person).locator(".request", { hasText: name });
}

test("who opens a link signs in, is where it leads, and joins; its token goes nowhere else", async () => {
  const alice = await withGroup();
  const link = await makeLink(alice, { uses: "10" });
  await details(alice).getByText("Uses: 0 of 10").waitFor();
  const token = link.slice(link.lastIndexOf("/") + 1);
  const asked: Request[] = [];
  const dave = await arrive("Dave", {}, link);
  dave.page.on("request", (request) => asked.push(request));
  await dave.page.waitForURL(link);
  await dave.page.reload();
  const { page } = dave;
  await page.getByRole("heading", { level: 1, name: "Trains" }).waitFor();
  await page.getByText("On Sundays").waitFor();
  await page.locator(".main").getByText("1 member").waitFor();
  await page.getByRole("button", { name: "Join", exact: true }).click();
  await page.getByLabel("Write a message").waitFor();
  expect(page.url()).toMatch(/\/c\/[\w-]{36}$/u);
  await expect.poll(() => changes(alice)).toContainEqual("Dave joined by a link");
  await expect.poll(() => changes(dave)).toEqual(["You joined by a link"]);
  await details(alice).getByText("Uses: 1 of 10").waitFor();
  await alice.say("welcome");
  await dave.message("welcome").waitFor();
  // Once more, it leads there.
  await page.goto(link);
  await page.getByText("You are in this group.").waitFor();
  await page.getByRole("link", { name: "To the group" }).click();
  await dave.message("welcome").waitFor();
  for (const request of asked) {
    const { pathname } = new URL(request.url());
    const isPage = request.isNavigationRequest() && request.url() === link;
    expect(isPage || !request.url().includes(token), request.url()).toBe(true);
    expect(JSON.stringify(await request.allHeaders())).not.toContain(token);
    const isCall = pathname.endsWith("/GetGroupInvite") || pathname.endsWith("/JoinGroup");
    expect(isCall || !request.postData()?.includes(token), request.url()).toBe(true);
  }
  const answer = await fetch(link);
  expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
});

test("who goes to sign in from a link does not take it along", async () => {
  const alice = await withGroup();
  const link = await makeLink(alice);
  const context = alice.context.browser()?.newContext({ locale: "en-GB" });
  const page = (await (await context)?.newPage()) as Page;
  const asked: string[] = [];
  page.on("request", (request) => asked.push(`${request.url()} ${request.headers().referer} ${request.postData()}`));
  await page.goto(link);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Name", { exact: true }).waitFor();
  const withToken = asked.filter((request) => request.includes(link.slice(link.lastIndexOf("/") + 1)));
  expect(withToken.map((request) => request.split(" ")[0])).toEqual([link]);
  // Who comes back without having signed in may try again, and still is where the link leads.
  await page.goto(`${URL_OF_SERVICE}/signed-in?error=access_denied`);
  await page.getByText("That did not work. Please try again.").waitFor();
  expect(page.url()).toBe(link);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Name", { exact: true }).fill(newName("erin"));
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL(link);
  await page.getByRole("heading", { level: 1, name: "Trains" }).waitFor();
  await page.context().close();
});

test("who has to ask is turned away, asks again, and is let in", async () => {
  const alice = await withGroup();
  const link = await makeLink(alice, { asks: true });
  const dave = await arrive("Dave");
  const { page } = dave;
  await page.goto(link);
  await page.getByText("is let in by somebody").waitFor();
  await page.getByRole("button", { name: "Ask to join" }).click();
  await page.getByText("You have asked to join.").waitFor();
  await alice.page.locator(".notice", { hasText: "Dave asks to join Trains" }).waitFor();
  await asking(alice, "Dave").getByRole("button", { name: "Decline" }).click();
  await asking(alice, "Dave").waitFor({ state: "detached" });
  await page.reload();
  await page.getByRole("button", { name: "Ask to join" }).click();
  await page.getByText("You have asked to join.").waitFor();
  await page.reload();
  await page.getByText("You have asked to join.").waitFor();
  expect(await page.getByRole("button", { name: "Ask to join" }).count()).toBe(0);
  // Nobody has told Alice's page again but the service.
  await asking(alice, "Dave").getByRole("button", { name: "Accept" }).click();
  await asking(alice, "Dave").waitFor({ state: "detached" });
  await details(alice).getByRole("listitem").filter({ hasText: "Dave" }).waitFor();
  await page.getByText("You are in this group.").waitFor();
  await page.getByRole("link", { name: "To the group" }).click();
  await page.getByLabel("Write a message").waitFor();
  // Who may not manage links sees none.
  await page.getByRole("button", { name: "Details" }).click();
  await details(dave).getByRole("heading", { name: "Members" }).waitFor();
  expect(await details(dave).getByText("Links to join").count()).toBe(0);
});

test("a link that has ended says so, also one that ends while one looks at it", async () => {
  const alice = await withGroup();
  const link = await makeLink(alice, { time: "ever", uses: "1" });
  await details(alice).getByText("Without an end").waitFor();
  const dave = await arrive("Dave", {}, link);
  const { page } = dave;
  await page.getByRole("button", { name: "Join", exact: true }).waitFor();
  await revoke(alice);
  await expect.poll(() => details(alice).locator(".invite").count()).toBe(0);
  await page.getByRole("button", { name: "Join", exact: true }).click();
  await page.getByText("It has ended, or was used up. Ask for a new one.").waitFor();
  for (const dead of [link, `${URL_OF_SERVICE}/join/nowhere`]) {
    await page.goto(dead);
    await page.getByText("This link leads nowhere").waitFor();
    expect(await page.getByRole("button", { name: "Join", exact: true }).count()).toBe(0);
  }
  await page.locator(".main").getByRole("link", { name: "Back to the chats" }).click();
  await page.getByText("No conversations yet").waitFor();
});

test("a link that cannot be looked at now can be later", async () => {
  const alice = await withGroup();
  const link = await makeLink(alice);
  const dave = await arrive("Dave");
  const { page } = dave;
  await page.route("**/GetGroupInvite", (route) => route.fulfill({ status: 503 }));
  await page.goto(link);
  const again = page.locator(".main").getByRole("button", { name: "Try again" });
  await again.waitFor();
  await page.unroute("**/GetGroupInvite");
  await again.click();
  await page.getByRole("button", { name: "Join", exact: true }).waitFor();
});

test("links can be made, ended and used by keyboard", async () => {
  const alice = await withGroup();
  const { page } = alice;
  await details(alice).getByRole("button", { name: "New link" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "New link" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  // The focus is where it was.
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  expect(await page.getByLabel("Who has it asks to join").isChecked()).toBe(true);
  await page.keyboard.press("Enter");
  await details(alice).getByText("one asks to join").waitFor();
  await details(alice).getByRole("button", { name: "Copy link" }).focus();
  await page.keyboard.press("Enter");
  await page.locator(".notice", { hasText: "Copied" }).waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const dave = await arrive("Dave", {}, link);
  await dave.page.getByRole("button", { name: "Ask to join" }).focus();
  await dave.page.keyboard.press("Enter");
  await asking(alice, "Dave").getByRole("button", { name: "Accept" }).focus();
  await page.keyboard.press("Enter");
  await asking(alice, "Dave").waitFor({ state: "detached" });
  expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Details");
  await details(alice).getByRole("button", { name: "End this link" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "End this link" }).focus();
  await page.keyboard.press("Enter");
  await details(alice).locator(".invite").waitFor({ state: "detached" });
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Links to join");
});

test("all about links is accessible, light and dark, on a phone and from right to left", async () => {
  const alice = await withGroup();
  const link = await makeLink(alice, { asks: true });
  const dave = await arrive("Dave");
  await dave.page.goto(link);
  await dave.page.getByRole("button", { name: "Ask to join" }).click();
  await asking(alice, "Dave").waitFor();
  const open = await makeLink(alice, { uses: "25" });
  const check = async (what: string, page: Page) => {
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
    expect(found, what).toEqual([]);
    // Nothing is wider than what it stands in.
    const tooWide = await page.evaluate(() =>
      [...document.querySelectorAll(".details, .main, body")]
        .filter((it) => it.clientWidth > 0 && it.scrollWidth > it.clientWidth)
        .map((it) => it.className),
    );
    expect(tooWide, what).toEqual([]);
  };
  const both = async (what: string, newLink: string) => {
    for (const colorScheme of ["light", "dark"] as const) {
      for (const { page } of [alice, dave]) {
        await page.emulateMedia({ colorScheme });
      }
      for (const width of [1100, 360]) {
        await alice.page.setViewportSize({ width, height: 780 });
        await check(`details, ${what}, ${colorScheme}, ${width}`, alice.page);
        await details(alice).or(alice.page.locator(".details")).getByRole("button", { name: newLink }).click();
        await check(`a new link, ${what}, ${colorScheme}, ${width}`, alice.page);
        await alice.page.keyboard.press("Escape");
        await dave.page.setViewportSize({ width, height: 780 });
        for (const [where, address] of [
          ["asked", link],
          ["open", open],
          ["dead", `${URL_OF_SERVICE}/join/nowhere`],
        ] as const) {
          await dave.page.goto(address);
          await dave.page.locator(".main .empty").waitFor();
          await check(`${where}, ${what}, ${colorScheme}, ${width}`, dave.page);
        }
      }
      await alice.page.setViewportSize({ width: 1100, height: 720 });
      await dave.page.setViewportSize({ width: 1100, height: 720 });
    }
  };
  await both("English", "New link");
  for (const { page } of [alice, dave]) {
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByLabel("Language").selectOption("ar");
    await page.getByRole("heading", { name: "الإعدادات" }).waitFor();
  }
  await alice.page.goBack();
  await alice.page.locator(".invite").first().waitFor();
  await both("Arabic", "رابط جديد");
});
