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
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  const loaded = files.filter(({ name }) => /\.(?:js|css|html)$/u.test(name) && name !== "sw.js");
  const sizes = new Map(loaded.map((file) => [file.name, compressed(readFileSync(`${file.parentPath}/${file.name}`))]));
  const isLanguage = (name: string) => /^(?:en|ar)-/u.test(name);
  const languages = [...sizes].filter(([name]) => isLanguage(name)).map(([, size]) => size);
  const others = [...sizes].filter(([name]) => !isLanguage(name)).map(([, size]) => size);
  expect(languages.length).toBe(2);
  const size = others.reduce((sum, one) => sum + one, 0) + Math.max(...languages);
  expect(size).toBeGreaterThan(50);
  expect(size).toBeLessThan(140);
});
