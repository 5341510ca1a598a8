import react from "@vitejs/plugin-react";
import { defaultClientConditions, defineConfig, type Plugin } from "vite";

/** Names in the page what it loads later, such as languages: that is kept together with it, for when there is no network. */
const later: Plugin = {
  name: "later",
  transformIndexHtml: {
    order: "post",
    handler: (_, { bundle = {} }) => {
      const chunks = Object.values(bundle).filter((file) => file.type === "chunk" && file.isDynamicEntry);
      const content = chunks.map(({ fileName }) => `/${fileName}`).join(" ");
      return content ? [{ tag: "meta", attrs: { name: "later", content }, injectTo: "head" }] : [];
    },
  },
};

export default defineConfig({
  plugins: [react(), later],
  // The client's own source, and not what was packed of it.
  resolve: { conditions: ["chat-source", ...defaultClientConditions] },
  build: {
    target: "es2023",
    // Fonts and pictures inside of styles would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    // The service of `cargo chat up`, while one works on the page with `npm run dev`.
    proxy: Object.fromEntries(
      ["/chat.v1", "/config.json", "/dev", "/.well-known"].map((path) => [path, "http://127.0.0.1:8080"]),
    ),
  },
});
