/*
 * Setup: the settings of a training. Those in front act at once; all of them are under Advanced, and in the fragment of the
 * page's address.
 */

import { element } from "../dom.js";
import { order } from "../server.js";

const WORDS = {
  new: "new weights",
  loaded: "the loaded model",
  none: "no",
  default: "yes",
  sgd: "gradient descent",
  leaky_relu: "leaky relu",
};

/** Encode a setup as the fragment of an address: data=mnist-5k&layers=128,64&… */
export function toAddress(setup) {
  return new URLSearchParams(Object.entries(setup).map(([name, value]) => [name, String(value)])).toString();
}

/** Decode a fragment; unknown names and invalid numbers are ignored. */
export function fromAddress(text, usual) {
  const setup = { ...usual };
  for (const [name, value] of new URLSearchParams(text)) {
    if (!(name in usual)) continue;
    if (Array.isArray(usual[name])) setup[name] = sizes(value).some(Number.isNaN) ? usual[name] : sizes(value);
    else if (typeof usual[name] === "number") setup[name] = Number.isNaN(Number(value)) ? usual[name] : Number(value);
    else if (typeof usual[name] === "boolean") setup[name] = value === "true";
    else setup[name] = value;
  }
  return setup;
}

/** "128, 64" → [128, 64] */
export const sizes = (text) => text.split(/[\s,]+/).filter(Boolean).map(Number);

/** The titles of the fields, and of the one in Learning, by the server's names. */
const TITLES = {
  data: "Data",
  start: "Start from",
  maps: "Convolutions",
  layers: "Hidden layers",
  activation: "Activation",
  optimizer: "Optimizer",
  learning_rate: "Learning rate",
  batch_size: "Batch size",
  seed: "Seed",
  samples: "Training images, 0 for all",
  augment: "Augmentation",
  deskew: "Deskew the digits",
  stop_at: "Stop at epoch",
};

/** A message of the server with the names of the page: "batch_size must be an integer …" → "Batch size must be a whole number …" */
export function plain(message) {
  const named = message.replace(/^\w+(?= must )/, (name) => TITLES[name]?.replace(/, .*/, "") ?? name);
  const counted = named.replace(/\d+(\.\d+)?e\+\d+|\b(?<!\.)\d{5,}\b/g, (digits) => Number(digits).toLocaleString("en"));
  return counted.replace("an integer", "a whole number").replace(/^./, (letter) => letter.toUpperCase());
}

const MAX_UNITS = 1024;
const MAX_LAYERS = 8;

export class SetupPanel {
  constructor(host, playground) {
    this.playground = playground;
    const { choices, limits } = playground.state;
    this.fields = {
      data: choice(TITLES.data, choices.data),
      start: choice(TITLES.start, choices.start),
      maps: line(TITLES.maps, "none, or 8,16", "text"),
      layers: line(TITLES.layers, "such as 128 or 128, 64"),
      activation: choice(TITLES.activation, choices.activation),
      optimizer: choice(TITLES.optimizer, choices.optimizer),
      learning_rate: number(TITLES.learning_rate, limits.learning_rate, "any"),
      batch_size: number(TITLES.batch_size, limits.batch_size, 1),
      seed: number(TITLES.seed, limits.seed, 1),
      samples: number(TITLES.samples, limits.samples, 1),
      augment: choice(TITLES.augment, choices.augment),
      deskew: tick(TITLES.deskew),
    };
    this.note = element("p", { className: "note", role: "status" });
    this.form = element(
      "form",
      { className: "fields", onsubmit: (event) => this.submitted(event), oninput: () => this.compare() },
      ...Object.values(this.fields).map(({ label }) => label),
      element(
        "p",
        { className: "buttons" },
        element("button", { type: "submit" }, "Use this setup"),
        element("button", { type: "button", onclick: () => this.newSeed() }, "New seed"),
      ),
      this.note,
    );
    this.layers = element("div", { className: "layers", role: "group", "aria-label": "Layers" });
    this.details = element("details", { className: "advanced" }, element("summary", {}, "Advanced"), this.form);
    host.append(element("p", { className: "note" }, "A change begins a new network, with new weights."), this.layers, this.details);
    this.fill(playground.state.setup);
  }

  showState({ setup, loaded, choices, own }) {
    const isFree = (name) => !own || own.settings.includes(name);
    for (const [name, { label }] of Object.entries(this.fields)) label.hidden = !isFree(name);
    this.layers.hidden = !isFree("layers");
    const key = JSON.stringify(setup);
    if (key !== this.shown) {
      this.shown = key;
      this.fill(setup);
      history.replaceState(null, "", `#${toAddress(setup)}`);
    }
    this.showLayers(setup.layers);
    if (choices.data.join("\n") !== this.shownData) {
      this.shownData = choices.data.join("\n");
      const { input } = this.fields.data;
      input.replaceChildren(...optionsOf(choices.data));
      input.value = setup.data;
    }
    const start = this.fields.start.input;
    start.options[choices.start.indexOf("loaded")].disabled = !loaded.fits;
    this.compare();
  }

  /** Use a setup in the address at once before any training; otherwise only fill in the fields. */
  async useAddress() {
    const { setup, status, step } = this.playground.state;
    const wanted = fromAddress(this.address ?? "", setup);
    if (!this.address || JSON.stringify(wanted) === JSON.stringify(setup)) return;
    this.fill(wanted);
    if (status === "ready" && step === 0) await this.use();
    else this.compare();
  }

  /** Buttons that halve or double the units of each hidden layer, and remove or add one. */
  showLayers(layers) {
    const key = layers.join();
    if (key === this.shownLayers) return;
    this.shownLayers = key;
    const button = (text, name, changed) =>
      element("button", { type: "button", "aria-label": name, disabled: !changed, onclick: () => this.change(changed) }, text);
    const replaced = (i, units) => (units >= 1 && units <= MAX_UNITS ? layers.with(i, units) : null);
    const rows = layers.map((units, i) =>
      element(
        "div",
        { className: "layer" },
        button("−", `Fewer units in layer ${i + 1}`, replaced(i, Math.floor(units / 2))),
        element("span", {}, `${units} units`),
        button("+", `More units in layer ${i + 1}`, replaced(i, units * 2)),
        button("×", `Remove layer ${i + 1}`, layers.toSpliced(i, 1)),
      ),
    );
    const added = layers.length < MAX_LAYERS ? [...layers, layers.at(-1) ?? 32] : null;
    const add = element("button", { type: "button", disabled: !added, onclick: () => this.change(added) }, "Add a layer");
    this.layers.replaceChildren(element("span", {}, "Input"), ...rows, add, element("span", {}, "Outputs"));
  }

  /** Use other hidden layers at once; a training goes on with the new network. */
  async change(layers) {
    const { status } = this.playground.state;
    this.fields.layers.input.value = layers.join(", ");
    this.fields.start.input.value = "new";
    await this.use();
    if (status === "training") await this.playground.control({ action: "play" });
  }

  fill(setup) {
    this.address ??= location.hash.slice(1);
    for (const [name, { input }] of Object.entries(this.fields)) {
      if (input.type === "checkbox") input.checked = setup[name];
      else input.value = Array.isArray(setup[name]) ? setup[name].join(", ") : setup[name];
    }
  }

  get setup() {
    return fromAddress(
      new URLSearchParams(
        Object.entries(this.fields).map(([name, { input }]) => [name, input.type === "checkbox" ? input.checked : input.value]),
      ).toString(),
      this.playground.state.setup,
    );
  }

  get isChanged() {
    return JSON.stringify(this.setup) !== JSON.stringify(this.playground.state.setup);
  }

  compare() {
    const { input } = this.fields.layers;
    const areSizes = sizes(input.value).every((size) => Number.isInteger(size) && size > 0);
    const wrong = areSizes ? "" : "Hidden layers must be positive integers separated by commas.";
    input.setCustomValidity(wrong);
    const hasSteps = this.playground.state.step > 0;
    if (wrong) this.note.textContent = wrong;
    else if (this.isChanged) this.note.textContent = hasSteps ? "Not in use yet. It will start a new training." : "Not in use yet.";
    else this.note.textContent = "";
    if (wrong || this.isChanged) this.details.open = true;
  }

  submitted(event) {
    event.preventDefault();
    this.use();
  }

  use() {
    return this.playground.attempt(() => order("setup", this.setup)); // the next event makes the page reload its state
  }

  newSeed() {
    this.fields.seed.input.value = crypto.getRandomValues(new Uint32Array(1))[0] % 100000;
    return this.use();
  }
}

function field(title, input) {
  return { input, label: element("label", {}, element("span", {}, title), input) };
}

const optionsOf = (values) => values.map((value) => element("option", { value }, WORDS[value] ?? value));

function choice(title, values) {
  return field(title, element("select", {}, ...optionsOf(values)));
}

function number(title, [min, max], step) {
  return field(title, element("input", { type: "number", min, max, step, required: true }));
}

function line(title, placeholder, inputMode = "numeric") {
  return field(title, element("input", { type: "text", inputMode, placeholder, autocomplete: "off" }));
}

function tick(title) {
  const input = element("input", { type: "checkbox" });
  return { input, label: element("label", { className: "tick" }, input, element("span", {}, title)) };
}
