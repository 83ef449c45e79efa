/* Experiments: chips that set up a training, start it, and say what to look for. The setup says which one is in use. */

import { element } from "../dom.js";
import { order } from "../server.js";

const EXPERIMENTS = [
  {
    title: "One hidden layer",
    setup: {},
    look: "The pictures of the weights begin as noise, and strokes appear in them. The loss falls quickly, then slowly.",
  },
  {
    title: "No hidden layer",
    setup: { layers: [] },
    look: "Each output only weighs pixels. Of MNIST's digits, that is enough for about nine of ten, and it stays there.",
  },
  {
    title: "Deep sigmoid that won't learn",
    setup: { layers: [32, 32, 32, 32], activation: "sigmoid", optimizer: "sgd" },
    look: "The loss stays near the logarithm of the number of classes (ten: 2.303), as if it guessed. Each sigmoid passes on at most a quarter of the gradient, so the first layers get almost none. Step through backpropagation to see it.",
  },
  {
    title: "Learning rate too high",
    setup: { learning_rate: 1.5 },
    look: "Each step jumps over the valley: the loss goes up instead of down. A hundredth of the rate works.",
  },
  {
    title: "Dead ReLUs",
    setup: { optimizer: "sgd", learning_rate: 0.5 },
    look: "Steps that are too large push some units below zero for every image. Such a unit stays dark whatever you draw, gets no gradient, and never comes back; its picture stops changing. The others still learn.",
  },
  {
    title: "A convolution",
    setup: { maps: "8@5", layers: [32] },
    look: "Small filters slide over the picture. Each map lights where its stroke is. Draw in another place: the light moves with it.",
  },
  {
    title: "Tiny training set",
    setup: { samples: 100, batch_size: 20 },
    look: "A hundred images are learned by heart: training 100 %, validation far below. The gap between the two lines is overfitting.",
  },
];

export class ExperimentsPanel {
  constructor(host, playground) {
    this.playground = playground;
    this.chips = EXPERIMENTS.map((experiment) =>
      element("button", { type: "button", className: "chip", onclick: () => this.begin(experiment) }, experiment.title),
    );
    host.append(
      element("p", { className: "note" }, "Each of these trains a new network from the beginning, slowly enough to watch."),
      element("div", { className: "chips", role: "group", "aria-label": "Experiments" }, ...this.chips),
    );
  }

  /** The experiment of the network in training; null for any other setup. */
  get current() {
    const { state } = this.playground;
    if (state.origin !== "training" || (state.step === 0 && state.status !== "training")) return null;
    const isInUse = (experiment) =>
      Object.entries(this.setupOf(experiment)).every(([name, value]) => String(state.setup[name]) === String(value));
    return EXPERIMENTS.find(isInUse) ?? null;
  }

  /** A warning would only repeat what an experiment shows. */
  get hidesWarnings() {
    return this.current !== null && this.current !== EXPERIMENTS[0];
  }

  /** The usual setup, with what the experiment changes. */
  setupOf(experiment) {
    const { usual, setup: { deskew, seed } } = this.playground.state;
    return { ...usual, deskew, seed, ...experiment.setup };
  }

  showState({ own }) {
    this.chips.forEach((chip, i) => {
      chip.hidden = Boolean(own) && !Object.keys(EXPERIMENTS[i].setup).every((name) => own.settings.includes(name));
    });
    const { current } = this;
    if (current === this.shown) return;
    this.shown = current;
    const { look } = this.playground.run;
    look.hidden = !current;
    look.replaceChildren(...(current ? [element("b", {}, `${current.title}. `), current.look] : []));
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", EXPERIMENTS[i] === current));
  }

  /** Begin an experiment, by default with the usual network. */
  begin(experiment = EXPERIMENTS[0]) {
    return this.playground.attempt(async () => {
      await order("setup", this.setupOf(experiment));
      await this.playground.run.watch();
    });
  }
}
