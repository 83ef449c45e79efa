/* Run: the buttons of the training and its speed, and the curves of loss and accuracy. */

import { Chart } from "../chart.js";
import { byId, element, numeral, percent } from "../dom.js";
import { order } from "../server.js";
import { isPhone, isLoaded } from "../state.js";

/** The speeds, slowest first, with their words. */
const PACES = { slow: "Slow", fast: "× 10", full: "Full speed" };
/** A new network that is watched stops after this many epochs; finishing one that has more adds as many. */
const WATCHED = 20;

export class RunPanel {
  constructor(host, playground) {
    this.playground = playground;
    const button = (label, onclick, title = "") => element("button", { type: "button", onclick, title }, label);
    const action = (label, name, title) => button(label, () => playground.control({ action: name }), title);
    this.play = element("button", { type: "button", className: "main", onclick: () => this.toggle() }, "Watch a new network learn");
    this.finish = button("Finish", () => this.finishTraining(), "Train at full speed to the end");
    this.batch = action("One batch", "batch");
    this.epoch = action("One epoch", "epoch");
    this.rewind = action("Start over", "rewind", "The same network again, with the weights it began with");
    this.further = button("Train it further", () => this.trainFurther());
    this.back = button("Back to the trained network", () => this.useTrained());
    this.paces = Object.entries(PACES).map(([pace, words]) =>
      element("button", { type: "button", onclick: () => playground.control({ pace }), value: pace }, words),
    );
    this.stopAt = element("input", { type: "number", min: 1, max: 100000, step: 1, placeholder: "never" });
    this.stopAt.onchange = () => playground.control({ stop_at: this.stopAt.value ? Number(this.stopAt.value) : null });
    this.figures = element("dl", { className: "figures" });
    host.append(
      element(
        "div",
        { className: "buttons" },
        this.play,
        element("span", { className: "paces", role: "group", "aria-label": "Speed" }, ...this.paces),
        this.finish,
        this.further,
        this.back,
      ),
      this.figures,
    );
    const charts = element("div", { className: "charts" });
    this.look = element("p", { className: "look", role: "status", hidden: true });
    host.after(this.look);
    this.saved = element("p", { className: "note" });
    byId("learning").append(
      charts,
      element("div", { className: "buttons" }, this.batch, this.epoch, this.rewind, element("label", { className: "stop-at" }, "Stop at epoch ", this.stopAt)),
      this.saved,
    );
    this.loss = new Chart(charts, { name: "Loss", format: numeral, floor: 0 });
    this.accuracy = new Chart(charts, { name: "Accuracy", format: (share) => percent(share, 0), floor: null, ceiling: 1 });
    addEventListener("resize", () => this.draw());
  }

  toggle() {
    const { state } = this.playground;
    if (state.status === "training") return this.playground.control({ action: "pause" });
    if (state.step > 0) return this.playground.control({ action: "play" });
    return state.setup.start === "new" ? this.watch() : this.playground.experiments.begin();
  }

  /** Train the network at a pace that the eye can follow. */
  watch() {
    this.playground.tabs.open(isPhone() ? "network" : "learning");
    return this.playground.control({ action: "play", pace: "slow", stop_at: WATCHED });
  }

  /** Train the loaded model, with small steps. */
  async trainFurther() {
    if (await this.useTrained()) await this.watch();
  }

  finishTraining() {
    const { step, batches_per_epoch: perEpoch, stop_at: stopAt } = this.playground.state;
    const end = stopAt * perEpoch > step ? stopAt : WATCHED * (Math.floor(step / perEpoch / WATCHED) + 1);
    return this.playground.control({ action: "play", pace: "full", stop_at: end });
  }

  /** Read with the loaded model again. */
  useTrained() {
    return this.playground.attempt(() => order("setup", this.playground.state.loaded.setup));
  }

  showState(state, curve) {
    const isTraining = state.status === "training";
    const isNew = state.step === 0;
    this.play.textContent = isTraining ? "Pause" : isNew ? "Watch a new network learn" : "Continue";
    for (const button of [this.play, this.batch, this.epoch]) button.disabled = state.status === "failed";
    for (const button of [this.batch, this.epoch]) button.disabled ||= isTraining;
    this.rewind.disabled = state.step === 0 && state.status !== "failed";
    this.finish.hidden = isNew || state.status === "failed";
    this.further.hidden = isTraining || !isLoaded(state) || !state.loaded.fits;
    this.back.hidden = isTraining || isLoaded(state) || !state.loaded.setup;
    for (const button of this.paces) button.setAttribute("aria-pressed", button.value === state.pace);
    if (document.activeElement !== this.stopAt) this.stopAt.value = state.stop_at ?? "";
    const kept = state.saved_in;
    this.saved.replaceChildren(...(kept ? [`Saved in ${kept}. To resume: `, element("code", {}, `byhand play ${kept}`)] : []));
    this.curve = curve;
    this.figures.hidden = isNew && !isTraining;
    this.showFigures(state, curve);
    this.draw();
  }

  showFigures(state, curve) {
    const record = curve.epochs.at(-1);
    const figures = {
      epoch: String(Number((state.step / state.batches_per_epoch).toFixed(1))),
      steps: state.step.toLocaleString("en"),
      loss: curve.points.length ? numeral(curve.points.at(-1)[1]) : "–",
      "validation accuracy": record ? percent(record.validation_accuracy) : "–",
      "images a second": record ? Math.round(record.images_per_second).toLocaleString("en") : "–",
    };
    this.figures.replaceChildren(
      ...Object.entries(figures).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
    );
  }

  opened() {
    this.draw();
  }

  draw() {
    if (!this.curve || byId("learning").hidden) return;
    const { points, epochs } = this.curve;
    const of = (name) => epochs.map((record) => [record.epoch, record[name]]);
    this.loss.show(points.map(([epoch, loss]) => [epoch, loss]), of("validation_loss"));
    this.accuracy.show(points.map(([epoch, , accuracy]) => [epoch, accuracy]), of("validation_accuracy"));
  }
}
