/**
 * Pictures of the main screens, for a person to look at, and what the app takes: `npm run look -- FOLDER`, while
 * `cargo chat up` serves.
 */

import { mkdirSync } from "node:fs";
import { closeBrowser, Person, twoFriends, URL_OF_SERVICE } from "./browser.ts";

const folder = process.argv[2] ?? "screenshots";
mkdirSync(folder, { recursive: true });
const [alice, bob] = await twoFriends({ deviceScaleFactor: 1 });

/** One picture, of these colours and this width. */
async function picture(name: string, colorScheme: "light" | "dark", width: number): Promise<void> {
  await alice.page.emulateMedia({ colorScheme });
  await alice.page.setViewportSize({ width, height: width < 768 ? 780 : 640 });
  await alice.page.waitForTimeout(400);
  await alice.page.screenshot({ path: `${folder}/${name}.png` });
}

const talk: [Person, string][] = [
  [bob, "Are you coming on Saturday?"],
  [alice, "Yes! Shall I bring something?"],
  [bob, "Bread, maybe. And the board game with the trains."],
  [alice, "The one that took us five hours last time?"],
  [bob, "That one. I am sorry."],
  [alice, "Gladly. Here is the recipe for the soup: https://example.com/soup"],
];
for (const [person, text] of talk) {
  await person.say(text);
  await alice.message(text).waitFor();
}
await bob.message("Bread, maybe").hover();
await alice.page.getByText("Bread, maybe").hover();
await alice.message("Bread, maybe").getByRole("button", { name: "Reply" }).click();
await alice.say("Rye or wheat?");
await bob.message("Rye or wheat?").waitFor();
await picture("conversation-light", "light", 1100);
await picture("conversation-dark", "dark", 1100);
await picture("conversation-phone", "light", 390);
await alice.page.setViewportSize({ width: 1100, height: 640 });
const carol = await Person.arrive("Carol");
await carol.askToBeFriends(alice);
await alice.page.getByRole("link", { name: "People" }).click();
await alice.page.getByRole("button", { name: "Accept" }).waitFor();
await picture("people-light", "light", 1100);
await picture("people-phone-dark", "dark", 390);
await alice.page.getByRole("button", { name: "Accept" }).click();
await alice.page.getByRole("link", { name: "Chats" }).click();
await alice.page.getByRole("button", { name: "New group" }).click();
const dialog = alice.page.getByRole("dialog");
await dialog.getByLabel("Name of the group").fill("Trains and boats");
await dialog.getByLabel("Bob").check();
await dialog.getByLabel("Carol").check();
await picture("new-group-light", "light", 1100);
await picture("new-group-phone-dark", "dark", 390);
await dialog.getByRole("button", { name: "Create" }).click();
await alice.page.getByLabel("Write a message").waitFor();
await picture("group-new-light", "light", 1100);
await alice.say("Who comes along on Sunday?");
await bob.openFirst();
await carol.openFirst();
await bob.say("I do. Is there a buffet?");
await alice.message("Is there a buffet?").waitFor();
await carol.say("There is, and it opens at nine.");
await carol.say("I have looked.");
await alice.message("I have looked.").waitFor();
await alice.page.getByRole("button", { name: "Details" }).click();
await alice.page.getByRole("button", { name: "What to do with Bob" }).click();
await picture("group-member-light", "light", 1100);
await dialog.getByRole("button", { name: "Make admin" }).click();
await alice.page.getByRole("button", { name: "Edit" }).click();
await dialog.getByLabel("What it is about").fill("Every other Sunday, whatever the weather.\nBring something to eat.");
await picture("group-edit-light", "light", 1100);
await dialog.getByRole("button", { name: "Save" }).click();
await dialog.waitFor({ state: "detached" });
await picture("group-light", "light", 1100);
await picture("group-dark", "dark", 1100);
await picture("group-phone-light", "light", 390);
await picture("group-phone-dark", "dark", 390);
await alice.page.getByRole("complementary").getByRole("button", { name: "Close" }).click();
await alice.say("Then I shall be there at nine.");
await alice.message("at nine.").last().waitFor();
await picture("group-conversation-light", "light", 1100);
await picture("group-conversation-dark", "dark", 1100);
await picture("group-conversation-phone", "light", 390);
await alice.page.setViewportSize({ width: 1100, height: 640 });
await alice.page.getByRole("link", { name: "Settings" }).click();
await alice.page.getByLabel("Language").selectOption("ar");
await picture("settings-arabic", "light", 1100);
await alice.page.goto(URL_OF_SERVICE);
await alice.page.locator(".line").last().click();
await picture("conversation-arabic", "light", 1100);
await alice.page.locator(".line").first().click();
await picture("group-conversation-arabic", "light", 1100);
await alice.page.getByRole("button", { name: "التفاصيل" }).click();
await picture("group-arabic", "light", 1100);
await picture("group-phone-arabic", "dark", 390);
await alice.page.setViewportSize({ width: 1100, height: 640 });
await alice.page.getByRole("checkbox", { name: "إرسال الرسائل" }).uncheck();
await carol.page.getByText("Only admins write here.").waitFor();
await carol.page.screenshot({ path: `${folder}/group-no-writing.png` });
await alice.page.getByRole("button", { name: "خيارات Carol" }).click();
for (let asked = 0; asked < 2; asked += 1) {
  await dialog.getByRole("button", { name: "إخراج" }).click();
}
await carol.page.locator(".empty-title").first().waitFor();
await carol.page.screenshot({ path: `${folder}/group-ended.png` });

// How long a conversation that the device has kept takes to be there, and to be painted, from the start of the script.
await alice.page.evaluate(() => navigator.serviceWorker.ready);
const times: { there: number; painted: number }[] = [];
for (let turn = 0; turn < 9; turn += 1) {
  await alice.page.reload();
  await alice.page.locator(".message").first().waitFor();
  await alice.page.waitForTimeout(500);
  times.push(
    await alice.page.evaluate(async () => {
      const [script] = performance.getEntriesByName("chat-script-start");
      const [shown] = performance.getEntriesByName("chat-messages-shown");
      const started = script?.startTime ?? Number.NaN;
      const painted = await new Promise<number>((resolve) => {
        const observer = new PerformanceObserver((list) => resolve(list.getEntries().at(-1)?.startTime ?? Number.NaN));
        observer.observe({ type: "largest-contentful-paint", buffered: true });
      });
      return { there: (shown?.startTime ?? Number.NaN) - started, painted: painted - started };
    }),
  );
}
const median = (values: number[]) => values.sort((one, other) => one - other)[values.length >> 1]?.toFixed(0);
console.log(
  `kept messages in the page ${median(times.map(({ there }) => there))} ms after the script began, ` +
    `painted after ${median(times.map(({ painted }) => painted))} ms (medians of ${times.length})`,
);
await carol.context.close();
await closeBrowser();
