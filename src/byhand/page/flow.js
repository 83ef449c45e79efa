/*
 * What flows through a network for one picture, layer by layer: the numbers of the diagram. A stage is a layer with
 * weights and what follows it, up to the next one. A convolution's unit is a map at its strongest position.
 */

import { places, weighted } from "./network.js";
import { floats } from "./reader.js";

/** Number of grades of size for the choice of the strongest edges. */
const GRADES = 512;

export class Flow {
  /** result: {seen, answers, probabilities} of a picture, or null for the network alone */
  constructor(reader, result) {
    this.reader = reader;
    this.result = result;
    this.input = result && floats(result.seen, reader.preparation);
    // The background is not 0 after the preparation: what the ink adds is the difference from an empty picture.
    this.empty = floats([0], reader.preparation)[0];
    const layers = weighted(reader.layers);
    this.stages = layers.map((layer, k) => this.stage(layer, k, layers[k + 1]));
  }

  stage(layer, k, next) {
    const { layers } = this.reader;
    const at = layers.indexOf(layer);
    const end = next ? layers.indexOf(next) - 1 : layers.length - 1;
    const answers = this.result?.answers;
    const count = layer.maps ?? layer.units;
    const outputs = answers ? answers[end] : new Float32Array(count);
    const strongest = peaks(outputs, count);
    return {
      layer,
      k,
      count,
      outputs,
      strongest,
      values: Float32Array.from(strongest, (place, unit) => outputs[place * count + unit]),
      inputs: at > 0 ? answers?.[at - 1] : this.input,
      sums: answers?.[at],
      activation: layers.slice(at, end + 1).find(({ kind }) => kind === "activation")?.name ?? "identity",
      places: layer.kind === "convolution" ? places(layer) : null,
      seesPixels: at === 0,
    };
  }

  /** Call visit(index of the input, index of its weight) for all inputs of a unit. */
  eachInput({ layer, strongest }, unit, visit) {
    if (layer.kind === "dense") {
      for (let i = 0; i < layer.inputs; i++) visit(i, i * layer.units + unit);
      return;
    }
    const { width, channels, maps, size, stride } = layer;
    const columns = places(layer)[1];
    const corner = (Math.floor(strongest[unit] / columns) * width + (strongest[unit] % columns)) * stride * channels;
    const run = size * channels;
    for (let seen = 0; seen < size * run; seen++) {
      visit(corner + Math.floor(seen / run) * width * channels + (seen % run), seen * maps + unit);
    }
  }

  /** z = w₁x₁ + w₂x₂ + … + b of a unit, with its largest terms: {z, ink, rest, terms: [{from, weight, value, product}]} */
  arithmetic(stage, unit, shown = 5) {
    const { layer, inputs, seesPixels, sums, strongest, count } = stage;
    const empty = seesPixels ? this.empty : 0;
    const terms = [];
    let ink = 0;
    this.eachInput(stage, unit, (i, at) => {
      const value = inputs[i] - empty;
      const product = value * layer.W[at];
      ink += product;
      if (product !== 0) terms.push({ from: i, weight: layer.W[at], value, product });
    });
    terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
    const z = sums[strongest[unit] * count + unit];
    return { z, ink, rest: z - ink, terms: terms.slice(0, shown), others: Math.max(0, terms.length - shown) };
  }

  /**
   * The edges into a stage with the largest products of weight and activation, or with `deltas` of weight and gradient:
   * [{from, unit, strength}], strength from −1 to 1. `from` is a pixel or a unit of the stage before.
   */
  edges(stage, limit, deltas = null) {
    const { layer, inputs, seesPixels, count, k } = stage;
    if (!inputs && seesPixels) return [];
    if (layer.kind === "convolution" && seesPixels) return this.windows(stage);
    const sources = seesPixels ? layer.inputs : this.stages[k - 1].count;
    const empty = seesPixels ? this.empty : 0;
    const products = new Float32Array(sources * count);
    if (layer.kind === "dense") {
      for (let i = 0; i < layer.inputs; i++) {
        const value = inputs ? inputs[i] - empty : 1;
        if (value === 0) continue;
        const start = (i % sources) * count;
        for (let unit = 0; unit < count; unit++) {
          products[start + unit] += (deltas ? deltas[unit] : value) * layer.W[i * count + unit];
        }
      }
    } else {
      for (let unit = 0; unit < count; unit++) {
        this.eachInput(stage, unit, (i, at) => {
          products[(i % sources) * count + unit] += (deltas ? deltas[unit] : inputs ? inputs[i] : 1) * layer.W[at];
        });
      }
    }
    return largest(products, limit).map(({ at, strength }) => ({ from: Math.floor(at / count), unit: at % count, strength }));
  }

  /** One edge for each map of a first convolution: from the middle of its strongest window. */
  windows({ layer, strongest, values, count }) {
    const columns = places(layer)[1];
    const most = Math.max(...values.map(Math.abs)) || 1;
    const middle = (place) => place * layer.stride + (layer.size >> 1);
    return Array.from({ length: count }, (_, unit) => {
      const [row, column] = [Math.floor(strongest[unit] / columns), strongest[unit] % columns];
      return { from: middle(row) * layer.width + middle(column), unit, strength: values[unit] / most };
    }).filter(({ strength }) => strength !== 0);
  }
}

/** The position of the largest output of each unit      outputs: (places · count,) */
function peaks(outputs, count) {
  const best = new Int32Array(count);
  for (let at = count; at < outputs.length; at++) {
    const unit = at % count;
    if (outputs[at] > outputs[best[unit] * count + unit]) best[unit] = (at - unit) / count;
  }
  return best;
}

/**
 * About `limit` of the largest numbers by size, the smallest first: [{at, strength}], as shares of the largest. They are
 * counted by the exponent and the first bit of the mantissa, so that nothing but the result is sorted.   numbers: Float32Array
 */
export function largest(numbers, limit) {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const grade = (at) => (bits[at] & 0x7fffffff) >>> 22;
  const counts = new Uint32Array(GRADES);
  for (let at = 0; at < bits.length; at++) counts[grade(at)]++;
  if (counts[GRADES - 1] || counts[GRADES - 2]) return []; // infinite or not a number
  let least = GRADES - 1;
  for (let sum = 0; least > 1 && sum + counts[least] <= limit; least--) sum += counts[least];
  const found = [];
  for (let at = 0; at < bits.length; at++) if (grade(at) >= least && numbers[at] !== 0) found.push({ at, strength: numbers[at] });
  found.sort((a, b) => Math.abs(a.strength) - Math.abs(b.strength));
  const most = Math.abs(found.at(-1)?.strength ?? 1);
  return found.slice(-limit).map(({ at, strength }) => ({ at, strength: strength / most }));
}
