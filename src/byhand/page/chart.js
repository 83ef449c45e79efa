/*
 * A chart of training (solid) and validation (dashed, with dots) over the epochs, in SVG, with a table below it.
 */

import { element, numeral } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 160;
const MARGIN = { left: 46, right: 8, top: 10, bottom: 26 };
const ROWS = 30;

/** Round numbers from `low` to `high`, about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** The `d` of a line through the points; what is not a number leaves a gap. */
export function path(points) {
  let gap = true;
  return points
    .map(([x, y]) => {
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        gap = true;
        return "";
      }
      const command = gap ? "M" : "L";
      gap = false;
      return `${command}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}

export class Chart {
  /** `name` is what is drawn, `format` writes one number of it, `best` is "low" or "high". */
  constructor(host, { name, format, floor, ceiling = null }) {
    Object.assign(this, { name, format, floor, ceiling });
    this.svg = drawn("svg", { class: "chart", role: "img" });
    this.table = element("tbody");
    const head = ["epoch", "training", "validation"].map((title) => element("th", { scope: "col" }, title));
    const table = element("table", {}, element("thead", {}, element("tr", {}, ...head)), this.table);
    this.details = element(
      "details",
      { className: "chart-table" },
      element("summary", {}, `${name} as a table`),
      element("div", { className: "scrolls", tabIndex: 0, role: "region", "aria-label": `${name}, a table` }, table),
    );
    this.details.ontoggle = () => this.fill();
    const legend = element(
      "p",
      { className: "legend" },
      element("b", {}, name),
      element("span", { className: "key training" }, "training"),
      element("span", { className: "key validation" }, "validation"),
    );
    host.append(element("div", { className: "chart-box" }, legend, this.svg, this.details));
    this.show([], []);
  }

  /** training: [[epoch, value]], validation: [[epoch, value]] */
  show(training, validation) {
    Object.assign(this, { training, validation });
    const width = Math.max(220, this.svg.clientWidth || 420);
    const values = [...training, ...validation].map(([, value]) => value).filter(Number.isFinite);
    const last = Math.max(1, ...[...training, ...validation].map(([epoch]) => epoch));
    let low = Math.min(this.floor ?? Infinity, ...values);
    let high = this.ceiling ?? Math.max(...values, (Number.isFinite(low) ? low : 0) + 0.1);
    if (this.ceiling !== null) low = Math.min(0.9, Math.max(0, Math.min(...values, 0.9)));
    if (!(high > low)) high = low + 1;
    const x = (epoch) => MARGIN.left + (epoch / last) * (width - MARGIN.left - MARGIN.right);
    const y = (value) => MARGIN.top + ((high - value) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);

    const parts = [];
    for (const value of ticks(low, high, 4)) {
      parts.push(drawn("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
      parts.push(words(this.format(value), { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }));
    }
    for (const epoch of ticks(0, last, Math.min(6, Math.ceil(last)))) {
      parts.push(words(numeral(epoch), { x: x(epoch), y: HEIGHT - 8, "text-anchor": "middle" }));
    }
    const place = ([epoch, value]) => [x(epoch), y(value)];
    parts.push(drawn("path", { class: "training", d: path(training.map(place)) }));
    parts.push(drawn("path", { class: "validation", d: path(validation.map(place)) }));
    const dots = validation.length > 40 ? validation.slice(-1) : validation;
    for (const [cx, cy] of dots.map(place)) if (Number.isFinite(cy)) parts.push(drawn("circle", { class: "validation", cx, cy, r: 3 }));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", this.sentence());
    this.svg.replaceChildren(...parts);
    if (this.details.open) this.fill();
  }

  sentence() {
    const lastOf = (points) => (points.length ? this.format(points.at(-1)[1]) : "nothing yet");
    const epoch = this.training.length ? `after ${numeral(this.training.at(-1)[0])} epochs` : "before training";
    return `${this.name} ${epoch}: training ${lastOf(this.training)}, validation ${lastOf(this.validation)}`;
  }

  /** The table: each epoch that has a validation, the last ROWS of them. */
  fill() {
    const near = (epoch) => this.training.findLast(([at]) => at <= epoch + 1e-9)?.[1];
    const rows = this.validation.slice(-ROWS).map(([epoch, value]) => {
      const cells = [String(epoch), near(epoch), value].map((cell) => (typeof cell === "number" ? this.format(cell) : (cell ?? "–")));
      return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
    });
    this.table.replaceChildren(...rows);
  }
}

function drawn(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function words(text, attributes) {
  const node = drawn("text", attributes);
  node.textContent = text;
  return node;
}
