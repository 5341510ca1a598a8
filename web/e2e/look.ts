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
await alice.page.getByRole("link", { name: "Settings" }).click();
await alice.page.getByLabel("Language").selectOption("ar");
await picture("settings-arabic", "light", 1100);
await alice.page.goto(URL_OF_SERVICE);
await alice.page.locator(".line").first().click();
await picture("conversation-arabic", "light", 1100);

// How long a conversation that the device has kept takes to be seen, from the start of the script.
await alice.page.evaluate(() => navigator.serviceWorker.ready);
const times: number[] = [];
for (let turn = 0; turn < 7; turn += 1) {
  await alice.page.reload();
  await alice.page.locator(".message").first().waitFor();
  times.push(
    await alice.page.evaluate(() => {
      const [script] = performance.getEntriesByName("chat-script-start");
      const [painted] = performance.getEntriesByName("chat-messages-shown");
      return (painted?.startTime ?? Number.NaN) - (script?.startTime ?? Number.NaN);
    }),
  );
}
times.sort((one, other) => one - other);
console.log(`kept messages shown ${times[3]?.toFixed(0)} ms after the script began (median of ${times.length})`);
await carol.context.close();
await closeBrowser();
