/* The numbers of the diagram. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { largest } from "../../src/byhand/page/flow.js";

test("the largest numbers are those of a sort, with their shares of the largest", () => {
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (const [count, limit] of [[5000, 100], [50, 100], [3, 1]]) {
    const numbers = Float32Array.from({ length: count }, () => (random() - 0.5) * 10 ** (4 * random()));
    const found = largest(numbers, limit);
    const sizes = Array.from(numbers, Math.abs).sort((a, b) => a - b);
    const kept = found.map(({ at }) => Math.abs(numbers[at]));
    assert.ok(found.length <= limit && found.length > Math.min(limit, count) / 3);
    assert.deepEqual(kept, sizes.slice(-kept.length));
    found.forEach(({ at, strength }) => assert.ok(Math.abs(strength - numbers[at] / sizes.at(-1)) < 1e-6));
  }
});

test("nothing is the largest of zeros, and of numbers that are not finite", () => {
  assert.deepEqual(largest(new Float32Array(10), 5), []);
  assert.deepEqual(largest(Float32Array.of(1, Infinity, 2), 5), []);
  assert.deepEqual(largest(Float32Array.of(1, NaN, 2), 5), []);
});
