/** All that a page could use, so that its size can be measured. */

import * as client from "../src/index.ts";

Object.assign(globalThis, { client });
