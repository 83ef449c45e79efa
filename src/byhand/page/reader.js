/*
 * The reader: a model in the page. It takes a picture's bytes and gives what the network saw, what every layer
 * answered, and how likely each class is; what happens to the bytes first is the model's own preparation.
 */

import { deskew } from "./deskew.js";
import { forward, layersOf, shapeOf, softmax, weighted } from "./network.js";

/** x = (byte / divisor − mean) / deviation, rounded to float32 where Python's preparation rounds. */
export function floats(bytes, { divisor, mean, deviation }) {
  const { fround } = Math;
  if (mean === 0 && deviation === 1) return Float32Array.from(bytes, (byte) => byte / divisor);
  const factor = fround(1 / (divisor * deviation));
  const less = fround(mean / deviation);
  return Float32Array.from(bytes, (byte) => fround(byte * factor) - less);
}

export class Reader {
  /** description: {architecture, preparation, classes, shape: [height, width], input}; weights: Float32Array */
  constructor(description, weights) {
    this.architecture = description.architecture;
    this.preparation = description.preparation;
    this.classes = description.classes;
    this.shape = description.shape;
    this.input = description.input ?? "handwriting";
    this.weights = weights;
    this.layers = layersOf(this.architecture, weights);
  }

  /** The picture as the network gets it, before it becomes floats: set upright, if the model does that. */
  prepare(bytes) {
    const [height, width] = this.shape;
    return this.preparation.deskew ? deskew(bytes, height, width) : bytes;
  }

  /** bytes: Uint8Array (height · width) → {seen, answers, probabilities} */
  read(bytes) {
    const seen = this.prepare(bytes);
    const answers = forward(this.layers, floats(seen, this.preparation));
    return { seen, answers, probabilities: softmax(answers.at(-1)) };
  }

  /** The first layer of weights, if the picture goes straight into it. */
  get firstLayer() {
    return weighted(this.layers)[0] === this.layers[0] ? this.layers[0] : null;
  }

  /** What the units of the first layer answer, after the activation that follows (or in its place the bare sums). */
  unitsOf(answers) {
    const after = this.layers.findIndex((layer) => layer.kind === "activation");
    const next = this.layers.indexOf(weighted(this.layers)[1]);
    return answers[after > 0 && (next < 0 || after < next) ? after : 0];
  }

  /** 784-128-10, with its number of weights. */
  get summary() {
    return `${shapeOf(this.layers)}, ${this.weights.length.toLocaleString("en")} weights`;
  }
}
