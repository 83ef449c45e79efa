/* Draw: the pad, what the network sees of it, what it reads, and a way to teach it better. */

import { Bars, indexOfLargest } from "../bars.js";
import { element } from "../dom.js";
import { Pad } from "../pad.js";
import { paintBytes } from "../paint.js";
import { readsDrawings, recognise } from "../recognise.js";
import { ask, decode, encode, order } from "../server.js";

export class DrawPanel {
  constructor(host, playground) {
    this.playground = playground;
    this.answer = element("p", { className: "answer is-message", "aria-live": "polite" });
    this.seen = element("canvas", { className: "seen", width: 28, height: 28, role: "img", "aria-label": "What the network sees" });
    this.bars = element("div");
    this.centres = element("input", { type: "checkbox", checked: true, onchange: () => this.read() });
    this.labels = element("div", { className: "labels", role: "group", "aria-label": "Add it to the training set as" });
    this.taught = element("p", { className: "note", role: "status" });
    const padHost = element("div");
    const button = (label, onclick) => element("button", { type: "button", onclick }, label);
    host.append(
      element(
        "div",
        { className: "draw-grid" },
        element(
          "div",
          {},
          padHost,
          element(
            "p",
            { className: "buttons" },
            button("Clear", () => this.pad.clear()),
            button("Undo", () => this.pad.undo()),
            button("Load a sample", () => this.loadSample()),
          ),
          element("label", { className: "tick" }, this.centres, element("span", {}, "Find and centre the digit, as MNIST did")),
        ),
        element(
          "div",
          {},
          element(
            "div",
            { className: "reading" },
            element("figure", {}, this.seen, element("figcaption", {}, "What the network sees")),
            this.answer,
          ),
          this.bars,
        ),
        element(
          "div",
          { className: "teach" },
          element("span", { className: "note" }, "Wrong? It is a"),
          this.labels,
          this.taught,
        ),
      ),
    );
    this.pad = new Pad(padHost, () => this.read());
  }

  showState({ digits, added, waiting }) {
    const key = digits.classes.join();
    if (key !== this.classes) {
      this.classes = key;
      this.labels.replaceChildren(
        ...digits.classes.map((name, label) =>
          element("button", { type: "button", disabled: true, onclick: () => this.teach(label) }, name),
        ),
      );
    }
    const from = waiting ? "; the last ones count from the next epoch on" : "";
    this.taught.textContent = added ? `${added} of yours in the training set${from}.` : "";
  }

  showReader(reader) {
    const key = reader.classes.join();
    if (key !== this.shownClasses) {
      this.shownClasses = key;
      this.list = new Bars(this.bars, reader.classes);
    }
    this.reader = reader;
    this.read();
  }

  read() {
    if (!this.reader) return;
    this.result = readsDrawings(this.reader)
      ? recognise(this.reader, this.pad.grey(), this.centres.checked)
      : { message: "this model reads other images than handwriting: load a sample" };
    let { message } = this.result;
    const { picture, seen, answers, probabilities } = this.result;
    const isFinite = probabilities?.every(Number.isFinite);
    if (probabilities && !isFinite) message = "the weights are no longer numbers";
    const [height, width] = this.reader.shape;
    paintBytes(this.seen, seen ?? new Uint8Array(height * width), height, width);
    this.list.show(isFinite ? probabilities : null);
    this.answer.textContent = isFinite ? this.reader.classes[indexOfLargest(probabilities)] : message;
    this.answer.classList.toggle("is-message", !isFinite);
    for (const button of this.labels.children) button.disabled = !picture;
    this.answers = isFinite ? answers : null;
    this.playground.network?.light(this.answers);
  }

  loadSample() {
    return this.playground.attempt(async () => {
      const { pixels } = await ask("sample");
      this.pad.show(decode(pixels), ...this.playground.state.digits.shape);
    });
  }

  /** Add what the network sees, before it is set upright, to the training set. */
  teach(label) {
    return this.playground.attempt(async () => {
      const { picture } = this.result;
      this.playground.take(await order("added", { pixels: encode(picture), label }));
      this.playground.showState();
    });
  }
}
