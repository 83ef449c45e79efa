/*
 * The pad: drawing with a finger, a mouse, a pen or the arrow keys, by default white on black. Strokes are stored as points for undo;
 * `gray()` returns the pad's bytes.
 */

import { element } from "./dom.js";

/** Pixels a side: a multiple of 28, and about the size at which it is shown. */
export const SIDE = 280;
const PEN = 20;
const KEY_STEP = 10;
const HELP =
  "Drawing pad. With the keyboard: arrow keys move the pen, with Shift in small steps; Space lowers or lifts it; " +
  "Backspace removes the last stroke; Delete clears the pad.";

export class Pad {
  /** `changed()` is called after a stroke or a change, and once per frame during a stroke; `ended()` only after one. */
  constructor(host, changed, ended = () => {}) {
    Object.assign(this, { changed, ended });
    this.frame = null;
    this.strokes = [];
    this.picture = null;
    this.pointer = null;
    this.pen = null;
    this.colors = { ground: "#000", ink: "#fff" };
    this.canvas = element("canvas", {
      className: "pad",
      width: SIDE,
      height: SIDE,
      tabIndex: 0,
      role: "application",
      "aria-label": HELP,
    });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.cursor = element("span", { className: "pad-cursor", hidden: true });
    this.hint = element("span", { className: "pad-hint" }, "Draw a digit here");
    host.append(element("div", { className: "pad-frame" }, this.canvas, this.hint, this.cursor));
    this.listen();
    this.redraw();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointerenter", (event) => this.enter(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => this.up(event));
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.hidePen());
  }

  // ---- what is on it

  get isEmpty() {
    return this.strokes.length === 0 && this.picture === null;
  }

  /** {pixels: Uint8Array, height, width}: white is 255 */
  gray() {
    const { data } = this.context.getImageData(0, 0, SIDE, SIDE);
    const pixels = new Uint8Array(SIDE * SIDE);
    for (let at = 0; at < pixels.length; at++) pixels[at] = data[4 * at];
    return { pixels, height: SIDE, width: SIDE };
  }

  clear() {
    this.strokes = [];
    this.picture = null;
    this.lift();
    this.finished();
  }

  undo() {
    if (this.strokes.length) this.strokes.pop();
    else this.picture = null;
    this.lift();
    this.finished();
  }

  /** Put a small picture on the pad, as large as the pad is. bytes: (height · width) */
  show(bytes, height, width) {
    const small = new OffscreenCanvas(width, height);
    const image = new ImageData(width, height);
    bytes.forEach((byte, at) => image.data.set([byte, byte, byte, 255], 4 * at));
    small.getContext("2d").putImageData(image, 0, 0);
    this.strokes = [];
    this.picture = small;
    this.lift();
    this.finished();
  }

  /** Set the hint on the empty pad, and its colors: black on white, as on paper, or white on black. */
  setLook(hint, isPaper) {
    this.hint.textContent = hint;
    const ink = isPaper ? "#000" : "#fff";
    if (ink === this.colors.ink) return;
    this.colors = { ground: isPaper ? "#fff" : "#000", ink };
    this.hint.classList.toggle("is-on-paper", isPaper);
    this.redraw();
  }

  redraw() {
    const { context } = this;
    context.fillStyle = this.colors.ground;
    context.fillRect(0, 0, SIDE, SIDE);
    if (this.picture) {
      context.imageSmoothingEnabled = false;
      const scale = SIDE / Math.max(this.picture.width, this.picture.height);
      context.drawImage(this.picture, 0, 0, this.picture.width * scale, this.picture.height * scale);
    }
    for (const stroke of this.strokes) this.ink(stroke);
    this.hint.hidden = !this.isEmpty;
  }

  progressed() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.changed();
    });
  }

  /** Draw all strokes again, each as one path, so that the pixels do not depend on the events of a stroke. */
  finished() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    this.redraw();
    this.changed();
    this.ended();
  }

  /** Draw a stroke from point `from` on. */
  ink(stroke, from = 0) {
    const { context } = this;
    Object.assign(context, { strokeStyle: this.colors.ink, lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(...stroke[from]);
    for (const point of stroke.slice(from)) context.lineTo(...point);
    context.stroke();
  }

  begin(point) {
    this.strokes.push([point]);
    this.ink(this.strokes.at(-1));
    this.hint.hidden = true;
  }

  extend(points) {
    const stroke = this.strokes.at(-1);
    const from = stroke.length - 1;
    stroke.push(...points);
    this.ink(stroke, from);
  }

  // ---- pointers: the first one draws, others are ignored

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  down(event) {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    event.preventDefault();
    this.start(event);
  }

  /** Begin a stroke that was begun outside. */
  enter(event) {
    if (event.pointerType !== "touch" && event.buttons === 1) this.start(event);
  }

  start(event) {
    if (this.pointer !== null) return;
    this.canvas.focus({ preventScroll: true });
    this.hidePen();
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(this.place(event));
    this.progressed();
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.extend((events.length ? events : [event]).map((each) => this.place(each)));
    this.progressed();
  }

  up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.finished();
  }

  // ---- the keyboard's pen

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.movePen(moves[event.key], event.shiftKey ? 2 : KEY_STEP);
    else if (event.key === " ") this.penDown();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  movePen([across, down], step) {
    this.pen ??= { place: [SIDE / 2, SIDE / 2], isDown: false };
    const within = (value) => Math.min(Math.max(value, PEN / 2), SIDE - PEN / 2);
    this.pen.place = [within(this.pen.place[0] + across * step), within(this.pen.place[1] + down * step)];
    if (this.pen.isDown) {
      this.extend([this.pen.place]);
      this.progressed();
    }
    this.showPen();
  }

  penDown() {
    this.pen ??= { place: [SIDE / 2, SIDE / 2], isDown: false };
    this.pen.isDown = !this.pen.isDown;
    if (this.pen.isDown) this.begin(this.pen.place);
    if (this.pen.isDown) this.progressed();
    else this.finished();
    this.showPen();
  }

  /** End the current stroke of the pointer or the keyboard. */
  lift() {
    this.pointer = null;
    if (this.pen) this.pen.isDown = false;
    this.showPen();
  }

  showPen() {
    if (!this.pen) return;
    const [x, y] = this.pen.place;
    this.cursor.hidden = false;
    this.cursor.classList.toggle("is-down", this.pen.isDown);
    Object.assign(this.cursor.style, { left: `${(100 * x) / SIDE}%`, top: `${(100 * y) / SIDE}%` });
  }

  hidePen() {
    if (this.pen?.isDown) {
      this.pen.isDown = false;
      this.finished();
    }
    this.cursor.hidden = true;
  }
}
