/* Draw: the pad, the network's input, the prediction, and buttons that add the drawing to the training set. */

import { Bars } from "../bars.js";
import { element } from "../dom.js";
import { Pad } from "../pad.js";
import { paintBytes } from "../paint.js";
import { readsDrawings, recognize } from "../recognize.js";
import { ask, decode, encode, order } from "../server.js";

export class DrawPanel {
  constructor(host, playground) {
    this.playground = playground;
    this.answer = element("p", { className: "answer is-message", "aria-live": "polite" });
    this.seen = element("canvas", { className: "seen", width: 28, height: 28, role: "img", "aria-label": "Network input" });
    this.bars = element("div");
    this.centers = element("input", { type: "checkbox", checked: true, onchange: () => this.read() });
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
          element("label", { className: "tick" }, this.centers, element("span", {}, "Center and scale the digit like MNIST")),
        ),
        element(
          "div",
          {},
          element(
            "div",
            { className: "reading" },
            element("figure", {}, this.seen, element("figcaption", {}, "Network input")),
            this.answer,
          ),
          this.bars,
        ),
        element(
          "div",
          { className: "teach" },
          element("span", { className: "note" }, "Wrong? Add it to the training set as"),
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
    const from = waiting ? "; new ones are used from the next epoch on" : "";
    this.taught.textContent = added ? `${added} of your drawings in the training set${from}.` : "";
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
      ? recognize(this.reader, this.pad.gray(), this.centers.checked)
      : { message: "this model does not take drawings: load a sample" };
    let { message } = this.result;
    const { picture, seen, answers, probabilities } = this.result;
    const isFinite = probabilities?.every(Number.isFinite);
    if (probabilities && !isFinite) message = "training diverged: the weights are not finite";
    const [height, width] = this.reader.shape;
    paintBytes(this.seen, seen ?? new Uint8Array(height * width), height, width);
    this.list.show(isFinite ? probabilities : null);
    const answer = isFinite ? this.reader.verdict(probabilities) : message;
    this.answer.textContent = answer;
    this.answer.classList.toggle("is-message", !this.reader.classes.includes(answer));
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

  /** Add the normalized drawing, before deskewing, to the training set. */
  teach(label) {
    return this.playground.attempt(async () => {
      const { picture } = this.result;
      this.playground.take(await order("added", { pixels: encode(picture), label }));
      this.playground.showState();
    });
  }
}
