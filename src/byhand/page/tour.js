/* The tour: five short notes beside what they are about. */

import { element } from "./dom.js";
import { isPhone } from "./state.js";

const STOPS = [
  { at: ".draw", text: "Draw a digit here. It does not matter how large, or where." },
  { at: ".diagram", text: "Your ink flows through the network from left to right. Orange adds, blue takes away; bright units are the active ones. Point at one to see its sum." },
  { at: ".run", text: "Watch a new network learn: it begins with random weights, and its ten bars move while it sees more and more digits." },
  { at: ".tabs", tab: "experiments", text: "Break it: a rate that is too high, units that die, too few digits, and what to look for in each." },
  { at: ".tabs", tab: "share", text: "Take it home: one file that works offline, ONNX, or the same training as a Python program." },
];

export class Tour {
  constructor(button, tabs) {
    this.tabs = tabs;
    this.opener = button;
    button.onclick = () => this.go(0);
    this.words = element("p", { "aria-live": "polite" });
    this.next = element("button", { type: "button", className: "main", onclick: () => this.go(this.at + 1) });
    const close = element("button", { type: "button", onclick: () => this.end() }, "Close");
    this.note = element("div", { className: "tour", role: "dialog", "aria-label": "Tour", hidden: true }, this.words, element("p", { className: "buttons" }, this.next, close));
    this.note.addEventListener("keydown", ({ key }) => key === "Escape" && this.end());
    document.body.append(this.note);
  }

  go(at) {
    document.querySelector(".is-toured")?.classList.remove("is-toured");
    if (at >= STOPS.length) return this.end();
    this.at = at;
    const stop = STOPS[at];
    if (stop.at === ".diagram" && isPhone()) this.tabs.open("network");
    if (stop.tab) this.tabs.open(stop.tab);
    const target = document.querySelector(stop.at);
    target.classList.add("is-toured");
    target.scrollIntoView({ block: "nearest" });
    this.words.textContent = `${at + 1} of ${STOPS.length}. ${stop.text}`;
    this.next.textContent = at + 1 < STOPS.length ? "Next" : "Done";
    this.note.hidden = false;
    this.next.focus();
  }

  end() {
    document.querySelector(".is-toured")?.classList.remove("is-toured");
    this.note.hidden = true;
    this.opener.focus();
  }
}
