import { defineConfig } from "vitest/config";
import { CHROMIUM } from "./e2e/browser.ts";

if (!CHROMIUM && process.env.CHAT_NEEDS_BROWSER) {
  throw new Error("there is no Chromium (Debian: apt-get install chromium)");
}
if (!CHROMIUM) {
  console.warn("The tests in a browser are left out, since there is no Chromium (Debian: apt-get install chromium).");
}

export default defineConfig({
  test: {
    include: ["client/test/**/*.test.ts", ...(CHROMIUM ? ["e2e/**/*.test.ts"] : [])],
    testTimeout: 180_000,
    // Browsers and the service share the machine's processors: side by side, tests would only wait for each other.
    maxWorkers: 1,
  },
});
