/*
 * The playground's page. It asks for the whole state once, then follows the events from there on; each panel takes from
 * both what it shows. The model in use is kept here as a reader: its weights are fetched again when the server has newer
 * ones. Answers and events come by ways of their own, and one may overtake the other: `moment` says which is newer.
 */

import { Curve } from "./curve.js";
import { byId, element, percent } from "./dom.js";
import { shapeOf } from "./network.js";
import { Notice } from "./notice.js";
import { Reader } from "./reader.js";
import { RETRY, ask, follow, order, weights } from "./server.js";
import { DrawPanel } from "./panels/draw.js";
import { ErrorsPanel } from "./panels/errors.js";
import { NetworkPanel } from "./panels/network.js";
import { RunPanel } from "./panels/run.js";
import { SetupPanel } from "./panels/setup.js";
import { SharePanel } from "./panels/share.js";
import { StepPanel } from "./panels/step.js";

/** In the order in which they are shown and reached. */
const PANELS = {
  draw: DrawPanel,
  run: RunPanel,
  setup: SetupPanel,
  network: NetworkPanel,
  errors: ErrorsPanel,
  step: StepPanel,
  share: SharePanel,
};

/** Milliseconds between two fetches of the weights while they change, and between two spoken lines. */
const REFRESH = 500;
const SPOKEN = 5000;

class Playground {
  constructor() {
    this.notice = new Notice();
  }

  async start() {
    if (location.search) history.replaceState(null, "", location.pathname + location.hash); // the token, out of sight
    this.spokenAt = -SPOKEN;
    await this.load();
    this.panels = Object.entries(PANELS).map(([name, Panel]) => (this[name] = new Panel(frame(name), this)));
    document.addEventListener("visibilitychange", () => this.freshen());
    await this.begin();
    await this.setup.useAddress();
    document.documentElement.dataset.ready = "yes"; // for whoever waits for the page, as the tests do
  }

  /** Everything as it is now. */
  async load() {
    this.state = await ask("state");
    this.curve = new Curve(this.state.points, this.state.history);
    this.reader = null;
    this.fetchedAt = 0;
  }

  /** Show what was loaded, and follow what happens from there on. */
  async begin() {
    this.showState();
    this.leave = follow(this.state.last, (event) => this.happened(event), (isLost) => this.lost(isLost));
    await this.freshen();
  }

  /** Another training has begun, or too much was missed: take everything anew. Meanwhile no event can come between. */
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

  /** Where the training stands, unless something newer is known. */
  take(state) {
    if (state.moment > this.state.moment) Object.assign(this.state, state);
  }

  /** Whether there are newer weights to fetch: at most twice a second while they change, and not while nobody looks. */
  get isBehind() {
    if (document.hidden || this.reader?.version >= this.state.version) return false;
    return this.state.status !== "training" || performance.now() >= this.fetchedAt + REFRESH;
  }

  /** Fetch the weights until they are as new as what is known of them. */
  async freshen() {
    if (this.isFetching) return; // whoever fetches looks again when it has them
    this.isFetching = true;
    try {
      while (this.isBehind) {
        const { training, version, weights: vector } = await weights();
        this.fetchedAt = performance.now();
        if (training > this.state.training) break; // another training has begun, and the event that says so is on its way
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

  // ---- what is shown of it all

  showState() {
    const { state } = this;
    byId("model-line").textContent = this.modelLine();
    byId("status").textContent = { ready: "ready", training: "training …", paused: "paused", failed: "stopped" }[state.status];
    byId("status").dataset.status = state.status;
    this.notice.say("training", state.message);
    for (const panel of this.panels) panel.showState(state, this.curve);
  }

  modelLine() {
    const { origin, model, digits } = this.state;
    const shape = shapeOf(model.architecture);
    const data = `${digits.name}: ${digits.train.toLocaleString("en")} digits to learn from`;
    return origin === "training" ? `${shape}, trained here on ${data}` : `${shape}, ${origin}. To train on: ${data}`;
  }

  lost(isLost) {
    this.notice.say("away", isLost && "The playground doesn't answer: was it stopped? This page goes on when it is back.");
  }

  /** Once an epoch, for a screen reader; never faster than one can listen. */
  speak(record) {
    const now = performance.now();
    if (!record || now - this.spokenAt < SPOKEN) return;
    this.spokenAt = now;
    byId("announce").textContent = `Epoch ${record.epoch}: validation accuracy ${percent(record.validation_accuracy)}.`;
  }

  // ---- orders

  /** Do it, and say in the page what was refused: an order, or a question, which panels ask by themselves too. */
  async attempt(work, cause = "refused") {
    this.notice.say(cause, "");
    try {
      return await work();
    } catch (error) {
      this.notice.say(cause, error.message);
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

/** A panel's frame with its title, in its place on the page; what is shown goes into the inner part. */
function frame(name) {
  const title = element("h2", { id: `${name}-title` }, name[0].toUpperCase() + name.slice(1));
  const inner = element("div", { id: name });
  byId("panels").append(element("section", { className: `panel ${name}`, "aria-labelledby": title.id }, title, inner));
  return inner;
}

const playground = new Playground();
window.byhand = playground; // for tests and for the curious
playground.start().catch((error) => playground.notice.say("loading", error.message));
