/** Whatever people write, everything stays within the page. */

import type { Page } from "playwright-core";
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

/** Elements that reach out of what they are in, or out of the page. */
async function overflowing(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const nameOf = ({ tagName, className }: Element) => `${tagName.toLowerCase()}.${className}`;
    const found: string[] = [];
    if (document.documentElement.scrollWidth > innerWidth) {
      found.push(`the page: ${document.documentElement.scrollWidth} of ${innerWidth}`);
    }
    for (const element of document.body.querySelectorAll<HTMLElement>("*")) {
      const { parentElement: parent } = element;
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      const isOfText = style.display === "inline" || element.closest("svg, .for-readers") !== null;
      if (isOfText || box.width === 0 || !parent) {
        continue;
      }
      if (box.left < -1 || box.right > innerWidth + 1) {
        found.push(`${nameOf(element)}: ${box.left} to ${box.right} of ${innerWidth}`);
      }
      // What is cut off is meant to be; what can be scrolled sideways is not.
      if (["auto", "scroll"].includes(style.overflowX) && element.scrollWidth > element.clientWidth) {
        found.push(`${nameOf(element)} scrolls: ${element.scrollWidth} of ${element.clientWidth}`);
      }
      const around = parent.getBoundingClientRect();
      const isBound = style.position === "static" && getComputedStyle(parent).display !== "contents";
      if (isBound && (box.left < around.left - 1 || box.right > around.right + 1)) {
        found.push(`${nameOf(element)}: ${box.left} to ${box.right} in ${nameOf(parent)} to ${around.right}`);
      }
    }
    return found;
  });
}

test("words of any length stay where they belong, in both directions, on a phone too", async () => {
  const word = "w".repeat(2_000);
  const [alice, bob] = await Promise.all([arrive("A".repeat(64)), arrive("B".repeat(64))]);
  await alice.askToBeFriends(bob);
  await bob.accept();
  await bob.page.getByRole("button", { name: "Message", exact: true }).waitFor();
  const group = { name: "g".repeat(100), userIds: [bob.id], requestId: "01890a5d-ac96-774b-bcce-b302099a8057" };
  type Made = { conversation: { conversationId: string } };
  const { conversation: inGroup } = await call<Made>(alice, "GroupService/CreateGroup", group);
  const { conversation: direct } = await call<Made>(bob, "ConversationService/OpenDirectConversation", {
    userId: alice.id,
  });
  await call(alice, "GroupService/UpdateGroup", {
    conversationId: inGroup.conversationId,
    requestId: "01890a5d-ac96-774b-bcce-b302099a8058",
    description: "d".repeat(1_000),
    updateMask: "description",
  });
  for (const { conversationId } of [direct, inGroup]) {
    await call(bob, "MessageService/SendMessage", { conversationId, clientMessageId: conversationId, text: word });
  }
  const { page } = alice;
  await page.getByRole("link", { name: "Chats" }).click();
  await page.locator(".badge").nth(1).waitFor();
  const screens = {
    "/": ".line",
    "/people": ".person",
    "/settings": ".settings select:enabled[aria-describedby]",
    [`/c/${direct.conversationId}`]: ".bubble",
    [`/c/${inGroup.conversationId}`]: ".bubble",
    [`/c/${inGroup.conversationId}/details`]: ".member",
  };
  const found: string[] = [];
  const look = async (where: string) => {
    found.push(...(await overflowing(page)).map((it) => `${where}: ${it}`));
  };
  for (const language of ["en", "ar"]) {
    await page.evaluate((tag) => localStorage.setItem("chat-language", tag), language);
    for (const width of [1100, 390]) {
      await page.setViewportSize({ width, height: 720 });
      for (const [path, shown] of Object.entries(screens)) {
        const where = `${path}, ${language}, ${width}`;
        await page.goto(`${URL_OF_SERVICE}${path}`);
        await page.locator(shown).first().waitFor();
        await look(where);
        if (shown === ".bubble") {
          await page.locator(".message").first().focus();
          await page.keyboard.press("r");
          await page.locator(".replying").waitFor();
          await page.locator("textarea").fill(word);
          await look(`writing, ${where}`);
        } else if (shown === ".member") {
          // All of it can be reached.
          await page.locator(".details > .button").last().scrollIntoViewIfNeeded();
          expect(await page.locator(".details > .button").last().isVisible()).toBe(true);
          for (const opens of [".details > .button", ".member .icon-button"]) {
            await page.locator(opens).first().click();
            await page.locator(".dialog").waitFor();
            await look(`a dialog, ${where}`);
            await page.keyboard.press("Escape");
            await page.locator(".dialog").waitFor({ state: "detached" });
          }
        }
      }
    }
  }
  const second = await alice.context.newPage();
  await second.goto(URL_OF_SERVICE);
  await second.setViewportSize({ width: 390, height: 720 });
  await second.getByText(alice.id).waitFor();
  found.push(...(await overflowing(second)));
  expect(found).toEqual([]);
});

test("what one says oneself stands at the end of the line and what others say at its start, as wide as its text", async () => {
  const [alice, bob] = await twoFriends();
  people.push(alice, bob);
  await bob.say("Hello");
  await alice.message("Hello").waitFor();
  await alice.say("Hi");
  await alice.page.locator(".message:not(.pending)", { hasText: "Hi" }).waitFor();
  for (const width of [1_100, 390]) {
    await alice.page.setViewportSize({ width, height: 700 });
    for (const direction of ["ltr", "rtl"]) {
      await alice.page.evaluate((dir) => document.documentElement.setAttribute("dir", dir), direction);
      const log = await alice.page.getByRole("log").boundingBox();
      const boxOf = async (text: string) => {
        const bubble = alice.page.locator(".message", { hasText: text }).locator(".bubble");
        const box = await bubble.boundingBox();
        const start = (box?.x ?? 0) - (log?.x ?? 0);
        return { start, end: (log?.width ?? 0) - start - (box?.width ?? 0), width: box?.width ?? 0 };
      };
      const [own, other] = [await boxOf("Hi"), await boxOf("Hello")];
      const [ownGap, otherGap] = direction === "ltr" ? [own.end, other.start] : [own.start, other.end];
      const where = `${width} px, ${direction}: ${JSON.stringify({ own, other, log })}`;
      expect(ownGap, where).toBeLessThan(60);
      expect(otherGap, where).toBeLessThan(100);
      expect(Math.max(own.width, other.width), where).toBeLessThan(200);
    }
  }
});
