/** A long history, and a slow network. */

import type { Locator } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { closeBrowser, type Person, talk, twoFriends } from "./browser.ts";

const people: Person[] = [];

afterEach(async () => {
  const complaints = people.flatMap((person) => person.complaints);
  await Promise.all(people.splice(0).map((person) => person.context.close()));
  expect(complaints).toEqual([]);
});
afterAll(closeBrowser);

const COUNT = 10_000;

/** Where something is once it moves no more. */
async function restingPlace(locator: Locator): Promise<number | undefined> {
  let last: number | undefined;
  await expect
    .poll(
      async () => {
        const before = last;
        last = (await locator.boundingBox())?.y;
        return last !== undefined && last === before;
      },
      { timeout: 5_000, interval: 200 },
    )
    .toBe(true);
  return last;
}

test("10,000 messages are scrolled through, and the place is kept both ways", { timeout: 900_000 }, async () => {
  const [alice, bob] = await twoFriends();
  people.push(alice, bob);
  await bob.page.close();
  await talk([alice, bob], COUNT, 8);
  const { page } = alice;
  await page.reload();
  const log = page.getByRole("log");
  await log.waitFor();
  const top = () => page.locator(".message").first().getAttribute("aria-label");
  // Upwards as fast as it goes, page after page, to the beginning.
  await expect
    .poll(
      async () => {
        await log.press("Home");
        return page.getByText("This is where your conversation begins.").isVisible();
      },
      { timeout: 400_000, interval: 20 },
    )
    .toBe(true);
  await alice.message(`message 1 of ${COUNT}`).first().waitFor();
  // No more is on the page than what can be seen, and a little around it.
  expect(await page.locator(".message").count()).toBeLessThan(60);
  expect(await top()).toBeTruthy();
  await log.press("End");
  await alice.message(`message ${COUNT} of ${COUNT}`).waitFor();
  // What one looks at stays where it is when somebody writes.
  await log.press("PageUp");
  await log.press("PageUp");
  const middle = page.locator(".message", { hasText: `message ${COUNT - 15} of ${COUNT}` });
  await middle.waitFor();
  const before = await restingPlace(middle);
  await talk([bob], 3);
  await page.getByRole("button", { name: /^To the newest message/ }).waitFor();
  expect(await restingPlace(middle)).toBe(before);
});

test("on a slow network what is kept is shown at once, and what is written", async () => {
  const [alice, bob] = await twoFriends();
  people.push(alice, bob);
  await bob.say("kept on the device");
  await alice.message("kept on the device").waitFor();
  await alice.page.evaluate(() => navigator.serviceWorker.ready);
  await alice.page.reload();
  await alice.message("kept on the device").waitFor();
  const session = await alice.context.newCDPSession(alice.page);
  await session.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 1_500,
    downloadThroughput: 50_000,
    uploadThroughput: 20_000,
  });
  await alice.page.reload();
  await alice.message("kept on the device").waitFor();
  await alice.say("slowly");
  await alice.page.locator(".message.pending", { hasText: "slowly" }).waitFor();
  await bob.message("slowly").waitFor({ timeout: 20_000 });
});
