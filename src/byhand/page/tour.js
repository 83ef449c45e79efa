/* The tour: five short notes beside what they are about. Each has something to do, and notices when it is done. */

import { element } from "./dom.js";
import { isLoaded, isPhone } from "./state.js";

/** Milliseconds between two looks at what has been done. */
const LOOK = 200;

/** `isDone(playground, before)`: before is the number of the training at the beginning of the stop. */
const STOPS = [
  {
    at: ".draw",
    text: "Draw a digit here, or click one below. It does not matter how large, or where.",
    isDone: ({ draw }) => Boolean(draw.result?.probabilities),
    praise: "It was read.",
  },
  {
    at: ".diagram",
    tab: () => isPhone() && "network",
    text: "Your ink flows through the network from left to right. Orange adds, blue takes away. Point at a bright unit.",
    isDone: ({ network }) => Boolean(network.place),
    praise: "This is its sum.",
  },
  {
    at: ".run",
    text: "Press Watch a new network learn. It begins with random weights, and its bars move while it sees more and more images.",
    isDone: ({ state }) => !isLoaded(state) && state.step > 0,
    praise: "It learns.",
  },
  {
    at: "#experiments",
    tab: () => "experiments",
    text: "Break it: choose Learning rate too high, or another experiment, and read what to look for.",
    isDone: ({ experiments, state }, before) => state.training > before && Boolean(experiments.current),
    praise: "Look at the loss.",
  },
  {
    at: "#share",
    tab: () => "share",
    text: "Take it home: press HTML page for one file that works offline, or Copy as Python.",
    isDone: ({ share }) => /^(Saved|Link|Program|The browser)/.test(share.said.textContent),
    praise: "It is yours.",
  },
];

export class Tour {
  constructor(button, playground) {
    Object.assign(this, { playground, opener: button });
    button.onclick = () => this.go(0);
    this.words = element("p", { "aria-live": "polite" });
    this.praise = element("p", { className: "is-good", role: "status" });
    this.next = element("button", { type: "button", onclick: () => this.go(this.at + 1) });
    const close = element("button", { type: "button", onclick: () => this.end() }, "Close");
    this.note = element("div", { className: "tour", role: "dialog", "aria-label": "Tour", hidden: true }, this.words, this.praise, element("p", { className: "buttons" }, this.next, close));
    this.note.addEventListener("keydown", ({ key }) => key === "Escape" && this.end());
    document.body.append(this.note);
  }

  go(at) {
    this.leave();
    if (at >= STOPS.length) return this.end();
    this.at = at;
    const stop = STOPS[at];
    const tab = stop.tab?.();
    if (tab) this.playground.tabs.open(tab);
    const target = document.querySelector(stop.at);
    target.classList.add("is-toured");
    this.words.textContent = `${at + 1} of ${STOPS.length}. ${stop.text}`;
    this.before = this.playground.state.training;
    this.praise.textContent = "";
    this.note.hidden = false;
    document.documentElement.style.setProperty("--tour", `${this.note.offsetHeight + 24}px`); // what it covers can be scrolled
    target.scrollIntoView({ block: "nearest" });
    this.look();
    this.timer = setInterval(() => this.look(), LOOK);
    this.next.focus();
  }

  /** Notice when the task is done. */
  look() {
    const { isDone, praise } = STOPS[this.at];
    const done = Boolean(this.praise.textContent) || isDone(this.playground, this.before);
    if (done && !this.praise.textContent) this.praise.textContent = `✓ ${praise}`;
    this.next.className = done ? "main" : "";
    this.next.textContent = this.at + 1 === STOPS.length ? "Done" : done ? "Next" : "Skip";
  }

  leave() {
    clearInterval(this.timer);
    document.querySelector(".is-toured")?.classList.remove("is-toured");
  }

  end() {
    this.leave();
    this.note.hidden = true;
    document.documentElement.style.removeProperty("--tour");
    this.opener.focus();
  }
}
