/** What a page has to load. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";

const KB = 1_000;

function compressed(code: string | Uint8Array): number {
  return brotliCompressSync(code).length / KB;
}

test("the client with the whole contract is small", async () => {
  const built = (await build({
    root: fileURLToPath(new URL("..", import.meta.url)),
    configFile: false,
    logLevel: "error",
    build: { write: false, target: "es2023", rollupOptions: { input: "test/everything.ts" } },
  })) as Rollup.RollupOutput;
  const chunks = built.output.filter((file) => file.type === "chunk");
  const size = compressed(chunks.map((chunk) => chunk.code).join("\n"));
  expect(size).toBeGreaterThan(20);
  expect(size).toBeLessThan(45);
});

test("the app's first load is small, in any language", () => {
  const folder = new URL("../../app/dist/", import.meta.url);
  const sizeOf = (path: string) => compressed(readFileSync(new URL(`.${path}`, folder)));
  const page = readFileSync(new URL("index.html", folder), "utf8");
  // One of the languages is, and what else is loaded later is not.
  const [later = ""] = page.match(/<meta name="later".*?>/u) ?? [];
  const named = (text: string) => text.match(/\/assets\/[\w.-]+/gu) ?? [];
  const languages = named(later).filter((path) => /\/(?:en|ar)-/u.test(path));
  expect(languages.length).toBe(2);
  const first = ["/index.html", ...named(page.replace(later, ""))];
  expect(first.length).toBe(3);
  const size = first.reduce((sum, path) => sum + sizeOf(path), 0) + Math.max(...languages.map(sizeOf));
  expect(size).toBeGreaterThan(50);
  expect(size).toBeLessThan(140);
  // All of it is kept for when there is no network.
  const built = readdirSync(new URL("assets", folder)).map((name) => `/assets/${name}`);
  expect(named(page).toSorted()).toEqual(built.toSorted());
});
