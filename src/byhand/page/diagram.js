/*
 * The diagram: the network as a picture, from the input through all layers to the classes. It is drawn with a pen: one
 * for a canvas, one for an SVG file.
 */

import { element, shortened } from "./dom.js";
import { CanvasPen, SvgPen } from "./pens.js";
import { paintBytes, paintWeights } from "./paint.js";

/** Maximum number of units shown of a layer, and of edges into it. */
const SHOWN = 128;
const EDGES = 120;
const LARGEST_CELL = 46;
const INPUT = 112;
const CLASS_WIDTH = 34;
/** The longest name of a class that is in its circle, and the width of a letter beside it. */
const [SHORT, LETTER] = [3, 6.5];
const TOP = 26;
const BOTTOM = 10;
const SIDE = 12;
/** The weights with full brightness, as a multiple of their root mean square: one large weight must not darken the rest. */
const BRIGHT = 2.6;

const COLORS = { positive: "#ffa84c", negative: "#5096ff", quiet: "#a5a7ad", text: "#ecebe6", frame: "#3a3e48", ground: "#0d0e12" };
const colorOf = (value) => (value < 0 ? COLORS.negative : COLORS.positive);

export class Diagram {
  /** `pointed(place)` is called with the unit under the pointer or the keyboard's choice, {stage, unit} or null; `chosen` at a click. */
  constructor(host, { pointed, chosen, label }) {
    Object.assign(this, { pointed, chosen });
    this.canvas = element("canvas", { className: "network-canvas", tabIndex: 0, role: "application", "aria-label": label });
    this.input = element("canvas");
    this.tiles = [];
    this.boxes = [];
    this.frame = this.current = this.phase = null;
    host.append(this.canvas);
    new ResizeObserver(() => this.refresh()).observe(host);
    this.canvas.addEventListener("pointermove", (event) => this.point(this.under(event)));
    this.canvas.addEventListener("pointerleave", ({ pointerType }) => pointerType !== "touch" && this.point(null));
    this.canvas.addEventListener("click", (event) => this.choose(this.under(event)));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => this.point(null));
  }

  /** Show a flow in the next frame. */
  show(flow) {
    if (flow.reader !== this.flow?.reader) this.tiles = [];
    this.flow = flow;
    this.refresh();
  }

  /** Light a part of a step: {direction: "forward" | "back" | "update", stage, deltas}; null shows everything. */
  light(phase) {
    this.phase = phase;
    this.refresh();
  }

  refresh() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.flow && this.canvas.clientWidth) this.paint();
    });
  }

  paint() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const scale = Math.min(2, devicePixelRatio || 1);
    const size = [Math.round(width * scale), Math.round(height * scale)];
    if (String(size) !== String([this.canvas.width, this.canvas.height])) [this.canvas.width, this.canvas.height] = size;
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    this.draw(new CanvasPen(context, width, height), width, height);
  }

  /** The diagram as the text of an SVG file. */
  svg(width = 900, height = 480) {
    const pen = new SvgPen(width, height);
    this.draw(pen, width, height);
    this.refresh(); // the places of the units are again those of the canvas
    return pen.text();
  }

  // ---- places

  /** Place the input, the units of each layer in columns, and the classes. */
  arrange(width, height) {
    const { stages, reader } = this.flow;
    const inner = height - TOP - BOTTOM;
    const [rows, columns] = reader.shape;
    const side = Math.min(INPUT, 0.2 * width);
    const inputWidth = (side * columns) / Math.max(rows, columns);
    const inputHeight = (side * rows) / Math.max(rows, columns);
    this.inputBox = { x: SIDE, y: TOP + (inner - inputHeight) / 2, width: inputWidth, height: inputHeight };
    const hidden = stages.slice(0, -1);
    const longest = Math.max(...reader.classes.map((name) => name.length));
    this.nameWidth = longest > SHORT ? Math.min(0.24 * width, LETTER * longest) : 0;
    const room = width - 2 * SIDE - inputWidth - CLASS_WIDTH - this.nameWidth;
    const counts = hidden.map(({ count }) => Math.min(count, SHOWN));
    const { cells, columnsOf, used } = fitted(counts, inner, 0.62 * room);
    const gap = (room - used) / (hidden.length + 1);
    this.boxes = [];
    this.titles = [];
    let x = SIDE + inputWidth + gap;
    hidden.forEach((stage, k) => {
      const [cell, across] = [cells[k], columnsOf[k]];
      const down = Math.ceil(counts[k] / across);
      const top = TOP + (inner - down * cell) / 2;
      for (let unit = 0; unit < counts[k]; unit++) {
        const place = { x: x + Math.floor(unit / down) * cell, y: top + (unit % down) * cell, size: cell * 0.88 };
        this.boxes.push({ stage: k, unit, ...place });
      }
      const what = stage.places ? "maps" : "units";
      const text = width < 560 ? String(stage.count) : `${stage.count > SHOWN ? `${SHOWN} of ` : ""}${stage.count} ${what}`;
      this.titles.push({ x: x + (across * cell) / 2, text });
      x += across * cell + gap;
    });
    const last = stages.length - 1;
    const step = inner / Math.min(stages[last].count, SHOWN);
    const size = Math.min(0.82 * step, CLASS_WIDTH - 6);
    for (let unit = 0; unit < Math.min(stages[last].count, SHOWN); unit++) {
      this.boxes.push({ stage: last, unit, x: width - SIDE - CLASS_WIDTH - this.nameWidth + 4, y: TOP + unit * step + (step - size) / 2, size });
    }
    this.at = stages.map(() => []);
    for (const box of this.boxes) this.at[box.stage][box.unit] = box;
  }

  // ---- drawing

  draw(pen, width, height) {
    this.arrange(width, height);
    pen.clear(COLORS.ground);
    const { stages } = this.flow;
    for (const stage of stages) this.drawEdges(pen, stage);
    this.drawInput(pen);
    stages.forEach((stage, k) => (k < stages.length - 1 ? this.drawUnits(pen, stage) : this.drawClasses(pen, stage)));
    for (const { x, text } of this.titles) pen.words(text, x, 16, COLORS.quiet);
    pen.words(this.flow.reader.shape.join(" × "), this.inputBox.x + this.inputBox.width / 2, this.inputBox.y - 7, COLORS.quiet);
    const box = this.current && this.at[this.current.stage]?.[this.current.unit];
    if (box) pen.frame(box.x - 2, box.y - 2, box.size + 4, box.size + 4, COLORS.text, 2);
  }

  /** How bright a stage is: all, or in a step only what has been computed. */
  brightness(k) {
    const { phase } = this;
    if (!phase) return 1;
    if (phase.direction === "forward") return k <= phase.stage ? 1 : 0.12;
    return k >= phase.stage ? 1 : 0.3;
  }

  drawEdges(pen, stage) {
    const { phase } = this;
    const bright = this.brightness(stage.k) * (this.flow.result ? 1 : 0.35);
    const isBack = phase && phase.direction !== "forward" && stage.k >= phase.stage;
    for (const { from, unit, strength } of this.flow.edges(stage, EDGES, isBack ? phase.deltas[stage.k] : null)) {
      const [start, end] = [this.source(stage, from), this.at[stage.k][unit]];
      if (!start || !end) continue;
      const size = Math.abs(strength) * (this.current && !this.isOfCurrent(stage.k, from, unit) ? 0.15 : 1);
      pen.line(start.x, start.y, end.x, end.y + end.size / 2, colorOf(strength), 0.4 + 2.2 * size, bright * (0.06 + 0.8 * size));
    }
  }

  /** True for the edges of the unit under the pointer. */
  isOfCurrent(k, from, unit) {
    const { stage, unit: chosen } = this.current;
    return (k === stage && unit === chosen) || (k === stage + 1 && from === chosen);
  }

  /** The point at which an edge begins: a pixel of the input, or the right side of a unit. */
  source(stage, from) {
    if (stage.k > 0) {
      const box = this.at[stage.k - 1][from];
      return box && { x: box.x + box.size, y: box.y + box.size / 2 };
    }
    const [rows, columns] = this.flow.reader.shape;
    const { x, y, width, height } = this.inputBox;
    const pixel = Math.floor(from / (this.flow.input.length / (rows * columns)));
    return { x: x + (((pixel % columns) + 0.5) / columns) * width, y: y + ((Math.floor(pixel / columns) + 0.5) / rows) * height };
  }

  drawInput(pen) {
    const [rows, columns] = this.flow.reader.shape;
    paintBytes(this.input, this.flow.result?.seen ?? new Uint8Array(rows * columns).fill(this.flow.reader.isOnPaper ? 255 : 0), rows, columns);
    const { x, y, width, height } = this.inputBox;
    pen.picture(this.input, x, y, width, height, 1);
    pen.frame(x, y, width, height, COLORS.frame, 1);
  }

  drawUnits(pen, stage) {
    const { phase } = this;
    const isBack = phase && phase.direction !== "forward" && stage.k >= phase.stage;
    const values = isBack ? phase.deltas[stage.k] : stage.values;
    let most = 0;
    for (const value of values) most = Math.max(most, Math.abs(value));
    const bright = this.brightness(stage.k);
    this.at[stage.k].forEach(({ x, y, size }, unit) => {
      const share = most > 0 ? values[unit] / most : 0;
      const level = Math.abs(share);
      const tile = this.tileOf(stage, unit);
      const line = size > 18 ? 2 : 1;
      if (tile) pen.picture(tile, x, y, size, size, bright * (this.flow.result && !stage.places ? 0.45 + 0.55 * level : 1));
      else pen.box(x, y, size, size, level > 0 ? colorOf(share) : COLORS.frame, bright * (level > 0 ? 0.15 + 0.85 * level : 0.5));
      pen.frame(x, y, size, size, level > 0.02 ? colorOf(share) : COLORS.frame, line, bright * (0.25 + 0.75 * level));
    });
  }

  drawClasses(pen, stage) {
    const { classes } = this.flow.reader;
    const probabilities = this.flow.result?.probabilities;
    const { phase } = this;
    const isBack = phase && phase.direction !== "forward";
    const bright = this.brightness(stage.k);
    const most = isBack ? Math.max(...phase.deltas[stage.k].map(Math.abs)) || 1 : 1;
    this.at[stage.k].forEach(({ x, y, size }, unit) => {
      const share = isBack ? phase.deltas[stage.k][unit] / most : (probabilities?.[unit] ?? 0);
      const level = Math.min(1, Math.abs(share));
      pen.dot(x + size / 2, y + size / 2, size / 2, colorOf(share), bright * (0.08 + 0.92 * level), COLORS.frame);
      if (size < 9) return;
      if (this.nameWidth) {
        pen.words(shortened(classes[unit], this.nameWidth / LETTER), x + size + this.nameWidth / 2 + 3, y + size / 2 + 4, COLORS.text);
      } else pen.words(classes[unit], x + size / 2, y + size / 2 + 4, level > 0.5 ? "#14161b" : COLORS.text);
    });
  }

  /** The picture of a unit: its weights if it sees pixels, a map's outputs, else none. */
  tileOf(stage, unit) {
    const { layer, k, count, outputs, places } = stage;
    if (!places && !(stage.seesPixels && layer.kind === "dense")) return null;
    const tiles = (this.tiles[k] ??= []);
    const isNew = !tiles[unit];
    const tile = (tiles[unit] ??= element("canvas"));
    if (places) {
      const [rows, columns] = places;
      const map = Float32Array.from({ length: rows * columns }, (_, place) => outputs[place * count + unit]);
      paintWeights(tile, map, rows, columns, this.largestOutput(stage));
    } else if (isNew) {
      const [rows, columns] = this.flow.reader.shape;
      const pixels = rows * columns;
      const channels = layer.inputs / pixels;
      const weights = Float32Array.from({ length: pixels }, (_, at) => layer.W[at * channels * count + unit]);
      paintWeights(tile, weights, rows, columns, BRIGHT * Math.sqrt(weights.reduce((sum, w) => sum + w * w, 0) / pixels));
    }
    return tile;
  }

  largestOutput(stage) {
    stage.most ??= stage.outputs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return stage.most;
  }

  // ---- pointer and keyboard

  under({ offsetX, offsetY }) {
    return this.boxes.find(({ x, y, size }) => offsetX >= x - 1 && offsetX <= x + size + 2 && offsetY >= y - 1 && offsetY <= y + size + 2) ?? null;
  }

  point(box) {
    const place = box && { stage: box.stage, unit: box.unit };
    if (place?.stage === this.current?.stage && place?.unit === this.current?.unit) return;
    this.current = place;
    this.canvas.style.cursor = place ? "pointer" : "";
    this.pointed(place);
    this.refresh();
  }

  choose(box) {
    this.point(box);
    if (box) this.chosen({ stage: box.stage, unit: box.unit });
  }

  key(event) {
    const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    if (event.ctrlKey || event.metaKey || event.altKey || !this.flow) return;
    if ((event.key === "Enter" || event.key === " ") && this.current) this.chosen(this.current);
    else if (event.key in moves) this.move(...moves[event.key]);
    else return;
    event.preventDefault();
  }

  /** Move the keyboard's choice to another layer, at the same height, or up or down in the layer. */
  move(across, down) {
    const { stage, unit } = this.current ?? { stage: this.at.length - 1, unit: 0 };
    const target = Math.min(Math.max(stage + across, 0), this.at.length - 1);
    const from = this.at[stage][unit];
    const best = across
      ? this.at[target].reduce((a, b) => (Math.abs(a.y - from.y) <= Math.abs(b.y - from.y) ? a : b))
      : this.at[stage][Math.min(Math.max(unit + down, 0), this.at[stage].length - 1)];
    this.point(this.current ? best : from);
  }
}

/** The size of the cells and the number of columns of each layer, so that all fit into this width. */
function fitted(counts, height, width) {
  for (let cell = LARGEST_CELL; ; cell -= 1) {
    const cells = counts.map((count) => Math.max(cell, Math.min(LARGEST_CELL, Math.floor(height / count))));
    const columnsOf = counts.map((count, k) => Math.ceil(count / Math.max(1, Math.floor(height / cells[k]))));
    const used = columnsOf.reduce((sum, columns, k) => sum + columns * cells[k], 0);
    if (used <= width || cell <= 4) return { cells, columnsOf, used };
  }
}

