/* Run: the buttons of the training, and the curves of loss and accuracy. */

import { Chart } from "../chart.js";
import { element, numeral, percent } from "../dom.js";

export class RunPanel {
  constructor(host, playground) {
    this.playground = playground;
    const button = (label, action) =>
      element("button", { type: "button", onclick: () => playground.control({ action }) }, label);
    this.play = element("button", { type: "button", className: "main", onclick: () => this.toggle() }, "Play");
    this.batch = button("One batch", "batch");
    this.epoch = button("One epoch", "epoch");
    this.rewind = button("Rewind", "rewind");
    this.stopAt = element("input", { type: "number", min: 1, max: 100000, step: 1, placeholder: "never" });
    this.stopAt.onchange = () => playground.control({ stop_at: this.stopAt.value ? Number(this.stopAt.value) : null });
    this.figures = element("dl", { className: "figures" });
    const charts = element("div", { className: "charts" });
    host.append(
      element(
        "div",
        { className: "buttons" },
        this.play,
        this.batch,
        this.epoch,
        this.rewind,
        element("label", { className: "stop-at" }, "Stop at epoch ", this.stopAt),
      ),
      this.figures,
      charts,
    );
    this.saved = element("p", { className: "note" });
    host.append(this.saved);
    this.loss = new Chart(charts, { name: "Loss", format: numeral, floor: 0 });
    this.accuracy = new Chart(charts, { name: "Accuracy", format: (share) => percent(share, 0), floor: null, ceiling: 1 });
    addEventListener("resize", () => this.draw());
  }

  toggle() {
    const isTraining = this.playground.state.status === "training";
    return this.playground.control({ action: isTraining ? "pause" : "play" });
  }

  showState(state, curve) {
    const isTraining = state.status === "training";
    this.play.textContent = isTraining ? "Pause" : "Play";
    for (const button of [this.play, this.batch, this.epoch]) button.disabled = state.status === "failed";
    for (const button of [this.batch, this.epoch]) button.disabled ||= isTraining;
    this.rewind.disabled = state.step === 0 && state.status !== "failed";
    if (document.activeElement !== this.stopAt) this.stopAt.value = state.stop_at ?? "";
    const kept = state.saved_in;
    this.saved.replaceChildren(...(kept ? [`Saved in ${kept}. To resume: `, element("code", {}, `byhand play ${kept}`)] : []));
    this.curve = curve;
    this.showFigures(state, curve);
    this.draw();
  }

  showFigures(state, curve) {
    const record = curve.epochs.at(-1);
    const figures = {
      epoch: numeral(state.step / state.batches_per_epoch),
      step: state.step.toLocaleString("en"),
      loss: curve.points.length ? numeral(curve.points.at(-1)[1]) : "–",
      validation: record ? percent(record.validation_accuracy) : "–",
      "images/s": record ? Math.round(record.images_per_second).toLocaleString("en") : "–",
    };
    this.figures.replaceChildren(
      ...Object.entries(figures).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
    );
  }

  draw() {
    if (!this.curve) return;
    const { points, epochs } = this.curve;
    const of = (name) => epochs.map((record) => [record.epoch, record[name]]);
    this.loss.show(points.map(([epoch, loss]) => [epoch, loss]), of("validation_loss"));
    this.accuracy.show(points.map(([epoch, , accuracy]) => [epoch, accuracy]), of("validation_accuracy"));
  }
}
