/** The official grpc-web client, in a browser, on a page of another origin. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build, type Rollup } from "vite";
import { afterAll, expect, test } from "vitest";
import { closeBrowser, newName, theBrowser, URL_OF_SERVICE } from "./browser.ts";

afterAll(closeBrowser);

test("the official client calls the service and reads its errors", async () => {
  const built = (await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      lib: { entry: fileURLToPath(new URL("grpc-web-page.ts", import.meta.url)), formats: ["iife"], name: "page" },
    },
  })) as Rollup.RollupOutput[];
  const script = built[0]?.output[0]?.type === "chunk" ? built[0].output[0].code : "";
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html").end(`<script>${script}</script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const user = newName("grpcweb");
  const token = (await (await fetch(`${URL_OF_SERVICE}/dev/token?user=${user}`)).text()).trim();
  const page = await (await theBrowser()).newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  const call = (request: object, as: string) =>
    page.evaluate(
      ([url, bearer, wish]) => (globalThis as unknown as { call: CallableFunction }).call(url, bearer, wish),
      [URL_OF_SERVICE, as, request] as const,
    );
  expect(await call({ displayName: "Ada" }, token)).toMatchObject({ profile: { displayName: "Ada", userId: user } });
  const refused = await call({ displayName: " " }, token);
  expect(refused).toMatchObject({ code: 3, message: expect.stringContaining("display_name") });
  // What API Gateway answers is no gRPC, and the client makes of it what it can.
  expect(await call({ displayName: "Ada" }, "nonsense")).toMatchObject({ code: expect.any(Number) });
  server.close();
});
