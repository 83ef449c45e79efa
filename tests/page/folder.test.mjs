/* A folder as a zip. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { chosen, crc32, zipped } from "../../src/byhand/page/folder.js";

test("the checksum is CRC-32", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test("a zip has a record for each file, a directory, and its size", async () => {
  const files = [{ path: "a/ü.png", file: new Blob(["xyz"]) }, { path: "b.txt", file: new Blob([]) }];
  const bytes = new Uint8Array(await (await zipped(files)).arrayBuffer());
  const view = new DataView(bytes.buffer);
  const end = bytes.length - 22;
  assert.equal(view.getUint32(end, true), 0x06054b50);
  assert.equal(view.getUint16(end + 10, true), 2);
  const directory = view.getUint32(end + 16, true);
  assert.equal(view.getUint32(directory, true), 0x02014b50);
  assert.equal(view.getUint32(end + 12, true), end - directory);
  assert.equal(directory, 30 + 8 + 3 + 30 + 5);
});

test("hidden files of a chosen folder are left out", () => {
  const files = ["mine/a/1.png", "mine/.git/x.png", "mine/.DS_Store"].map((webkitRelativePath) => ({ webkitRelativePath }));
  assert.deepEqual(chosen({ files }).map(({ path }) => path), ["mine/a/1.png"]);
});
