/* Errors: the confusion matrix of the test set, and the images of each cell. */

import { element, numeral, percent } from "../dom.js";
import { paintBytes } from "../paint.js";
import { ask, decode } from "../server.js";

export class ErrorsPanel {
  constructor(host, playground) {
    this.host = host;
    this.playground = playground;
    this.button = element("button", { type: "button", onclick: () => this.read() }, "Evaluate the test set");
    this.summary = element("p", { className: "note", "aria-live": "polite" });
    this.grid = element("div", { className: "scrolls", tabIndex: 0, role: "region", "aria-label": "Confusion matrix" });
    this.grid.hidden = true;
    this.pictures = element("div", { "aria-live": "polite" });
    this.stale = element("p", { className: "stale", hidden: true }, "The weights have changed since.");
    host.append(element("p", { className: "buttons" }, this.button), this.stale, this.summary, this.grid, this.pictures);
  }

  /** Evaluate when the panel is open and the weights are new; during training only at the user's request. */
  opened() {
    const { status, version, loaded, origin } = this.playground.state;
    const canRead = (origin === "training" || loaded.fits) && status !== "failed" && status !== "training";
    if (canRead && version !== this.version && !this.host.hidden) this.read();
  }

  showState({ version, digits }) {
    this.opened();
    this.stale.hidden = this.version === undefined || this.version === version;
    this.button.textContent = `Evaluate the ${digits.test.toLocaleString("en")} test images${this.version === undefined ? "" : " again"}`;
  }

  read() {
    return this.playground.enquire(async () => {
      this.version = this.playground.state.version;
      const figures = await ask("errors");
      const { accuracy, interval, count, correct, doubtful, loss } = figures;
      this.stale.hidden = this.version === this.playground.state.version;
      this.summary.textContent =
        `Accuracy ${percent(accuracy, 2)}: ${correct.toLocaleString("en")} of ${count.toLocaleString("en")} ` +
        `(95 % interval ${percent(interval[0], 2)} to ${percent(interval[1], 2)}), loss ${numeral(loss)}.` +
        (doubtful ? ` Mistakes with a doubtful label: ${doubtful}.` : "");
      this.showGrid(figures.confusion);
      await this.show(null, null);
    });
  }

  showGrid(confusion) {
    const { classes } = this.playground.state.digits;
    const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, k) => k !== i)));
    const cell = (count, label, predicted) => {
      if (label === predicted) return element("td", { className: "right" }, count.toLocaleString("en"));
      if (count === 0) return element("td", {}, "");
      const name = `${count} of class ${classes[label]} read as ${classes[predicted]}`;
      const button = element("button", { type: "button", title: name, "aria-label": name, onclick: () => this.show(label, predicted) }, String(count));
      button.style.setProperty("--share", count / most);
      return element("td", {}, button);
    };
    const head = element("tr", {}, element("td", { className: "corner" }, "true ↓ read as →"), ...classes.map((name) => element("th", { scope: "col" }, name)));
    const rows = confusion.map((row, i) => element("tr", {}, element("th", { scope: "row" }, classes[i]), ...row.map((count, k) => cell(count, i, k))));
    this.grid.replaceChildren(element("table", { className: "confusion" }, element("thead", {}, head), element("tbody", {}, ...rows)));
    this.grid.hidden = false;
  }

  show(label, predicted) {
    return this.playground.enquire(async () => {
      const query = label === null ? "" : `?label=${label}&predicted=${predicted}`;
      const { count, pictures } = await ask(`errors/pictures${query}`);
      const { shape, classes } = this.playground.state.digits;
      const title = label === null ? "The worst mistakes" : `${classes[label]} read as ${classes[predicted]}: ${count}`;
      const figures = pictures.map(({ pixels, index, ...mistake }) => {
        const words = `${classes[mistake.label]} → ${classes[mistake.predicted]}, ${percent(mistake.confidence, 0)}`;
        const canvas = element("canvas", { className: "digit", role: "img", "aria-label": words, title: `test image ${index}` });
        paintBytes(canvas, decode(pixels), ...shape);
        const caption = element("figcaption", {}, words);
        if (mistake.doubtful) caption.append(element("b", { className: "doubt" }, " doubtful label"));
        return element("figure", {}, canvas, caption);
      });
      this.pictures.replaceChildren(element("h3", {}, title), element("div", { className: "pictures" }, ...figures));
    });
  }
}
