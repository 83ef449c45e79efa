/*
 * The weights of the first layer's units as images: positive orange, negative blue. A line below each image shows the
 * unit's activation for the drawing. For a convolution the image is a filter, and below it is its map.
 */

import { element, numeral } from "./dom.js";
import { places } from "./network.js";
import { paintWeights } from "./paint.js";

/** Maximum number of units shown. */
const SHOWN = 256;
/** The quantile of the weights that has full brightness: one large weight must not darken the rest. */
const BRIGHT = 0.99;

/** The explanation of the images. */
export function legend({ kind }) {
  const [what, below] =
    kind === "convolution"
      ? ["the filter of one map", "Below it is the map: the filter's output at each position of your drawing."]
      : ["the weights of one unit", "The line below shows its activation for your drawing."];
  return [
    `Each image shows ${what}: ink on `,
    element("b", { className: "positive" }, "orange (+)"),
    " pixels raises its output, ink on ",
    element("b", { className: "negative" }, "blue (−)"),
    ` pixels lowers it. ${below}`,
  ];
}

/** What is shown of a layer: `count` units or maps (`name`), images of `shape`, outputs at `places`. */
function shown(layer, shape) {
  if (layer.kind !== "convolution") return { name: "Unit", count: layer.units, shape, places: null };
  const { maps, size, channels } = layer;
  return { name: "Map", count: maps, shape: [size, size * channels], places: places(layer) };
}

export class Units {
  constructor(host) {
    this.host = host;
    this.tiles = [];
  }

  /** layer: a dense one or a convolution, with its W; shape: [height, width] of a picture */
  show(layer, shape) {
    const before = JSON.stringify(this.layer);
    this.layer = shown(layer, shape);
    if (JSON.stringify(this.layer) !== before) this.build();
    const { name, count, shape: [height, width] } = this.layer;
    const weights = new Float32Array(height * width);
    this.tiles.forEach(({ canvas, tile }, unit) => {
      for (let at = 0; at < weights.length; at++) weights[at] = layer.W[at * count + unit];
      const sizes = weights.map(Math.abs).sort();
      paintWeights(canvas, weights, height, width, sizes[Math.floor(BRIGHT * sizes.length)]);
      tile.title = `${name} ${unit}, weights up to ±${numeral(sizes.at(-1))}`;
    });
  }

  build() {
    const { name, count } = this.layer;
    const hasMaps = this.layer.places !== null;
    const drawn = Math.min(count, SHOWN);
    const picture = () => element("canvas", { className: "weights", "aria-hidden": "true" });
    this.tiles = Array.from({ length: drawn }, () => {
      const canvas = picture();
      const level = hasMaps ? picture() : element("span", { className: "level" });
      return { canvas, level, tile: element("div", {}, canvas, level) };
    });
    const names = `${name.toLowerCase()}s`;
    const properties = { role: "img", "aria-label": `The weights of ${drawn} ${names} as images` };
    const tiles = this.tiles.map(({ tile }) => tile);
    this.host.replaceChildren(element("div", { className: hasMaps ? "units maps" : "units", ...properties }, ...tiles));
    if (drawn < count) this.host.append(element("p", { className: "note" }, `The first ${drawn} of ${count} ${names}.`));
    this.light(null);
  }

  /** Show the activations of the units for the drawing; null for none. answers: (places · units,) */
  light(answers) {
    let largest = 0;
    for (const answer of answers ?? []) largest = Math.max(largest, Math.abs(answer));
    this.tiles.forEach(({ level }, unit) => {
      if (this.layer.places) this.lightMap(level, answers, unit, largest);
      else lightLine(level, answers ? answers[unit] / (largest || 1) : 0);
    });
  }

  lightMap(canvas, answers, unit, largest) {
    const { count, places: [rows, columns] } = this.layer;
    const map = Float32Array.from({ length: rows * columns }, (_, place) => answers?.[place * count + unit] ?? 0);
    paintWeights(canvas, map, rows, columns, largest);
  }
}

function lightLine(line, answer) {
  line.style.transform = `scaleX(${Math.abs(answer)})`;
  line.classList.toggle("is-negative", answer < 0);
}
