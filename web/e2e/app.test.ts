/** People chat with each other in real browsers. */

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { call, closeBrowser, newName, Person, talk, theBrowser, twoFriends, URL_OF_SERVICE } from "./browser.ts";

const people: Person[] = [];

async function friends(...args: Parameters<typeof twoFriends>): Promise<[Person, Person]> {
  const two = await twoFriends(...args);
  people.push(...two);
  return two;
}

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

/** Fulfils a condition within a few seconds. */
async function soon(condition: () => Promise<void>): Promise<void> {
  await expect.poll(() => condition().then(() => "so", String), { timeout: 20_000, interval: 50 }).toBe("so");
}

/** What the device keeps of the conversations, as one text. */
async function kept(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const names = (await indexedDB.databases()).map(({ name }) => name ?? "");
    const name = names.find((each) => each.startsWith("chat:")) ?? "";
    return new Promise<string>((resolve, reject) => {
      const opening = indexedDB.open(name);
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const reading = opening.result.transaction("conversations").objectStore("conversations").getAll();
        reading.onerror = () => reject(reading.error);
        reading.onsuccess = () => {
          opening.result.close();
          resolve(JSON.stringify(reading.result));
        };
      };
    });
  });
}

async function inaccessible(page: Page): Promise<string[]> {
  // axe looks at other frames through a page of its own, which needs script that the policy forbids; there are none.
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
}

test("two people become friends and talk", async () => {
  const [alice, bob] = await friends();
  await alice.say("Hello Bob");
  await bob.message("Hello Bob").waitFor();
  await bob.say("Hello Alice");
  await alice.message("Hello Alice").waitFor();
  expect(await alice.texts()).toEqual(["Hello Bob", "Hello Alice"]);
  expect(await bob.texts()).toEqual(["Hello Bob", "Hello Alice"]);
  // Bob has it in front of him.
  await bob.page.bringToFront();
  await alice.message("Hello Bob").getByRole("img", { name: "Read" }).waitFor();
  expect(await alice.page.getByRole("heading", { level: 1 }).last().textContent()).toBe("Bob");
});

test("what is not read is counted, marked, and jumped to", async () => {
  const [alice, bob] = await friends();
  await bob.page.getByRole("link", { name: "Chats" }).click();
  for (let number = 1; number <= 40; number += 1) {
    await alice.say(`message ${number}`);
  }
  await bob.page.getByRole("img", { name: "40 unread" }).waitFor();
  expect(await bob.page.title()).toBe("(1) Chat");
  await bob.openFirst();
  await bob.page.getByText("New messages").waitFor();
  expect(await bob.page.getByText("message 1", { exact: true }).isVisible()).toBe(true);
  await bob.page.getByRole("button", { name: /^To the newest message/ }).click();
  await bob.message("message 40").waitFor();
  await soon(async () => expect(await bob.page.title()).toBe("Chat"));
});

test("a reply quotes, and its quote leads to what it is about", async () => {
  const [alice, bob] = await friends();
  await alice.say("What time is it?");
  await bob.message("What time is it?").hover();
  await bob.message("What time is it?").getByRole("button", { name: "Reply" }).click();
  await bob.say("Noon");
  const quote = alice.message("Noon").locator(".quote");
  await quote.getByText("What time is it?").waitFor();
  await quote.click();
  await alice.page.locator(".message.marked", { hasText: "What time is it?" }).first().waitFor();
});

test("a link to a message opens it, however long ago it was", async () => {
  const [alice, bob] = await friends();
  await alice.say("how it began");
  await bob.message("how it began").waitFor();
  await alice.message("how it began").hover();
  await alice.message("how it began").getByRole("button", { name: "Copy link" }).click();
  const link = await alice.page.evaluate(() => navigator.clipboard.readText());
  expect(link.startsWith(`${URL_OF_SERVICE}/c/`)).toBe(true);
  await bob.page.goto(link);
  await bob.page.locator(".message.marked", { hasText: "how it began" }).waitFor();
  await talk([alice, bob], 250);
  await bob.message("message 250 of 250").waitFor();
  // What the device has kept before, of fewer messages, would reach back to how it began.
  await soon(async () => expect(await kept(bob.page)).toContain("message 250 of 250"));
  await bob.page.goto(link);
  await bob.page.locator(".message.marked", { hasText: "how it began" }).waitFor();
  await bob.page.getByRole("button", { name: "Back to the newest" }).click();
  await bob.message("message 250 of 250").waitFor();
  // From the part of long ago one gets to the newest by reading on, too.
  await bob.page.goto(link);
  await bob.page.locator(".message.marked", { hasText: "how it began" }).waitFor();
  const log = bob.page.getByRole("log");
  await soon(async () => {
    await log.press("End");
    expect(await bob.message("message 250 of 250").isVisible()).toBe(true);
  });
  expect(await bob.page.getByRole("button", { name: "Back to the newest" }).isVisible()).toBe(false);
});

test("back to the newest leads there, although much on the way is not read", async () => {
  const [alice, bob] = await friends();
  await alice.say("how it began");
  await bob.message("how it began").waitFor();
  await bob.page.close();
  await talk([alice], 130);
  type List = { conversations: { conversationId: string }[]; messages: { messageId: string; seq: string }[] };
  const { conversations } = await call<List>(alice, "ConversationService/ListConversations", {});
  const conversationId = conversations[0]?.conversationId;
  const { messages } = await call<List>(alice, "MessageService/ListMessages", { conversationId, pageSize: 100 });
  const readSeq = Math.max(...messages.map(({ seq }) => Number(seq)));
  await call(bob, "ConversationService/MarkConversationRead", { conversationId, readSeq });
  const first = await call<List>(alice, "MessageService/ListMessages", { conversationId, afterSeq: "0", pageSize: 1 });
  await call(alice, "MessageService/SendMessage", {
    conversationId,
    clientMessageId: "reply",
    text: "as I said then",
    replyToMessageId: first.messages[0]?.messageId,
  });
  await talk([alice], 40);
  // A device that has nothing of it.
  const page = await (await (await theBrowser()).newContext({ locale: "en-GB" })).newPage();
  bob.listen(page);
  await bob.signIn(page);
  await page.locator(".line").first().click();
  await bob.message("as I said then", page).locator(".quote").click();
  await page.locator(".message.marked", { hasText: "how it began" }).waitFor();
  await page.getByRole("button", { name: "Back to the newest" }).click();
  await bob.message("message 40 of 40", page).waitFor();
  await page.context().close();
});

test("in an older part, it is said when newer messages cannot be loaded, and they are asked for again", async () => {
  const [alice, bob] = await friends();
  await alice.say("how it began");
  await bob.message("how it began").waitFor();
  await alice.message("how it began").hover();
  await alice.message("how it began").getByRole("button", { name: "Copy link" }).click();
  const link = await alice.page.evaluate(() => navigator.clipboard.readText());
  await talk([alice, bob], 250);
  await bob.message("message 250 of 250").waitFor();
  const { page } = bob;
  await soon(async () => expect(await kept(page)).toContain("message 250 of 250"));
  await page.goto(link);
  await page.locator(".message.marked", { hasText: "how it began" }).waitFor();
  // Refused, and not unavailable: then the client does not try again by itself.
  await page.route("**/ListMessages", (route) => route.fulfill({ status: 403 }));
  const log = page.getByRole("log");
  const said = page.locator(".loading-newer");
  await soon(async () => {
    await log.press("End");
    expect(await said.textContent()).toContain("Newer messages cannot be loaded now.");
  });
  await page.unroute("**/ListMessages");
  await said.getByRole("button", { name: "Try again" }).click();
  await soon(async () => {
    await log.press("End");
    expect(await bob.message("message 250 of 250").isVisible()).toBe(true);
  });
  expect(await said.textContent()).toBe("");
});

test("what is written without a network is shown, kept through a reload, and sent in order", async () => {
  const [alice, bob] = await friends();
  await alice.say("before");
  await bob.message("before").waitFor();
  await alice.page.evaluate(() => navigator.serviceWorker.ready);
  await alice.page.reload();
  await alice.message("before").waitFor();
  // It is kept a moment after it is shown.
  await soon(async () => expect(await kept(alice.page)).toContain("before"));
  await alice.context.setOffline(true);
  await alice.say("first, without");
  await alice.say("second, without");
  await alice.page.locator(".message.pending", { hasText: "second, without" }).waitFor();
  await alice.page.getByText("No connection.").waitFor();
  await alice.page.reload();
  await alice.message("before").waitFor();
  await alice.page.locator(".message.pending", { hasText: "second, without" }).waitFor();
  await alice.context.setOffline(false);
  await bob.message("second, without").waitFor();
  expect(await bob.texts()).toEqual(["before", "first, without", "second, without"]);
  await soon(async () => expect(await alice.texts()).toEqual(["before", "first, without", "second, without"]));
});

test("a message that is refused says why, and can be sent again or removed", async () => {
  const [alice, bob] = await friends();
  await alice.say("hello");
  await bob.message("hello").waitFor();
  await alice.context.setOffline(true);
  await alice.say("still friends?");
  await alice.say("and this?");
  await bob.page.getByRole("button", { name: "Details" }).click();
  await bob.page.getByRole("complementary").getByRole("button", { name: "Remove friend" }).click();
  await bob.page.getByRole("dialog").getByRole("button", { name: "Remove friend" }).click();
  await bob.page.getByText("You can write to each other again").waitFor();
  await alice.context.setOffline(false);
  await alice.page.getByText("Not sent: You are no longer friends.").first().waitFor();
  await soon(async () => expect(await alice.page.locator(".message.failed").count()).toBe(2));
  await alice.page.locator(".message.failed", { hasText: "and this?" }).getByRole("button", { name: "Remove" }).click();
  await alice.page.getByRole("link", { name: "People" }).click();
  await alice.page.getByLabel("Add a friend").fill(bob.id);
  await alice.page.getByRole("button", { name: "Add", exact: true }).click();
  await bob.accept();
  await alice.page.getByRole("button", { name: "Message", exact: true }).click();
  await alice.page.locator(".message.failed").getByRole("button", { name: "Send again" }).click();
  await bob.openFirst();
  await bob.message("still friends?").waitFor();
  await soon(async () => expect(await alice.texts()).toEqual(["hello", "still friends?"]));
});

test("a live connection that breaks in a burst costs nothing", async () => {
  const [alice, bob] = await friends();
  const sockets = await countSockets(bob.page);
  for (let number = 1; number <= 30; number += 1) {
    await alice.say(`burst ${number}`);
    if (number === 10) {
      await sockets.closeAll();
    }
  }
  await bob.message("burst 30").waitFor();
  // So high that all of it is on the page.
  await bob.page.setViewportSize({ width: 1100, height: 3_000 });
  const burst = Array.from({ length: 30 }, (_, place) => `burst ${place + 1}`);
  await soon(async () => expect(await bob.texts()).toEqual(burst));
});

/** Breaks the sockets that a page has opened since it was loaded anew. */
async function countSockets(page: Page) {
  const routes: { close(): Promise<void> }[] = [];
  await page.routeWebSocket(/\/live/, (socket) => {
    socket.connectToServer();
    routes.push(socket);
  });
  await page.reload();
  await page.getByLabel("Write a message").waitFor();
  await expect.poll(() => routes.length).toBeGreaterThan(0);
  return { closeAll: () => Promise.all(routes.splice(0).map((route) => route.close())) };
}

test("two tabs of one person share a socket, and the other one takes it over", async () => {
  const [alice, bob] = await friends();
  const opened: string[] = [];
  const second = await alice.anotherTab((page) => page.on("websocket", () => opened.push("second")));
  await second.locator(".line").first().click();
  await bob.say("to both tabs");
  await alice.message("to both tabs").waitFor();
  await alice.message("to both tabs", second).waitFor();
  expect(opened).toEqual([]);
  await alice.page.close();
  await expect.poll(() => opened, { timeout: 10_000 }).toEqual(["second"]);
  await bob.say("to the one that is left");
  await alice.message("to the one that is left", second).waitFor();
});

test("a tab whose connection was another one's says so when that one has died without a word", async () => {
  const [alice, bob] = await friends();
  const second = await alice.anotherTab();
  await second.locator(".line").first().click();
  await bob.say("while both live");
  await alice.message("while both live", second).waitFor();
  // The one that is left cannot connect, and must not believe that somebody else has.
  await second.route("**/CreateLiveTicket", (route) => route.abort());
  await alice.page.goto("chrome://crash").catch(() => undefined);
  await second
    .getByRole("status")
    .filter({ hasText: /No connection|interrupted/u })
    .waitFor();
  await second.unroute("**/CreateLiveTicket");
  await bob.say("to the one that is left");
  await alice.message("to the one that is left", second).waitFor({ timeout: 30_000 });
});

test("who signs out leaves nothing to who comes next, in any tab", async () => {
  const [alice, bob] = await friends();
  await bob.say("for alice alone");
  await alice.message("for alice alone").waitFor();
  const second = await alice.anotherTab();
  await alice.page.getByLabel("Write a message").fill("a draft of alice");
  await alice.page.getByRole("link", { name: "Settings" }).click();
  await alice.page.getByRole("button", { name: "Sign out" }).click();
  await alice.page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await alice.page.getByRole("button", { name: "Sign in" }).waitFor();
  await second.getByRole("button", { name: "Sign in" }).waitFor();
  expect(await alice.page.getByRole("button", { name: /^Continue as/u }).count()).toBe(0);
  const kept = await alice.page.evaluate(async (user) => {
    const all = await indexedDB.databases();
    const name = all.find((database) => database.name?.endsWith(`:${user}`))?.name ?? "";
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => resolve(request.result);
    });
    const counts = [...database.objectStoreNames].map(
      (store) =>
        new Promise<number>((resolve) => {
          const request = database.transaction(store).objectStore(store).count();
          request.onsuccess = () => resolve(request.result);
        }),
    );
    return { stores: counts.length, things: (await Promise.all(counts)).reduce((sum, count) => sum + count, 0) };
  }, alice.id);
  expect(kept).toEqual({ stores: 4, things: 0 });
  // The same browser, another person.
  await alice.page.getByRole("button", { name: "Sign in" }).click();
  await alice.page.getByLabel("Name", { exact: true }).fill(bob.id);
  await alice.page.getByRole("button", { name: "Continue" }).click();
  await alice.page.getByRole("link", { name: "Chats" }).click();
  await alice.page.locator(".line").first().click();
  await alice.page.getByLabel("Write a message").waitFor();
  expect(await alice.page.getByLabel("Write a message").inputValue()).toBe("");
});

test("a refresh that is answered after the sign-out signs nobody in", async () => {
  const alice = await arrive("Alice");
  const { page } = alice;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const asked = page.waitForRequest("**/token");
  await page.route("**/token", async (route) => {
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
  });
  await page.reload();
  await asked;
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  const answered = page.waitForResponse("**/token");
  release();
  await (await answered).finished();
  await page.unroute("**/token");
  expect(await page.evaluate(() => Object.keys(sessionStorage))).toEqual([]);
  await page.reload();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  // Somebody else may come, and is not taken for who was there.
  const bob = newName("bob");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Name", { exact: true }).fill(bob);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("navigation").waitFor();
  expect(await page.evaluate(() => sessionStorage.getItem("chat-session"))).toContain(bob);
});

test("all can be done by keyboard", async () => {
  const [alice, bob] = await friends();
  await bob.say("by keyboard");
  await alice.message("by keyboard").waitFor();
  const { page } = alice;
  await page.getByRole("log").focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.keyboard.type("an answer");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("of two lines");
  await page.keyboard.press("Enter");
  const answer = bob.message("an answer");
  await answer.waitFor();
  expect(await answer.locator(".text").textContent()).toBe("an answer\nof two lines");
  await answer.locator(".quote", { hasText: "by keyboard" }).waitFor();
  // From the top of the page to the field where one writes.
  await page.reload();
  await page.getByLabel("Write a message").waitFor();
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.getByLabel("Write a message").evaluate((field) => field === document.activeElement)) {
      return;
    }
  }
  expect.unreachable("the field is not reached by Tab");
});

test("markup, links and names that turn the text do no harm", async () => {
  const [alice, bob] = await friends();
  await alice.say(`<img src=x onerror="document.title='owned'"> javascript:alert(1) https://example.com/?a=1&b=2).`);
  const message = bob.message("onerror");
  await message.waitFor();
  expect(await message.locator("img").count()).toBe(0);
  const links = message.locator(".text a");
  expect(await links.count()).toBe(1);
  expect(await links.getAttribute("href")).toBe("https://example.com/?a=1&b=2");
  expect(await links.getAttribute("rel")).toContain("noopener");
});

test("every screen is accessible, light and dark, on a phone and from right to left", async () => {
  const [alice, bob] = await friends();
  await bob.say("Good morning");
  await alice.say("Good morning to you too, and here is a link: https://example.com");
  await alice.message("Good morning").first().waitFor();
  for (const colorScheme of ["light", "dark"] as const) {
    await alice.page.emulateMedia({ colorScheme });
    for (const width of [1100, 390]) {
      await alice.page.setViewportSize({ width, height: 760 });
      await alice.openFirst();
      expect(await inaccessible(alice.page), `conversation, ${colorScheme}, ${width}`).toEqual([]);
      if (width < 768) {
        await alice.page.getByRole("link", { name: "Back" }).click();
      }
      for (const screen of ["Chats", "People", "Settings"]) {
        await alice.page.getByRole("link", { name: screen }).click();
        expect(await inaccessible(alice.page), `${screen}, ${colorScheme}, ${width}`).toEqual([]);
      }
    }
  }
  await alice.page.getByLabel("Language").selectOption("ar");
  await alice.page.locator("html[dir=rtl]").waitFor();
  expect(await inaccessible(alice.page)).toEqual([]);
  const stranger = await arrive("Carol");
  await stranger.page.getByRole("link", { name: "Settings" }).click();
  await stranger.page.getByRole("button", { name: "Sign out" }).click();
  expect(await inaccessible(stranger.page), "a question").toEqual([]);
  await stranger.page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await stranger.page.getByRole("button", { name: "Sign in" }).waitFor();
  expect(await inaccessible(stranger.page), "signed out").toEqual([]);
});

test("a conversation that is not one's own is not there", async () => {
  const alice = await arrive("Alice");
  await alice.page.goto(`${URL_OF_SERVICE}/c/01890a5d-ac96-774b-bcce-b302099a8057`);
  await alice.page.getByText("This conversation is not there, or it is not yours.").waitFor();
});
