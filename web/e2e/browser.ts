/** People at browsers, for tests. */

import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";

export const URL_OF_SERVICE = process.env.CHAT_URL ?? "http://127.0.0.1:8080";

const PROGRAMS = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where the browser is; nothing where there is none. */
export const CHROMIUM = PROGRAMS.find((path) => path && existsSync(path));

let browser: Promise<Browser> | undefined;

export function theBrowser(): Promise<Browser> {
  browser ??= chromium.launch({
    executablePath: CHROMIUM ?? "chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"],
  });
  return browser;
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = undefined;
}

let counter = 0;

/** A name that nobody has had before. */
export function newName(name: string): string {
  counter += 1;
  return `${name}-${process.pid.toString(36)}${Date.now().toString(36)}${counter}`;
}

/** Somebody at a browser of their own. */
export class Person {
  readonly id: string;
  readonly name: string;
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the browser complained of. */
  readonly complaints: string[] = [];

  private constructor(id: string, name: string, context: BrowserContext, page: Page) {
    this.id = id;
    this.name = name;
    this.context = context;
    this.page = page;
    this.listen(page);
  }

  /** Opens the app and signs in, for the first time; at this address, if one is given. */
  static async arrive(name: string, options: BrowserContextOptions = {}, at = URL_OF_SERVICE): Promise<Person> {
    const context = await (await theBrowser()).newContext({
      viewport: { width: 1100, height: 720 },
      permissions: ["clipboard-read", "clipboard-write"],
      locale: "en-GB",
      ...options,
    });
    context.setDefaultTimeout(20_000);
    const person = new Person(newName(name.toLowerCase()), name, context, await context.newPage());
    await person.signIn(person.page, at);
    await person.page.getByLabel("Name that others see").fill(name);
    await person.page.getByRole("button", { name: "Start" }).click();
    await person.page.getByRole("dialog").waitFor({ state: "detached" });
    return person;
  }

  #token: string | undefined;

  /** A token of theirs, for calls past the browser. */
  async token(): Promise<string> {
    this.#token ??= await tokenOf(this.id);
    return this.#token;
  }

  listen(page: Page): void {
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      // What cannot be loaded without a network is said by the browser, whatever the page does.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        this.complaints.push(message.text());
      }
    });
  }

  async signIn(page: Page, at = URL_OF_SERVICE): Promise<void> {
    await page.goto(at);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel("Name", { exact: true }).fill(this.id);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("navigation").waitFor();
  }

  /** A further tab of the same person. */
  async anotherTab(prepare: (page: Page) => void = () => undefined): Promise<Page> {
    const page = await this.context.newPage();
    this.listen(page);
    prepare(page);
    await page.goto(URL_OF_SERVICE);
    await page.getByRole("button", { name: `Continue as ${this.id}` }).click();
    await page.getByRole("navigation").waitFor();
    return page;
  }

  async askToBeFriends(other: Person): Promise<void> {
    await this.page.getByRole("link", { name: "People" }).click();
    await this.page.getByLabel("Add a friend").fill(other.id);
    await this.page.getByRole("button", { name: "Add", exact: true }).click();
    await this.page.getByText(`You have asked ${other.id}.`).waitFor();
  }

  async accept(): Promise<void> {
    await this.page.getByRole("link", { name: "People" }).click();
    await this.page.getByRole("button", { name: "Accept" }).click();
  }

  /** Opens the conversation with a friend, from the list of people. */
  async openChat(): Promise<void> {
    await this.page.getByRole("link", { name: "People" }).click();
    await this.page.getByRole("button", { name: "Message", exact: true }).click();
    await this.page.getByLabel("Write a message").waitFor();
  }

  /** Opens the first conversation of the list. */
  async openFirst(): Promise<void> {
    await this.page.getByRole("link", { name: "Chats" }).click();
    await this.page.locator(".line").first().click();
    await this.page.getByLabel("Write a message").waitFor();
  }

  async say(text: string, page = this.page): Promise<void> {
    await page.getByLabel("Write a message").fill(text);
    await page.keyboard.press("Enter");
  }

  /** What stands in the list of messages, in order. */
  async texts(page = this.page): Promise<string[]> {
    return page.locator(".message .text").allTextContents();
  }

  message(text: string, page = this.page) {
    return page.locator(".message", { hasText: text });
  }
}

async function tokenOf(userId: string): Promise<string> {
  return (await (await fetch(`${URL_OF_SERVICE}/dev/token?user=${userId}`)).text()).trim();
}

/** Calls the service past any browser. */
export async function call<T>(person: Person, rpc: string, request: unknown): Promise<T> {
  return callWith(await person.token(), rpc, request);
}

/** Calls the service as somebody who has no browser. */
export async function callAs<T>(userId: string, rpc: string, request: unknown): Promise<T> {
  return callWith(await tokenOf(userId), rpc, request);
}

async function callWith<T>(token: string, rpc: string, request: unknown): Promise<T> {
  for (;;) {
    const response = await fetch(`${URL_OF_SERVICE}/chat.v1.${rpc}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    if (response.ok) {
      return (await response.json()) as T;
    }
    // More than a person may say at once.
    if (response.status !== 429) {
      throw new Error(`${rpc}: HTTP ${response.status}: ${await response.text()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Has the people of a conversation say much, so many at a time; one at a time, it is in order. */
export async function talk(people: readonly Person[], count: number, atATime = 1): Promise<void> {
  const [first] = people as [Person];
  const list = await call<{ conversations: { conversationId: string }[] }>(
    first,
    "ConversationService/ListConversations",
    {},
  );
  const conversationId = list.conversations[0]?.conversationId;
  let number = 0;
  const speak = async () => {
    while (number < count) {
      number += 1;
      const speaker = people[number % people.length] as Person;
      const text = `message ${number} of ${count}`;
      const clientMessageId = `${count}-${number}`;
      await call(speaker, "MessageService/SendMessage", { conversationId, clientMessageId, text });
    }
  };
  await Promise.all(Array.from({ length: atATime }, speak));
}

/** Two friends at their browsers, in their conversation. */
export async function twoFriends(options: BrowserContextOptions = {}): Promise<[Person, Person]> {
  const [alice, bob] = await Promise.all([Person.arrive("Alice", options), Person.arrive("Bob", options)]);
  await alice.askToBeFriends(bob);
  await bob.accept();
  await alice.openChat();
  await bob.openChat();
  return [alice, bob];
}
