/*
 * A chart of training (solid) and validation (dashed, with dots) over the epochs, in SVG, with a table below it. The pointer
 * shows the values at an epoch.
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

/** One, two and five times the powers of ten from `low` to `high`; only the powers if these are many. */
export function logTicks(low, high) {
  const powers = [];
  for (let k = Math.floor(Math.log10(low)); 10 ** k <= high; k++) powers.push(10 ** k);
  const factors = powers.length > 3 ? [1] : [1, 2, 5];
  const all = powers.flatMap((power) => factors.map((factor) => Number((factor * power).toPrecision(12))));
  return all.filter((value) => value >= low && value <= high);
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
    this.log = element("input", { type: "checkbox", onchange: () => this.show(this.training, this.validation) });
    if (floor === 0) legend.append(element("label", { className: "log" }, this.log, " log scale"));
    this.pointed = null;
    this.svg.addEventListener("pointermove", ({ offsetX }) => this.point(offsetX));
    this.svg.addEventListener("pointerleave", () => this.point(null));
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
    const isLog = this.log.checked;
    if (isLog) low = Math.min(high / 10, ...values.filter((value) => value > 0));
    const scale = isLog ? (value) => (value > 0 ? Math.log10(value) : NaN) : (value) => value;
    const x = (epoch) => MARGIN.left + (epoch / last) * (width - MARGIN.left - MARGIN.right);
    const share = (value) => (scale(high) - scale(value)) / (scale(high) - scale(low));
    const y = (value) => MARGIN.top + share(value) * (HEIGHT - MARGIN.top - MARGIN.bottom);

    const parts = [];
    for (const value of isLog ? logTicks(low, high) : ticks(low, high, 4)) {
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
    this.places = { width, x, y, last };
    parts.push(...this.pointer());
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", this.sentence());
    this.svg.replaceChildren(...parts);
    if (this.details.open) this.fill();
  }

  /** Show the values at that place of the chart, null for none. */
  point(offset) {
    const { width, last } = this.places;
    const across = (offset * width) / (this.svg.clientWidth || width);
    const epoch = ((across - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * last;
    this.pointed = offset === null ? null : Math.min(Math.max(epoch, 0), last);
    for (const old of this.svg.querySelectorAll(".pointed")) old.remove();
    this.svg.append(...this.pointer());
  }

  /** The line at the epoch under the pointer, and the values nearest to it. */
  pointer() {
    const near = (points) =>
      points.reduce((a, b) => (a && Math.abs(a[0] - this.pointed) <= Math.abs(b[0] - this.pointed) ? a : b), null);
    const [training, validation] = [this.training, this.validation].map(near);
    if (this.pointed === null || !training) return [];
    const { x, width } = this.places;
    const at = x(training[0]);
    const parts = [`epoch ${training[0].toFixed(1)}: ${this.format(training[1])}`];
    if (validation) parts.push(`validation ${this.format(validation[1])}`);
    const side = at > width / 2 ? { x: at - 6, "text-anchor": "end" } : { x: at + 6, "text-anchor": "start" };
    const line = drawn("line", { class: "pointed", x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
    return [line, words(parts.join(", "), { class: "pointed", y: MARGIN.top + 10, ...side })];
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
