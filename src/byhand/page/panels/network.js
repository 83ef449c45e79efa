/* Network: the weights of each unit as an image; a click shows the images with its largest activations. */

import { element, numeral, percent } from "../dom.js";
import { weighted } from "../network.js";
import { paintBytes } from "../paint.js";
import { ask, decode } from "../server.js";
import { legend, Units } from "../units.js";

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
    this.weighted = weighted(model.architecture);
    this.seesPixels = this.weighted[0] === model.architecture[0];
    const names = this.weighted.map(({ maps, units }, i) => {
      const count = maps ? `${maps} maps` : `${units} ${i + 1 < this.weighted.length ? "units" : "outputs"}`;
      return element("option", { value: i }, `${i + 1}: ${count}`);
    });
    this.layers.replaceChildren(...names);
    this.choose(0);
  }

  showReader(reader) {
    this.reader = reader;
    if (this.layer !== 0 || !reader.firstLayer) return;
    this.units.show(reader.firstLayer, reader.shape);
    this.light(this.playground.draw.answers);
  }

  choose(layer) {
    this.layer = layer;
    this.layers.value = layer;
    this.found.replaceChildren();
    this.units = new Units(this.tiles, (unit) => this.excite(unit));
    this.legend.replaceChildren();
    if (layer === 0 && this.seesPixels) {
      this.legend.append(...legend(this.weighted[0]), " Click one to see the images with its largest activations.");
      if (this.reader) this.showReader(this.reader);
      return;
    }
    this.legend.append("The inputs of this layer are not pixels, so its weights are not shown. Click a unit to see the images with its largest activations.");
    const names = layer === this.weighted.length - 1 ? this.playground.state.model.classes : null;
    const { maps, units } = this.weighted[layer];
    const buttons = Array.from({ length: Math.min(maps ?? units, 256) }, (_, unit) =>
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
      const isMap = this.weighted[layer].kind === "convolution";
      const found = await ask(`unit?layer=${layer}&unit=${unit}`);
      const { shape, classes } = this.playground.state.digits;
      const pictures = found.pictures.map(({ pixels, label, answer }) => {
        const canvas = element("canvas", { className: "digit", role: "img", "aria-label": `a ${classes[label]}` });
        paintBytes(canvas, decode(pixels), ...shape);
        return element("figure", {}, canvas, element("figcaption", {}, `${classes[label]}: ${numeral(answer)}`));
      });
      const inactive = `Not active for ${percent(found.silent, 0)} of ${found.looked_through.toLocaleString("en")} training images.`;
      this.found.replaceChildren(
        element("h3", {}, `${isMap ? "Map" : "Unit"} ${unit} of layer ${layer + 1}`),
        element("p", { className: "note" }, `${inactive} The largest activations${isMap ? ", each the maximum of the map" : ""}:`),
        element("div", { className: "pictures" }, ...pictures),
      );
      if (isMap) return;
      const worksOut = () => this.playground.step.workOut(layer + 1, unit);
      this.found.append(element("p", { className: "buttons" }, element("button", { type: "button", onclick: worksOut }, "Show its arithmetic in Step")));
    });
  }
}
