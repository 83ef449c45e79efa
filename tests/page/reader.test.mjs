/* The page's formulas, compared with Python's results from tools/make_page_golden.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { deskew } from "../../src/byhand/page/deskew.js";
import { activations, layersOf, softmax } from "../../src/byhand/page/network.js";
import { Reader } from "../../src/byhand/page/reader.js";
import { bytes, floats32, golden } from "./golden.mjs";

const vectors = golden("reader.json");

test("deskew gives Python's bytes", () => {
  for (const { shape, pixels, upright } of vectors.deskew) {
    assert.deepEqual(deskew(bytes(pixels), ...shape), bytes(upright));
  }
  assert.ok(vectors.deskew.some(({ pixels, upright }) => pixels !== upright));
});

test("every kind of network gives Python's logits and probabilities", () => {
  for (const network of vectors.networks) {
    const reader = new Reader(network, floats32(network.weights));
    network.pictures.forEach((picture, i) => {
      const { answers, probabilities } = reader.read(bytes(picture));
      near(answers.at(-1), network.logits[i], 5e-6);
      near(probabilities, network.probabilities[i], 1e-6);
    });
  }
});

test("the golden networks use every activation and every kind of layer", () => {
  const layers = vectors.networks.flatMap(({ architecture }) => architecture);
  assert.deepEqual(new Set(layers.map(({ kind }) => kind)), new Set(["dense", "convolution", "activation", "dropout", "batch_norm"]));
  const used = new Set(layers.filter(({ kind }) => kind === "activation").map(({ name }) => name));
  assert.deepEqual(used, new Set(Object.keys(activations)));
});

test("weights that don't fit the layers are refused", () => {
  const architecture = [{ kind: "dense", inputs: 4, units: 3 }];
  assert.throws(() => layersOf(architecture, new Float32Array(14)), /weights must be 15 numbers, got 14/);
  assert.equal(layersOf(architecture, new Float32Array(15))[0].b.length, 3);
});

test("softmax is finite for any finite logits", () => {
  assert.deepEqual(softmax([1e4, -1e4]), [1, 0]);
  near(softmax(new Float32Array(10)), new Array(10).fill(0.1), 1e-12);
});

test("the units of the first layer are what its activation answers", () => {
  const network = vectors.networks[0];
  const reader = new Reader(network, floats32(network.weights));
  const { answers } = reader.read(bytes(network.pictures[0]));
  assert.ok(answers[0].some((z) => z < 0));
  assert.deepEqual(
    reader.unitsOf(answers),
    answers[0].map((z) => Math.max(z, 0)),
  );
  assert.match(reader.summary, /^16-9-5, 203 weights$/);
});

test("a convolution's units are its maps, in all their places", () => {
  const network = vectors.networks.at(-1);
  const reader = new Reader(network, floats32(network.weights));
  const { answers } = reader.read(bytes(network.pictures[0]));
  assert.equal(reader.firstLayer.kind, "convolution");
  assert.equal(reader.unitsOf(answers).length, 3 * 4 * 2);
  assert.deepEqual(reader.unitsOf(answers), answers[0].map(Math.tanh));
  assert.equal(reader.summary, "80-2@3×4-3@2×3-4, 123 weights");
});

function near(given, expected, tolerance) {
  assert.equal(given.length, expected.length);
  given.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= tolerance, `${value} and ${expected[i]} at ${i}`));
}
