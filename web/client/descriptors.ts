/**
 * The last step of `npm run generate`. What describes the contract's files is base64 in the generated code, in which a
 * compressor finds few repeats; as plain text, pages have to load a third less of it.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const folder = new URL("src/generated/", import.meta.url);
for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (file.isFile()) {
    const path = `${file.parentPath}/${file.name}`;
    const code = readFileSync(path, "utf8");
    const plain = code.replace(/fileDesc\("([\w+/=]+)"/u, (_, base64: string) => {
      // Two bytes of a length, and all that is no text, as escapes: then the file is ASCII.
      const text = JSON.stringify(atob(base64)).replaceAll(
        /[\u007f-\u00ff]/gu,
        (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`,
      );
      return `fileDesc(/*@__PURE__*/ btoa(${text})`;
    });
    writeFileSync(path, plain);
  }
}
