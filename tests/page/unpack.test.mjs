/* The encoding of numbers in the exported page. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { half, halves, inflated } from "../../src/byhand/page/unpack.js";

test("half reads the sixteen bits of a float16", () => {
  const known = { 0x0000: 0, 0x3c00: 1, 0xc000: -2, 0x3555: 0.333251953125, 0x7bff: 65504, 0x0001: 2 ** -24, 0x7c00: Infinity };
  for (const [bits, value] of Object.entries(known)) assert.equal(half(Number(bits)), value);
  assert.ok(Object.is(half(0x8000), -0));
  assert.ok(Number.isNaN(half(0x7e00)));
});

test("halves are low bytes first, then high bytes", () => {
  assert.deepEqual(halves(new Uint8Array([0x00, 0x55, 0x3c, 0x35])), new Float32Array([1, 0.333251953125]));
});

test("inflated undoes Python's zlib.compress and base64", async () => {
  const content = new Uint8Array([1, 2, 3, 250]);
  assert.deepEqual(await inflated(deflateSync(content).toString("base64")), content);
});
