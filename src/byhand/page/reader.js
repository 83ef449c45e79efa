/*
 * A model in the page: preparation, network and classes. It returns the network's input, the outputs of all layers, and
 * the probabilities of an image.
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
  /** description: {architecture, preparation, classes, shape: [height, width], input, thresholds}; weights: Float32Array */
  constructor(description, weights) {
    this.architecture = description.architecture;
    this.preparation = description.preparation;
    this.classes = description.classes;
    this.shape = description.shape;
    this.input = description.input ?? "handwriting";
    this.thresholds = description.thresholds;
    this.weights = weights;
    this.layers = layersOf(this.architecture, weights);
  }

  /** The image before its conversion to floats: deskewed, if the preparation includes that. */
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

  /** "7", "not sure: 7 or 1", or "no digit": as byhand.model.reading.Reading.verdict */
  verdict(probabilities) {
    const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    const [first, second] = order;
    const [sure, digit] = this.thresholds ?? [0, 0];
    if (probabilities[first] + probabilities[second] < digit) return "no digit";
    if (probabilities[first] < sure) return `not sure: ${this.classes[first]} or ${this.classes[second]}`;
    return this.classes[first];
  }

  /** True if the images are light on average: then ink is dark on light, as on paper. */
  get isOnPaper() {
    return this.input === "image" && this.preparation.mean > 0.5;
  }

  /** The first layer, if it has weights. */
  get firstLayer() {
    return weighted(this.layers)[0] === this.layers[0] ? this.layers[0] : null;
  }

  /** The outputs of the first layer's units, after its activation, if it has one. */
  unitsOf(answers) {
    const after = this.layers.findIndex((layer) => layer.kind === "activation");
    const next = this.layers.indexOf(weighted(this.layers)[1]);
    return answers[after > 0 && (next < 0 || after < next) ? after : 0];
  }

  /** "784-128-10, 101,770 weights" */
  get summary() {
    return `${shapeOf(this.layers)}, ${this.weights.length.toLocaleString("en")} weights`;
  }
}
