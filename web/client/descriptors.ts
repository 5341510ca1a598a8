/**
 * The last step of `npm run generate`. What describes the contract's files is base64 in the generated code, in which a
 * compressor finds few repeats. As text, pages have less to load: of printable ASCII alone, so that it is the same in a page of
 * any encoding, and spelled in a way of its own, since minifiers would undo one that the language has.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const folder = new URL("src/generated/", import.meta.url);
for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (file.isFile()) {
    const path = `${file.parentPath}/${file.name}`;
    const code = readFileSync(path, "utf8");
    const plain = code.replace(/fileDesc\("([\w+/=]+)"/u, (_, base64: string) => {
      const text = atob(base64).replaceAll(
        /[^ -~]|[~"\\]/gu,
        (letter) => `~${letter.charCodeAt(0).toString(16).padStart(2, "0")}`,
      );
      return `fileDesc(/*@__PURE__*/ described("${text}")`;
    });
    // All of it lies two folders deep.
    writeFileSync(path, plain.replace(/^import /mu, 'import { described } from "../../../described.ts";\nimport '));
  }
}
