import react from "@vitejs/plugin-react";
import { defaultClientConditions, defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
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
