/* Golden vectors for the tests, and the decoding of their arrays. */

import { readFileSync } from "node:fs";

export const golden = (name) => JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf8"));

export const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));

export const floats32 = (base64) => new Float32Array(bytes(base64).buffer);
