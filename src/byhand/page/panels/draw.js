/* Draw: the pad, examples, the prediction, and buttons that add the drawing to the training set. */

import { Bars } from "../bars.js";
import { byId, element } from "../dom.js";
import { Pad } from "../pad.js";
import { paintBytes } from "../paint.js";
import { readsDrawings, recognize } from "../recognize.js";
import { ask, decode, encode, order } from "../server.js";
import { isLoaded } from "../state.js";

/** Strokes beside each other are several digits, if each group has this share of the largest height. */
const TALL = 0.6;

/** Number of groups of strokes that stand beside each other, without overlap, each about as high as a digit. */
function groupsOf(strokes) {
  const spans = strokes
    .map((points) => [points.map(([x]) => x), points.map(([, y]) => y)])
    .map(([xs, ys]) => ({ left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) }))
    .sort((a, b) => a.left - b.left);
  const groups = [];
  for (const span of spans) {
    const last = groups.at(-1);
    if (!last || span.left > last.right) groups.push({ ...span });
    else {
      last.right = Math.max(last.right, span.right);
      last.top = Math.min(last.top, span.top);
      last.bottom = Math.max(last.bottom, span.bottom);
    }
  }
  const heights = groups.map(({ top, bottom }) => bottom - top);
  return heights.filter((height) => height >= TALL * Math.max(...heights)).length;
}

/** Scale the pad down to an image that fills it as far as its shape allows, without normalization → (height · width,) */
function squashed({ pixels, width: side }, height, width) {
  const scale = side / Math.max(height, width);
  const edge = (at) => Math.floor(at * scale);
  return Uint8Array.from({ length: height * width }, (_, at) => {
    const [y, x] = [Math.floor(at / width), at % width];
    const [top, left] = [edge(y), edge(x)];
    const [bottom, right] = [Math.max(edge(y + 1), top + 1), Math.max(edge(x + 1), left + 1)];
    let sum = 0;
    for (let row = top; row < bottom; row++) for (let column = left; column < right; column++) sum += pixels[row * side + column];
    return Math.floor(sum / ((bottom - top) * (right - left)) + 0.5);
  });
}

/** An answer with a smaller probability is pale: a network that has learned nothing is never sure. */
const FAINT = 0.5;

const KEY = "byhand-drawing";

/** Number of test images that are shown as examples. */
const EXAMPLES = 5;

export class DrawPanel {
  constructor(host, playground) {
    this.playground = playground;
    this.answer = element("p", { className: "answer is-message", "aria-live": "polite" });
    this.bars = element("div");
    this.centers = element("input", { type: "checkbox", checked: true, onchange: () => this.read() });
    this.labels = element("div", { className: "labels", role: "group", "aria-label": "Add it to the training set as" });
    this.taught = element("p", { className: "note", role: "status" });
    this.thumbnails = element("ul", { className: "taught", "aria-label": "Your drawings in the training set" });
    this.title = element("p", { className: "note examples-title", id: "examples-title" });
    this.examples = element("div", { className: "examples", role: "group", "aria-labelledby": "examples-title" });
    const padHost = element("div");
    const button = (label, onclick) => element("button", { type: "button", onclick }, label);
    host.append(
      padHost,
      element("p", { className: "buttons" }, button("Clear", () => this.pad.clear()), button("Undo", () => this.pad.undo())),
      this.title,
      this.examples,
    );
    byId("answer").append(this.answer, this.bars);
    byId("teach").append(
      element("p", { className: "note" }, "Draw something that the network reads wrong, and tell it what it is: the drawing joins the training set, and the network learns for an epoch."),
      element("div", { className: "teach" }, element("span", {}, "It is a"), this.labels),
      this.taught,
      this.thumbnails,
      element("label", { className: "tick" }, this.centers, element("span", {}, "Center and scale the digit like MNIST")),
    );
    this.pad = new Pad(padHost, () => this.read(), () => this.keep());
    this.restore();
    this.loadExamples();
  }

  showState({ digits, added, waiting }) {
    const key = [digits.name, ...digits.classes].join();
    if (key !== this.classes) {
      if (this.classes) this.loadExamples();
      this.classes = key;
      this.labels.replaceChildren(
        ...digits.classes.map((name, label) =>
          element("button", { type: "button", disabled: true, onclick: () => this.teach(label) }, name),
        ),
      );
    }
    const from = waiting ? "; new ones are used from the next epoch on" : "";
    this.taught.textContent = added ? `${added} of your drawings in the training set${from}.` : "";
    if (added !== this.added) this.showTaught(added);
  }

  /** Show the drawings in the training set, each with a button that removes it. */
  async showTaught(added) {
    this.added = added;
    const found = added ? await this.playground.enquire(() => ask("added")) : [];
    const { shape, classes } = this.playground.state.digits;
    const items = (found ?? []).map(({ pixels, label }, number) => {
      const canvas = element("canvas", { className: "digit", role: "img", "aria-label": `drawing ${number + 1}` });
      paintBytes(canvas, decode(pixels), ...shape);
      const remove = () => this.remove(number);
      const button = element("button", { type: "button", onclick: remove, "aria-label": `Remove drawing ${number + 1}` }, "Remove");
      return element("li", {}, canvas, `a ${classes[label]}`, button);
    });
    this.thumbnails.replaceChildren(...items);
  }

  remove(number) {
    return this.playground.attempt(async () => {
      this.playground.take(await order("removed", { number }));
      this.playground.showState();
    });
  }

  showReader(reader) {
    const key = reader.classes.join();
    if (key !== this.shownClasses) {
      this.shownClasses = key;
      this.list = new Bars(this.bars, reader.classes);
    }
    const keepsPicture = readsDrawings(reader) && this.reader && readsDrawings(this.reader);
    this.reader = reader;
    const isDigits = readsDrawings(reader);
    this.title.textContent = isDigits ? "Or try other people's digits:" : "Or try test pictures:";
    this.pad.setLook(isDigits ? "Draw a digit here" : "Draw here", reader.isOnPaper);
    this.read(keepsPicture ? this.result?.picture : null);
  }

  /** Read what is on the pad; picture: its normalized drawing, if that is known. */
  read(picture = null) {
    if (!this.reader) return;
    const { reader, example } = this;
    const [height, width] = reader.shape;
    if (this.label !== undefined && !readsDrawings(reader) && example.pixels.length === height * width) picture = example.pixels;
    const isCentered = this.centers.checked && readsDrawings(reader);
    this.result = picture ? { picture, ...reader.read(picture) } : recognize(reader, this.pad.gray(), isCentered ? undefined : (drawing) => squashed(drawing, height, width));
    if (this.playground.state.own && this.result.picture) this.readOwn();
    else this.showResult(this.result);
  }

  /** Ask the functions that train for their answer, again if there are newer weights or a newer drawing meanwhile. */
  async readOwn() {
    this.isOutdated = true;
    if (this.isAsking) return;
    this.isAsking = true;
    while (this.isOutdated && this.result.picture) {
      this.isOutdated = false;
      const pixels = encode(this.result.picture);
      const own = await this.playground.enquire(() => order("read", { pixels }));
      if (this.result.picture) this.showResult({ ...this.result, ...(own ?? { probabilities: null, message: "no answer" }) });
    }
    this.isAsking = false;
  }

  showResult({ message, picture, probabilities, answer: own }) {
    const isFinite = probabilities?.every(Number.isFinite);
    const failure = probabilities && "training diverged: the weights are not finite";
    this.list.show(isFinite ? probabilities : null);
    let answer = isFinite ? (own ?? this.reader.verdict(probabilities)) : (failure ?? message);
    if (answer === "no digit" && groupsOf(this.pad.strokes) > 1) answer = "two digits? It reads one at a time.";
    this.answer.textContent = answer;
    this.answer.classList.toggle("is-faint", Math.max(...(probabilities ?? [1])) < FAINT);
    this.answer.classList.toggle("is-message", !this.reader.classes.includes(answer));
    this.answer.classList.toggle("is-word", answer?.length > 2);
    for (const button of this.labels.children) button.disabled = !picture;
    this.playground.network?.showFlow(this.reader, isFinite ? this.result : null);
  }

  /** Keep the drawing for a reload of this tab. */
  keep() {
    const { pixels, label } = (this.pad.picture && this.example) ?? {};
    const example = pixels && { pixels: encode(pixels), label, shape: this.playground.state.digits.shape };
    sessionStorage.setItem(KEY, JSON.stringify({ strokes: this.pad.strokes, example }));
  }

  restore() {
    const { strokes = [], example } = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
    if (example && String(example.shape) === String(this.playground.state.digits.shape)) this.show({ ...example, pixels: decode(example.pixels) });
    this.pad.strokes = strokes;
    this.pad.redraw();
  }

  /** Show some test images; a click puts one on the pad. */
  loadExamples() {
    return this.playground.attempt(async () => {
      const found = await Promise.all(Array.from({ length: EXAMPLES }, () => ask("sample")));
      const { shape, classes } = this.playground.state.digits;
      this.examples.replaceChildren(
        ...found.map(({ pixels, label }) => {
          const bytes = decode(pixels);
          const canvas = element("canvas", { className: "digit", "aria-hidden": "true" });
          paintBytes(canvas, bytes, ...shape);
          const show = () => this.show({ pixels: bytes, label });
          return element("button", { type: "button", "aria-label": `An example of ${classes[label]}`, onclick: show }, canvas);
        }),
      );
    });
  }

  /** The label of the example on the pad; of a drawing it is not known. */
  get label() {
    return this.pad.picture && !this.pad.strokes.length ? this.example?.label : undefined;
  }

  show(example) {
    this.example = example;
    this.pad.show(example.pixels, ...this.playground.state.digits.shape);
  }

  /** Add the normalized drawing, before deskewing, to the training set, and train for an epoch from the weights in use. */
  teach(label) {
    return this.playground.attempt(async () => {
      const { picture } = this.result;
      this.playground.take(await order("added", { pixels: encode(picture), label }));
      this.playground.showState();
      const { state } = this.playground;
      if (state.status === "training") return; // it learns anyway
      if (isLoaded(state) && state.loaded.fits) await order("setup", state.loaded.setup);
      await order("control", { action: "epoch", pace: "full" });
    });
  }
}
