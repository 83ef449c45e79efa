/*
 * The units of the first layer, each as a picture of its weights: where ink makes it louder (orange) and where ink
 * silences it (blue). Under each picture a line shows how loud it is for the digit on the pad.
 */

import { element, numeral } from "./dom.js";
import { paintWeights } from "./paint.js";

/** More pictures than this say nothing more. */
const SHOWN = 256;
/** The share of a unit's weights that is drawn below full brightness: one loud pixel must not darken the rest. */
const BRIGHT = 0.99;

export class Units {
  /** `chosen(unit)` is called when a unit is clicked; without it the pictures are only looked at. */
  constructor(host, chosen = null) {
    this.host = host;
    this.chosen = chosen;
    this.tiles = [];
    this.selected = -1;
  }

  /** layer: {W (inputs · units), inputs, units}; shape: [height, width] of a picture */
  show(layer, [height, width]) {
    const count = Math.min(layer.units, SHOWN);
    if (this.tiles.length !== count) this.build(count, layer.units);
    const weights = new Float32Array(height * width);
    this.tiles.forEach(({ canvas, button }, unit) => {
      for (let at = 0; at < weights.length; at++) weights[at] = layer.W[at * layer.units + unit];
      const sizes = weights.map(Math.abs).sort();
      const largest = sizes.at(-1);
      paintWeights(canvas, weights, height, width, sizes[Math.floor(BRIGHT * sizes.length)]);
      const name = `Unit ${unit}, weights up to ±${numeral(largest)}`;
      button.title = name;
      if (this.chosen) button.setAttribute("aria-label", name);
    });
  }

  build(count, all) {
    this.tiles = Array.from({ length: count }, (_, unit) => {
      const canvas = element("canvas", { className: "weights", "aria-hidden": "true" });
      const level = element("span", { className: "level" });
      const button = this.chosen
        ? element("button", { type: "button", onclick: () => this.choose(unit) }, canvas, level)
        : element("div", {}, canvas, level);
      return { canvas, level, button };
    });
    const grid = element("div", { className: "units" }, ...this.tiles.map(({ button }) => button));
    if (!this.chosen) {
      grid.setAttribute("role", "img");
      grid.setAttribute("aria-label", `The weights of ${count} units as pictures`);
    }
    this.host.replaceChildren(grid);
    if (count < all) this.host.append(element("p", { className: "note" }, `The first ${count} of ${all} units.`));
    this.choose(-1, true);
  }

  choose(unit, silently = false) {
    this.tiles[this.selected]?.button.removeAttribute("aria-pressed");
    this.selected = unit;
    this.tiles[unit]?.button.setAttribute("aria-pressed", "true");
    if (!silently) this.chosen(unit);
  }

  /** How loud each unit is for the digit on the pad; null for none. answers: (units,) */
  light(answers) {
    let largest = 0;
    for (const answer of answers ?? []) largest = Math.max(largest, Math.abs(answer));
    this.tiles.forEach(({ level }, unit) => {
      const answer = answers ? answers[unit] / (largest || 1) : 0;
      level.style.transform = `scaleX(${Math.abs(answer)})`;
      level.classList.toggle("is-negative", answer < 0);
    });
  }
}
