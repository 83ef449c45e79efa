/* Share: the setup as a link, the model as a file, the training as a program. */

import { element } from "../dom.js";
import { ask, download } from "../server.js";
import { toAddress } from "./setup.js";

const FILES = [
  ["html", "HTML page", "pad and network in one file that works offline"],
  ["onnx", "ONNX", "for other runtimes, with the preparation"],
  ["npz", "NumPy arrays", "W1, b1, … for NumPy"],
];

export class SharePanel {
  constructor(host, playground) {
    this.playground = playground;
    this.said = element("p", { className: "note", role: "status" });
    this.program = element("pre", { className: "code program", tabIndex: 0, hidden: true });
    const button = (label, onclick) => element("button", { type: "button", onclick }, label);
    const files = FILES.map(([to, label, about]) =>
      element("div", { className: "file" }, button(label, () => this.save(to, label)), element("span", { className: "note" }, about)),
    );
    host.append(
      element("h3", {}, "Export the model"),
      ...files,
      element("h3", {}, "Share the setup"),
      element("p", { className: "buttons" }, button("Copy link", () => this.copyLink()), button("Copy as Python", () => this.copyPython())),
      element("p", { className: "note" }, "The link contains the setup, but no weights and no drawings. It needs a playground running at this address."),
      this.said,
      this.program,
    );
  }

  showState() {}

  save(to, label) {
    return this.playground.attempt(async () => {
      this.said.textContent = `Exporting and checking: ${label} …`;
      try {
        const address = URL.createObjectURL(await download(`export/${to}`));
        element("a", { href: address, download: `digits.${to}` }).click();
        setTimeout(() => URL.revokeObjectURL(address), 10_000);
        this.said.textContent = `Saved as digits.${to}.`;
      } catch (error) {
        this.said.textContent = "";
        throw error;
      }
    });
  }

  copyLink() {
    const link = `${location.origin}/#${toAddress(this.playground.state.setup)}`;
    return this.copy(link, "Link copied.");
  }

  copyPython() {
    return this.playground.attempt(async () => {
      const { python } = await ask("python");
      this.program.textContent = python;
      this.program.hidden = false;
      await this.copy(python, "Program copied: it gives the same numbers.");
    });
  }

  async copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      this.said.textContent = done;
    } catch {
      this.program.textContent = text;
      this.program.hidden = false;
      this.said.textContent = "The browser does not allow copying: copy the text below.";
    }
  }
}
