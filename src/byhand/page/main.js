/*
 * The playground's page: it fetches the whole state once, then follows the events. The current model is a `Reader`, whose
 * weights are fetched again when they change. Responses and events have sequence numbers (`moment`), because they can
 * arrive out of order.
 */

import { Curve } from "./curve.js";
import { byId, percent } from "./dom.js";
import { shapeOf } from "./network.js";
import { Notice } from "./notice.js";
import { Reader } from "./reader.js";
import { readsDrawings } from "./recognize.js";
import { RETRY, Refused, ask, authenticate, follow, order, weights } from "./server.js";
import { isPhone, isLoaded } from "./state.js";
import { Tabs } from "./tabs.js";
import { Tour } from "./tour.js";
import { DataPanel } from "./panels/data.js";
import { DrawPanel } from "./panels/draw.js";
import { ErrorsPanel } from "./panels/errors.js";
import { ExperimentsPanel } from "./panels/experiments.js";
import { NetworkPanel } from "./panels/network.js";
import { RunPanel } from "./panels/run.js";
import { SetupPanel, plain } from "./panels/setup.js";
import { SharePanel } from "./panels/share.js";
import { StepPanel } from "./panels/step.js";

/** Each makes its elements in the one with its id; some have more places on the page. */
const PANELS = {
  network: NetworkPanel,
  draw: DrawPanel,
  data: DataPanel,
  run: RunPanel,
  experiments: ExperimentsPanel,
  setup: SetupPanel,
  errors: ErrorsPanel,
  step: StepPanel,
  share: SharePanel,
};

/** Minimum milliseconds between fetches of the weights, at full speed and at a pace for the eye. */
const REFRESH = 500;
const REFRESH_SLOW = 60;
/** Minimum milliseconds between announcements to screen readers. */
const SPOKEN = 5000;

const RESTARTED =
  "This is not the address of the running playground: each launch has its own. Open the one that byhand play printed in " +
  "the terminal. The setup in this page's address, after the #, can be added to it.";

class Playground {
  constructor() {
    this.notice = new Notice();
  }

  async start() {
    await authenticate();
    this.spokenAt = -SPOKEN;
    await this.load();
    this.panels = Object.entries(PANELS).map(([name, Panel]) => (this[name] = new Panel(byId(name), this)));
    this.tabs = new Tabs(byId("tabs"), [...document.querySelectorAll(".tab-panel")], (name) => {
      for (const panel of this.panels) panel.opened?.(name);
    });
    if (isPhone() && this.tabs.isFirst) this.tabs.open("network");
    this.tour = new Tour(byId("start-tour"), this);
    document.addEventListener("visibilitychange", () => this.freshen());
    await this.begin();
    await this.setup.useAddress();
    document.documentElement.dataset.ready = "yes"; // for tests
  }

  /** Fetch the whole state. */
  async load() {
    this.state = await ask("state");
    this.curve = new Curve(this.state.points, this.state.history);
    this.reader = null;
    this.fetchedAt = 0;
  }

  /** Show the state and follow the events after it. */
  async begin() {
    this.showState();
    this.leave = follow(this.state.last, (event) => this.happened(event), (error) => this.lost(error));
    await this.freshen();
  }

  /** Fetch the whole state again, after a new training or missed events. Events are not followed meanwhile. */
  async reload() {
    this.leave();
    try {
      await this.load();
    } catch (error) {
      this.notice.say("loading", error.message);
      setTimeout(() => this.reload(), RETRY);
      return;
    }
    this.notice.say("loading", "");
    await this.begin();
  }

  // ---- what happens

  happened(event) {
    if (event.reset) {
      this.reload();
      return;
    }
    const { points, epochs, ...state } = event;
    this.take(state);
    for (const point of points ?? []) this.curve.add(point);
    if (epochs) {
      this.curve.addEpochs(epochs);
      this.speak(epochs.at(-1));
    }
    this.showState();
    this.freshen();
  }

  /** Update the state of the training, unless this one is outdated. */
  take(state) {
    if (state.moment > this.state.moment) Object.assign(this.state, state);
  }

  /** True if newer weights should be fetched: at most twice a second during training, and never in a hidden tab. */
  get isBehind() {
    if (document.hidden || this.reader?.version >= this.state.version) return false;
    return this.state.status !== "training" || performance.now() >= this.fetchedAt + (this.state.pace === "full" ? REFRESH : REFRESH_SLOW);
  }

  /** Fetch the weights until they are up to date. */
  async freshen() {
    if (this.isFetching) return; // the loop below checks again
    this.isFetching = true;
    try {
      while (this.isBehind) {
        const { training, version, weights: vector } = await weights();
        this.fetchedAt = performance.now();
        if (training > this.state.training) break; // a new training: its event will arrive soon
        if (training === this.state.training) this.use(new Reader(this.state.model, vector), version);
        this.notice.say("loading", "");
      }
    } catch (error) {
      this.notice.say("loading", error.message);
      setTimeout(() => this.freshen(), RETRY);
    } finally {
      this.isFetching = false;
    }
  }

  use(reader, version) {
    this.reader = Object.assign(reader, { version });
    for (const panel of this.panels) panel.showReader?.(reader);
  }

  // ---- display

  showState() {
    const { state } = this;
    byId("model-line").textContent = this.modelLine();
    byId("model-shape").textContent = this.modelShape();
    byId("status").textContent = this.statusLine();
    byId("status").dataset.status = state.status;
    this.notice.say("training", this.experiments.hidesWarnings ? "" : state.message);
    for (const panel of this.panels) panel.showState(state, this.curve);
  }

  /** What is on the screen, in one sentence. */
  modelLine() {
    const { own } = this.state;
    return own ? `The functions of ${own.file} train and read. ${this.progressLine()}` : this.progressLine();
  }

  progressLine() {
    const { digits, step, status } = this.state;
    if (isLoaded(this.state)) return readsDrawings({ input: "handwriting", ...this.state.model }) ? "This network has learned to read. Draw a digit." : `This network has learned ${digits.name}.`;
    const images = `${digits.train.toLocaleString("en")} images of ${digits.name}`;
    if (step === 0) return "A new network. It has learned nothing yet.";
    return status === "training" ? `This network learns from ${images}.` : `This network was trained here on ${images}.`;
  }

  /** 784-32-10, and where the weights come from. */
  modelShape() {
    const { origin, model, setup } = this.state;
    const source = origin === "training" ? (setup.start === "new" ? "" : ", from the loaded weights") : `, ${origin}`;
    return shapeOf(model.architecture) + source;
  }

  /** Say that there is no connection, and why; null if there is one. */
  lost(error) {
    const isOther = error instanceof Refused && error.status === 403;
    const text = isOther ? RESTARTED : "The playground does not respond. The page will reconnect when it is running again.";
    this.notice.say("away", error && text);
    this.isAway = Boolean(error);
    byId("status").textContent = this.statusLine();
  }

  statusLine() {
    if (this.isAway) return "no connection";
    return { ready: "ready", training: "training …", paused: "paused", failed: "stopped" }[this.state.status];
  }

  /** Announce an epoch to screen readers, at most once every SPOKEN milliseconds. */
  speak(record) {
    const now = performance.now();
    if (!record || now - this.spokenAt < SPOKEN) return;
    this.spokenAt = now;
    byId("announce").textContent = `Epoch ${record.epoch}: validation accuracy ${percent(record.validation_accuracy)}.`;
  }

  // ---- requests

  /** Send a request, and show its error in the notice. */
  async attempt(work, cause = "refused") {
    this.notice.say(cause, "");
    try {
      return await work();
    } catch (error) {
      this.notice.say(cause, plain(error.message));
      return null;
    }
  }

  enquire(work) {
    return this.attempt(work, "asked");
  }

  control(body) {
    return this.attempt(async () => {
      this.take(await order("control", body));
      this.showState();
      await this.freshen();
    });
  }
}

const playground = new Playground();
window.byhand = playground; // for tests and the console
playground.start().catch((error) => {
  byId("model-line").textContent = error.status === 403 ? RESTARTED : error.message;
  document.documentElement.dataset.failed = "yes"; // hides what needs the server
});
