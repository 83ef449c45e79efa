/* The page's normalization of handwriting, compared with Python's results from tools/make_handwriting_golden.py. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";

import { deskew } from "../../src/byhand/page/deskew.js";
import { normalize } from "../../src/byhand/page/handwriting.js";
import { findInk, NothingDrawn, withoutDirt } from "../../src/byhand/page/ink.js";
import { bytes, golden } from "./golden.mjs";

const cases = golden("handwriting.json");
const unpacked = ({ shape, zlib }) => {
  const [height, width] = shape;
  return { pixels: new Uint8Array(inflateSync(bytes(zlib))), height, width };
};

for (const { name, [`grey`]: gray, ...expected } of cases) {
  test(`${name}: Python's bytes at every step`, () => {
    const picture = unpacked(gray);
    if (expected.refused) {
      assert.throws(() => normalize(picture), NothingDrawn);
      return;
    }
    const { ink, inverted } = findInk(picture);
    assert.equal(inverted, expected.inverted);
    assert.deepEqual(ink, unpacked(expected.ink));
    assert.deepEqual(withoutDirt(ink), unpacked(expected.cleaned));
    const { image, box, scaled } = normalize(picture);
    assert.deepEqual([box.top, box.left, box.bottom, box.right], expected.box);
    assert.deepEqual(scaled, unpacked(expected.scaled).pixels);
    assert.deepEqual(image, unpacked(expected.image).pixels);
    assert.deepEqual(deskew(image, 28, 28), unpacked(expected.deskewed).pixels);
  });
}
