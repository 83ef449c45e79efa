/* Experiments: chips that set up a training, start it, and say what to look for. */

import { element } from "../dom.js";
import { order } from "../server.js";
import { isPhone } from "../state.js";

const USUAL = { start: "new", maps: "", layers: [32], activation: "relu", optimizer: "momentum", learning_rate: 0.05, batch_size: 128, samples: 0, augment: "none" };

const EXPERIMENTS = [
  {
    title: "One hidden layer",
    setup: {},
    look: "The pictures of the weights begin as noise, and strokes appear in them. The loss falls quickly, then slowly.",
  },
  {
    title: "No hidden layer",
    setup: { layers: [] },
    look: "Each output only weighs pixels. That is enough for about nine digits of ten, and it stays there.",
  },
  {
    title: "Deep sigmoid that won't learn",
    setup: { layers: [32, 32, 32, 32], activation: "sigmoid", optimizer: "sgd" },
    look: "The loss stays near ln 10 = 2.303, as if it guessed. Each sigmoid passes on at most a quarter of the gradient, so the first layers get almost none. Step through backpropagation to see it.",
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
    look: "Small filters slide over the picture. Each map lights where its stroke is. Draw the digit in another place: the light moves with it.",
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

  /** Another setup ends the experiment. */
  showState({ setup }) {
    if (this.setup && JSON.stringify(setup) !== this.setup) this.show(null);
  }

  show(experiment) {
    const { look } = this.playground.run;
    this.current = experiment;
    look.hidden = !experiment;
    look.replaceChildren(...(experiment ? [element("b", {}, `${experiment.title}. `), experiment.look] : []));
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", EXPERIMENTS[i] === experiment));
    if (!experiment) this.setup = null;
  }

  begin(experiment) {
    const { data, deskew, seed } = this.playground.state.setup;
    return this.playground.attempt(async () => {
      this.setup = null;
      const wanted = { ...USUAL, ...experiment.setup, data, deskew, seed };
      await order("setup", wanted);
      await order("control", { action: "play", pace: "slow", stop_at: 20 });
      const isInUse = ({ setup }) => Object.entries(wanted).every(([name, value]) => String(setup[name]) === String(value));
      await this.playground.until(isInUse);
      this.setup = JSON.stringify(this.playground.state.setup);
      this.show(experiment);
      this.playground.tabs.open(isPhone() ? "network" : "learning");
    });
  }
}
