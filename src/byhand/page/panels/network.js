/* Network: the weights of each unit as a picture; a click shows the digits that excite it. */

import { element, numeral, percent } from "../dom.js";
import { paintBytes } from "../paint.js";
import { ask, decode } from "../server.js";
import { Units } from "../units.js";

export class NetworkPanel {
  constructor(host, playground) {
    this.playground = playground;
    this.layer = 0;
    this.layers = element("select", { onchange: () => this.choose(Number(this.layers.value)) });
    this.legend = element("p", { className: "note" });
    this.tiles = element("div");
    this.found = element("div", { className: "found", "aria-live": "polite" });
    host.append(element("label", { className: "inline" }, "Layer ", this.layers), this.legend, this.tiles, this.found);
    this.units = new Units(this.tiles, (unit) => this.excite(unit));
  }

  showState({ model }) {
    const key = JSON.stringify(model.architecture);
    if (key === this.architecture) return;
    this.architecture = key;
    const dense = model.architecture.filter(({ kind }) => kind === "dense");
    this.dense = dense;
    this.layers.replaceChildren(
      ...dense.map(({ units }, i) => element("option", { value: i }, `${i + 1}: ${units} ${i + 1 < dense.length ? "units" : "answers"}`)),
    );
    this.choose(0);
  }

  showReader(reader) {
    this.reader = reader;
    if (this.layer === 0 && reader.firstLayer) this.units.show(reader.firstLayer, reader.shape);
  }

  choose(layer) {
    this.layer = layer;
    this.layers.value = layer;
    this.found.replaceChildren();
    this.units = new Units(this.tiles, (unit) => this.excite(unit));
    this.legend.replaceChildren();
    if (layer === 0) {
      this.legend.append(
        "Ink on ",
        element("b", { className: "positive" }, "orange (+)"),
        " makes a unit louder, on ",
        element("b", { className: "negative" }, "blue (−)"),
        " silences it; the line below shows how loud it is for your digit. Click one for the digits that excite it.",
      );
      if (this.reader) this.showReader(this.reader);
      return;
    }
    this.legend.append("These units look at other units, so their weights are no pictures. Click one for the digits that excite it.");
    const names = layer === this.dense.length - 1 ? this.playground.state.model.classes : null;
    const buttons = Array.from({ length: Math.min(this.dense[layer].units, 256) }, (_, unit) =>
      element("button", { type: "button", onclick: () => this.excite(unit) }, names?.[unit] ?? String(unit)),
    );
    this.tiles.replaceChildren(element("div", { className: "labels" }, ...buttons));
  }

  light(answers) {
    if (this.layer === 0 && this.reader) this.units.light(answers ? this.reader.unitsOf(answers) : null);
  }

  excite(unit) {
    return this.playground.enquire(async () => {
      const { layer } = this;
      const found = await ask(`unit?layer=${layer}&unit=${unit}`);
      const { shape, classes } = this.playground.state.digits;
      const pictures = found.pictures.map(({ pixels, label, answer }) => {
        const canvas = element("canvas", { className: "digit", role: "img", "aria-label": `a ${classes[label]}` });
        paintBytes(canvas, decode(pixels), ...shape);
        return element("figure", {}, canvas, element("figcaption", {}, `${classes[label]}: ${numeral(answer)}`));
      });
      this.found.replaceChildren(
        element("h3", {}, `Unit ${unit} of layer ${layer + 1}`),
        element(
          "p",
          { className: "note" },
          `Of ${found.looked_through.toLocaleString("en")} training digits it is silent for ${percent(found.silent, 0)}. The loudest:`,
        ),
        element("div", { className: "pictures" }, ...pictures),
        element(
          "p",
          { className: "buttons" },
          element("button", { type: "button", onclick: () => this.playground.step.workOut(layer + 1, unit) }, "Work it out in Step"),
        ),
      );
    });
  }
}
