/*
 * The playground's page. It asks for the whole state once, then follows the events; each panel takes from both what it
 * shows. The model in use is kept here as a reader: its weights are fetched again when the server has newer ones.
 */

import { Curve } from "./curve.js";
import { byId, percent } from "./dom.js";
import { Reader } from "./reader.js";
import { ask, follow, order, weights } from "./server.js";
import { DrawPanel } from "./panels/draw.js";
import { ErrorsPanel } from "./panels/errors.js";
import { NetworkPanel } from "./panels/network.js";
import { RunPanel } from "./panels/run.js";
import { SetupPanel } from "./panels/setup.js";
import { SharePanel } from "./panels/share.js";
import { StepPanel } from "./panels/step.js";

/** Milliseconds between two fetches of the weights while they change, and between two spoken lines. */
const REFRESH = 500;
const SPOKEN = 5000;

class Playground {
  async start() {
    if (location.search) history.replaceState(null, "", location.pathname + location.hash); // the token, out of sight
    this.state = await ask("state");
    this.curve = new Curve(this.state.points, this.state.history);
    this.reader = null;
    this.fetchedAt = 0;
    this.spokenAt = -SPOKEN;
    this.setup = new SetupPanel(byId("setup"), this);
    this.draw = new DrawPanel(byId("draw"), this);
    this.run = new RunPanel(byId("run"), this);
    this.network = new NetworkPanel(byId("network"), this);
    this.step = new StepPanel(byId("step"), this);
    this.errors = new ErrorsPanel(byId("errors"), this);
    this.share = new SharePanel(byId("share"), this);
    this.panels = [this.setup, this.draw, this.run, this.network, this.step, this.errors, this.share];
    this.showState();
    await this.freshen();
    follow(this.state.last, (event) => this.happened(event), (isLost) => this.lost(isLost));
    document.addEventListener("visibilitychange", () => this.freshen());
    await this.setup.useAddress();
    document.documentElement.dataset.ready = "yes"; // for whoever waits for the page, as the tests do
  }

  // ---- what happens

  happened(event) {
    if (event.reset) {
      this.attempt(() => this.reload());
      return;
    }
    const { point, epochs, ...state } = event;
    const hadModel = this.state.origin === "training";
    Object.assign(this.state, state);
    if (point) this.curve.add(point);
    if (epochs) {
      this.curve.addEpochs(epochs);
      this.speak(epochs.at(-1));
    }
    if (!hadModel && this.state.step > 0) this.attempt(() => this.reload());
    this.showState();
    this.freshen();
  }

  /** Another training has begun, or too much was missed: take everything anew. */
  async reload() {
    const state = await ask("state");
    Object.assign(this.state, state);
    this.curve = new Curve(state.points, state.history);
    this.fetchedAt = 0;
    this.reader = null;
    this.showState();
    await this.freshen();
  }

  /** Fetch the weights if there are newer ones: at most twice a second, and not while nobody looks. */
  async freshen() {
    const isOld = this.reader?.version !== this.state.version;
    if (!isOld || this.isFetching || document.hidden) return;
    const wait = this.fetchedAt + REFRESH - performance.now();
    if (this.state.status === "training" && wait > 0) return;
    this.isFetching = true;
    try {
      const { version, weights: vector } = await weights();
      const reader = new Reader(this.state.model, vector);
      reader.version = version;
      this.reader = reader;
      this.fetchedAt = performance.now();
      for (const panel of this.panels) panel.showReader?.(reader);
    } catch (error) {
      this.problem(error.message);
    } finally {
      this.isFetching = false;
    }
  }

  // ---- what is shown of it all

  showState() {
    const { state } = this;
    byId("model-line").textContent = this.modelLine();
    byId("status").textContent = { ready: "ready", training: "training …", paused: "paused", failed: "stopped" }[state.status];
    byId("status").dataset.status = state.status;
    this.problem(state.message);
    for (const panel of this.panels) panel.showState(state, this.curve);
  }

  modelLine() {
    const { origin, model, digits } = this.state;
    const dense = model.architecture.filter((layer) => layer.kind === "dense");
    const shape = [dense[0].inputs, ...dense.map((layer) => layer.units)].join("-");
    const data = `${digits.name}: ${digits.train.toLocaleString("en")} digits to learn from`;
    return origin === "training" ? `${shape}, trained here on ${data}` : `${shape}, ${origin}. To train on: ${data}`;
  }

  /** One line on what went wrong; nothing takes it away again. */
  problem(message) {
    byId("problem").textContent = message || "";
    byId("problem").hidden = !message;
  }

  lost(isLost) {
    if (isLost) this.problem("The playground doesn't answer: was it stopped? This page goes on when it is back.");
    else this.problem(this.state.message);
  }

  /** Once an epoch, for a screen reader; never faster than one can listen. */
  speak(record) {
    const now = performance.now();
    if (!record || now - this.spokenAt < SPOKEN) return;
    this.spokenAt = now;
    byId("announce").textContent = `Epoch ${record.epoch}: validation accuracy ${percent(record.validation_accuracy)}.`;
  }

  // ---- orders

  /** Do it, and say in the page what was refused. */
  async attempt(work) {
    try {
      this.problem(this.state.message);
      return await work();
    } catch (error) {
      this.problem(error.message);
      return null;
    }
  }

  control(body) {
    return this.attempt(async () => {
      Object.assign(this.state, await order("control", body));
      this.showState();
      await this.freshen();
    });
  }
}

const playground = new Playground();
window.byhand = playground; // for tests and for the curious
playground.start().catch((error) => playground.problem(error.message));
