import { defineConfig } from "vite";

/** The library as one module, as its size is measured and as pages without a bundler load it. */
export default defineConfig({
  build: {
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "chat-client" },
    target: "es2023",
  },
});
