/*
 * Network: the diagram, one unit with its arithmetic and the images that excite it, and one step of backpropagation,
 * part by part.
 */

import { Diagram } from "../diagram.js";
import { byId, element, numeral, percent } from "../dom.js";
import { Flow } from "../flow.js";
import { paintBytes } from "../paint.js";
import { ask, decode, encode, order } from "../server.js";

export class NetworkPanel {
  constructor(host, playground) {
    this.playground = playground;
    this.card = element("div", { className: "unit-card", hidden: true });
    this.diagram = new Diagram(byId("diagram"), {
      label: "The network. Arrow keys move between its units, Enter shows the images that excite one.",
      pointed: (place) => this.point(place),
      chosen: (place) => this.excite(place),
    });
    byId("diagram").append(this.card);
    const button = (label, onclick) => element("button", { type: "button", onclick }, label);
    this.said = element("p", { className: "phase", role: "status" });
    this.next = button("Step through backpropagation", () => this.advance());
    this.back = button("Back", () => this.goBack());
    this.leave = button("End the step", () => this.end());
    this.back.hidden = true;
    this.leave.hidden = true;
    this.wanted = element("select", { onchange: () => this.restart() });
    this.hint = element("p", { className: "note" }, "Point at a unit to see its sum; click it to see the images that excite it most.");
    this.found = element("div", { className: "found", "aria-live": "polite" });
    host.append(
      element(
        "p",
        { className: "buttons" },
        this.back,
        this.next,
        this.leave,
        element("label", { className: "inline" }, "if the right answer is ", this.wanted),
        button("Save the diagram as SVG", () => this.save()),
      ),
      this.said,
      this.hint,
      this.found,
    );
  }

  showState({ model, training }) {
    const key = JSON.stringify([model.architecture, model.classes, training]);
    if (key === this.key) return;
    this.key = key;
    const names = model.classes.map((name, label) => element("option", { value: label }, name));
    this.wanted.replaceChildren(element("option", { value: "" }, "as it is read"), ...names);
    this.found.replaceChildren();
    this.end();
  }

  /** Show what flows through the network; result: null if there is no digit. */
  showFlow(reader, result) {
    this.flow = new Flow(reader, result);
    if (this.phases && this.drawn !== String(result?.seen)) this.end();
    this.diagram.show(this.flow);
    if (this.place) this.point(this.place);
  }

  // ---- a unit

  nameOf({ stage, unit }) {
    const { k, places } = this.flow.stages[stage];
    if (k === this.flow.stages.length - 1) return `Output ${this.flow.reader.classes[unit]}`;
    return `${places ? "Map" : "Unit"} ${unit} of layer ${k + 1}`;
  }

  /** Show the sum of the unit under the pointer: its largest terms, and its activation. */
  point(place) {
    this.place = place;
    this.card.hidden = !place;
    const stage = place && this.flow?.stages[place.stage];
    if (!stage || place.unit >= stage.count) return;
    const lines = [element("b", {}, this.nameOf(place))];
    if (this.flow.result) lines.push(...this.arithmetic(stage, place));
    else lines.push(element("p", {}, "Draw a digit to see its sum."));
    this.card.classList.toggle("is-right", place.stage < (this.flow.stages.length - 1) / 2);
    this.card.replaceChildren(...lines);
  }

  arithmetic(stage, { unit }) {
    const { z, rest, terms, others } = this.flow.arithmetic(stage, unit);
    const rows = terms.map(({ from, weight, value, product }) =>
      element("tr", {}, ...[this.source(stage, from), `${numeral(weight)} × ${numeral(value)}`, `= ${numeral(product)}`].map((cell) => element("td", {}, cell))),
    );
    const start = stage.seesPixels && this.flow.empty !== 0 ? "b and the background" : "b";
    const parts = [element("p", {}, `z = Σ w·x + b = ${numeral(z)}`), element("table", {}, element("tbody", {}, ...rows))];
    parts.push(element("p", { className: "note" }, `${others ? `${others.toLocaleString("en")} more terms; ` : ""}${start}: ${numeral(rest)}`));
    const isLast = stage.k === this.flow.stages.length - 1;
    if (isLast) parts.push(element("p", {}, `softmax → ${percent(this.flow.result.probabilities[unit], 2)}`));
    else if (stage.activation !== "identity") parts.push(element("p", {}, `${stage.activation.replace("_", " ")} → ${numeral(stage.values[unit])}`));
    return parts;
  }

  source({ k, places, layer }, from) {
    if (k > 0) {
      const { count } = this.flow.stages[k - 1];
      return `${this.flow.stages[k - 1].places || places ? "map" : "unit"} ${from % count}`;
    }
    const pixel = Math.floor(from / (layer.channels ?? 1));
    const columns = this.flow.reader.shape[1];
    return `pixel ${Math.floor(pixel / columns)}, ${pixel % columns}`;
  }

  /** Show the training images with the largest activations of a unit. */
  excite(place) {
    this.playground.tabs.open("network");
    this.found.replaceChildren(element("h3", {}, `${this.nameOf(place)} …`));
    this.hint.hidden = true;
    return this.playground.enquire(async () => {
      const found = await ask(`unit?layer=${place.stage}&unit=${place.unit}`);
      const { shape, classes } = this.playground.state.digits;
      const pictures = found.pictures.map(({ pixels, label, answer }) => {
        const canvas = element("canvas", { className: "digit", role: "img", "aria-label": `a ${classes[label]}` });
        paintBytes(canvas, decode(pixels), ...shape);
        return element("figure", {}, canvas, element("figcaption", {}, `${classes[label]}: ${numeral(answer)}`));
      });
      const isMap = this.flow.stages[place.stage].places !== null;
      const { activation } = this.flow.stages[place.stage];
      const images = `${found.looked_through.toLocaleString("en")} training images`;
      const inactive = activation === "relu" ? `Not active for ${percent(found.silent, 0)} of ${images}.` : `From ${images}.`;
      this.found.replaceChildren(
        element("h3", {}, this.nameOf(place)),
        element("p", { className: "note" }, `${inactive} The largest activations${isMap ? ", each the maximum of the map" : ""}.`),
        element("div", { className: "pictures" }, ...pictures),
      );
      if (isMap) return;
      const worksOut = () => this.playground.step.workOut(place.stage + 1, place.unit);
      this.found.append(element("p", { className: "buttons" }, element("button", { type: "button", onclick: worksOut }, "Show its arithmetic in One step")));
    });
  }

  // ---- backpropagation, part by part

  async advance() {
    if (!this.phases && !(await this.begin())) return;
    this.at++;
    if (this.at >= this.phases.length) this.end();
    else this.showPhase();
  }

  /** Ask for the gradients of a step on the drawing, or on an example if there is none. */
  async begin() {
    const { draw } = this.playground;
    if (!this.flow?.result) {
      const { pixels, label } = await ask("sample");
      draw.show({ pixels: decode(pixels), label });
    }
    const { result } = this.flow;
    if (!result) return false;
    const { probabilities, picture } = result;
    const known = draw.label ?? probabilities.indexOf(Math.max(...probabilities));
    const label = this.wanted.value ? Number(this.wanted.value) : known;
    const found = await this.playground.enquire(() => order("gradients", { pixels: encode(picture), label }));
    if (!found) return false;
    this.drawn = String(result.seen);
    this.phases = phasesOf(this.flow, found, label);
    this.at = -1;
    this.leave.hidden = false;
    return true;
  }

  showPhase() {
    const { text, ...phase } = this.phases[this.at];
    this.diagram.light(phase);
    this.said.textContent = `${this.at + 1} of ${this.phases.length}. ${text}`;
    this.next.textContent = this.at + 1 < this.phases.length ? "Next" : "End the step";
    this.leave.hidden = this.at + 1 === this.phases.length;
    this.back.hidden = this.at === 0;
  }

  goBack() {
    this.at--;
    this.showPhase();
  }

  /** Begin the step again, for a digit of another class. */
  async restart() {
    if (!this.phases) return;
    const { at } = this;
    if (!(await this.begin())) return;
    this.at = at;
    this.showPhase();
  }

  end() {
    this.phases = null;
    this.next.textContent = "Step through backpropagation";
    this.leave.hidden = this.back.hidden = true;
    this.said.textContent = "";
    this.diagram.light(null);
  }

  save() {
    const address = URL.createObjectURL(new Blob([this.diagram.svg()], { type: "image/svg+xml" }));
    element("a", { href: address, download: "network.svg" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }
}

/** The parts of one step: forward through each layer, the loss, back through each layer, the update. */
function phasesOf({ stages, reader }, { loss, deltas }, label) {
  const last = stages.length - 1;
  const name = reader.classes[label];
  const forward = stages.map(({ k, activation }) => ({
    direction: "forward",
    stage: k,
    text: k < last
      ? `Forward, layer ${k + 1}: each unit adds up its inputs, z = Σ w·x + b, and passes on h = ${activation.replace("_", " ")}(z).`
      : `Forward, outputs: a sum z for each class, and softmax makes probabilities of them that add up to 1.`,
  }));
  const compare = {
    direction: "back",
    stage: last,
    deltas,
    text: `The loss, if the right answer is ${name}: −log p = ${numeral(loss)}. Its gradient at each output is p − y: an orange output is too high, a blue one too low.`,
  };
  const back = stages.slice(0, -1).reverse().map(({ k }) => ({
    direction: "back",
    stage: k,
    deltas,
    text: `Back to layer ${k + 1}: each unit gets the gradients of the units it feeds, times the weights between them, times the slope of its activation.`,
  }));
  const update = {
    direction: "update",
    stage: 0,
    deltas,
    text: "The update: each weight moves against its gradient, the input of its edge times the gradient of its unit, times the learning rate.",
  };
  return [...forward, compare, ...back, update];
}
