/* Step: one training step on one image, with formulas, actual values, and the code that computes them. */

import { element, numeral, percent } from "../dom.js";
import { paintBytes } from "../paint.js";
import { decode, encode, order } from "../server.js";

const UNITS = "Arithmetic of single units";

export class StepPanel {
  constructor(host, playground) {
    this.host = host;
    this.playground = playground;
    this.unit = null;
    /** The titles of the parts that are open: all are closed at first, so that the panel is short. */
    this.open = new Set();
    this.truth = element("select", { onchange: () => this.drawing() });
    this.truthLabel = element("label", { className: "inline", hidden: true }, "The right answer is ", this.truth);
    this.index = element("input", { type: "number", min: 0, step: 1, value: 7, required: true });
    const button = (label, onclick) => element("button", { type: "button", onclick }, label);
    this.stale = element("p", { className: "stale", hidden: true }, "The weights have changed since.");
    this.shown = element("div", { className: "explanation" });
    host.append(
      element("p", { className: "note" }, "One training step on a single image, part by part: open one to see its numbers and the code. The network is not changed."),
      element(
        "form",
        { className: "buttons", onsubmit: (event) => this.submitted(event) },
        element("label", { className: "inline" }, "Test image ", this.index),
        element("button", { type: "submit" }, "Explain the step"),
        button("Random image", () => this.another()),
        button("My drawing", () => this.drawing()),
        this.truthLabel,
      ),
      this.stale,
      this.shown,
    );
  }

  showState({ digits, version }) {
    this.index.max = digits.test - 1;
    if (digits.classes.join() !== this.classes) {
      this.classes = digits.classes.join();
      const options = digits.classes.map((name, label) => element("option", { value: label }, name));
      this.truth.replaceChildren(element("option", { value: "" }, "what it was read as"), ...options);
    }
    this.stale.hidden = this.version === undefined || this.version === version;
    this.opened();
  }

  /** Explain a step when the panel is open and the network is another one. */
  opened() {
    const { model, loaded, origin } = this.playground.state;
    const key = JSON.stringify(model.architecture);
    if (key === this.architecture || this.host.hidden) return;
    this.architecture = key;
    this.unit = null;
    if (model.architecture.some(({ kind }) => kind === "batch_norm")) {
      const advice = "Batch normalization needs a batch, and this panel shows one image: byhand explain shows a batch.";
      this.shown.replaceChildren(element("p", {}, advice));
      return;
    }
    if (origin === "training" || loaded.fits) this.explain({ index: Number(this.index.value) });
  }

  submitted(event) {
    event.preventDefault();
    this.explain({ index: Number(this.index.value) });
  }

  another() {
    this.index.value = Math.floor(Math.random() * this.playground.state.digits.test);
    return this.explain({ index: Number(this.index.value) });
  }

  /** Explain a step on the drawing. Its label is the chosen one, that of the example on the pad, or the prediction. */
  drawing() {
    const { draw } = this.playground;
    const { picture, probabilities } = draw.result ?? {};
    if (!picture) return this.playground.notice.say("refused", "Draw something first.");
    const known = this.truth.value === "" ? draw.label : Number(this.truth.value);
    const guess = probabilities.indexOf(Math.max(...probabilities));
    return this.explain({ pixels: encode(picture), label: known ?? guess }, { isGuess: known === undefined });
  }

  workOut(layer, unit) {
    this.architecture = JSON.stringify(this.playground.state.model.architecture);
    this.playground.tabs.open("step");
    this.unit = { layer, unit };
    this.open.add(UNITS);
    return this.explain(this.asked ?? { index: Number(this.index.value) }, { isGuess: this.isGuess, scrolls: true });
  }

  explain(asked, { isGuess = false, scrolls = false } = {}) {
    Object.assign(this, { asked, isGuess });
    this.truthLabel.hidden = !asked.pixels;
    return this.playground.enquire(async () => {
      this.version = this.playground.state.version;
      this.stale.hidden = true;
      const explanation = await order("step", { ...asked, ...this.unit });
      this.shown.replaceChildren(this.head(explanation), ...explanation.steps.map((step) => this.part(step)), this.units(explanation));
      if (scrolls) this.shown.querySelector(".worked-out")?.scrollIntoView({ block: "center" });
    });
  }

  head({ pixels, label, answer, loss, loss_after: after, probabilities, afterwards }) {
    const { shape, classes } = this.playground.state.digits;
    const canvas = element("canvas", { className: "seen", role: "img", "aria-label": `a ${classes[label]}` });
    paintBytes(canvas, decode(pixels), ...shape);
    const better = `Probability of ${classes[label]}: ${percent(probabilities[label])} before the step, ${percent(afterwards[label])} after it`;
    return element(
      "div",
      { className: "reading" },
      canvas,
      element(
        "div",
        {},
        element("p", {}, `Label ${classes[label]}${this.isGuess ? " (the guess, since no right answer is chosen)" : ""}, prediction ${answer}.`),
        element("p", {}, `Loss ${numeral(loss)} → ${numeral(after)}. ${better}.`),
      ),
    );
  }

  /** One part of the explanation, collapsed, with its own parts. */
  part({ title, text, formula, shapes, lines, figures, code, parts }) {
    const inside = [];
    if (text) inside.push(element("p", { className: "note" }, text));
    if (formula) inside.push(element("pre", { className: "formula" }, formula));
    if (lines.length) inside.push(element("pre", { className: "numbers" }, lines.join("\n")));
    if (figures.length) inside.push(this.figures(figures));
    if (shapes) inside.push(element("p", { className: "note" }, shapes));
    for (const quote of code) {
      inside.push(element("p", { className: "place" }, `${quote.computes}: `, element("code", {}, quote.place)), element("pre", { className: "code" }, quote.text));
    }
    inside.push(...parts.map((inner) => this.part(inner)));
    const [first, ...more] = formula.split("\n");
    const glance = element("code", { className: "glance" }, first + (more.length ? " …" : ""));
    return this.folded(title, {}, [title, " ", glance], ...inside);
  }

  /** A part that stays open when another step is explained, if the user has opened it. */
  folded(title, properties, summary, ...inside) {
    const node = element("details", { ...properties, open: this.open.has(title) }, element("summary", {}, ...summary), ...inside);
    node.ontoggle = () => (node.open ? this.open.add(title) : this.open.delete(title));
    return node;
  }

  figures(figures) {
    const rows = figures.map(({ symbol, caption, values }) => {
      const numbers = values ? values.map(numeral).join("  ") : caption.replace(`${symbol} `, "");
      return element("tr", {}, element("th", { scope: "row" }, symbol), element("td", {}, numbers));
    });
    return element("div", { className: "scrolls" }, element("table", { className: "arrays" }, element("tbody", {}, ...rows)));
  }

  units({ units }) {
    const boxes = units.map(({ name, lines }) =>
      element(
        "div",
        {},
        element("h3", {}, name[0].toUpperCase() + name.slice(1)),
        element(
          "div",
          { className: "scrolls" },
          element(
            "table",
            { className: "arrays" },
            element("tbody", {}, ...lines.map(([what, line]) => element("tr", {}, element("th", { scope: "row" }, what), element("td", {}, line)))),
          ),
        ),
      ),
    );
    return this.folded(UNITS, { className: "worked-out" }, [UNITS], ...boxes);
  }
}
