/* Your data: a folder of pictures, or a file, is read by the server, described here, and a new network is trained on it. */

import { element } from "../dom.js";
import { chosen, dropped, zipped } from "../folder.js";
import { paintBytes } from "../paint.js";
import { decode, order, send } from "../server.js";

const whole = (number) => number.toLocaleString("en");
const megabytes = (bytes) => `${Math.ceil(bytes / 2 ** 20)} MB`;
const endsWith = (path, endings) => endings.some((ending) => path.toLowerCase().endsWith(ending));

export class DataPanel {
  constructor(host, playground) {
    this.playground = playground;
    const { endings, files, bytes } = playground.state.uploads;
    const input = (properties) => {
      const node = element("input", { type: "file", hidden: true, onchange: () => this.take(chosen(node)), ...properties });
      return node;
    };
    this.folder = input({ webkitdirectory: true, "aria-label": "Folder of pictures" });
    this.file = input({ accept: endings.join(), "aria-label": "File with a data set" });
    const button = (label, onclick) => element("button", { type: "button", onclick }, label);
    this.choose = [button("Choose a folder", () => this.folder.click()), button("Choose a file", () => this.file.click())];
    this.said = element("p", { className: "note", role: "status" });
    this.found = element("div", { className: "found" });
    host.append(
      element(
        "div",
        { className: "drop" },
        element("p", {}, element("b", {}, "Drop a folder of pictures anywhere on this page. "), "Each subfolder is a class: its name is what the network learns to say."),
        element("pre", { className: "tree" }, "fruit/apple/1.jpg\nfruit/apple/2.jpg\nfruit/pear/1.jpg …"),
        element("p", { className: "buttons" }, ...this.choose),
      ),
      element(
        "p",
        { className: "note" },
        `Pictures may have any size; they are read in shades of gray and made small. Or one file: a zip of such a folder, or CSV, npz, parquet. At most ${whole(files)} pictures and ${megabytes(bytes)}. Nothing leaves this computer.`,
      ),
      this.folder,
      this.file,
      this.said,
      this.found,
    );
    this.listen();
  }

  showState() {}

  /** The whole page takes a drop. */
  listen() {
    const isFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
    const mark = (isOver) => document.documentElement.classList.toggle("is-dropping", isOver);
    addEventListener("dragover", (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      mark(true);
    });
    addEventListener("dragleave", ({ relatedTarget }) => relatedTarget === null && mark(false));
    addEventListener("drop", async (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      mark(false);
      this.playground.tabs.open("data");
      this.say("Looking through the files …");
      await this.take(await dropped(event.dataTransfer, this.playground.state.uploads.files));
    });
  }

  say(text) {
    this.said.textContent = text;
    this.found.replaceChildren();
  }

  /** Send files to the server, and show what it found in them. */
  async take(files) {
    this.folder.value = this.file.value = "";
    for (const button of this.choose) button.disabled = true;
    try {
      const { name, body } = await this.packed(files);
      this.say(`Reading ${name}, ${megabytes(body.size)} …`);
      const found = await send(`data?name=${encodeURIComponent(name)}`, body);
      this.say("");
      this.show(found);
    } catch (error) {
      this.say(`${error.message}.`.replace(/([.!?])\.$/, "$1"));
    } finally {
      for (const button of this.choose) button.disabled = false;
    }
  }

  /** One file as it is; a folder as a zip, in which files that are no pictures are empty, so that the server names them. */
  async packed(files) {
    const { endings, pictures, files: most, bytes } = this.playground.state.uploads;
    const terminal = "byhand play --data FOLDER in a terminal reads more";
    if (files.length === 1 && endsWith(files[0].path, endings)) return this.checked(files[0].file.name, files[0].file, bytes);
    const isPicture = ({ path }) => endsWith(path, pictures);
    const images = files.filter(isPicture);
    if (!images.length) throw new Error(`No pictures found: expected files such as ${pictures.slice(0, 5).join(", ")} in subfolders`);
    if (files.length > most) throw new Error(`More than ${whole(most)} files: ${terminal}`);
    const top = new Set(files.map(({ path }) => path.split("/")[0]));
    const name = `${top.size === 1 ? [...top][0] : "pictures"}.zip`;
    const size = images.reduce((sum, { file }) => sum + file.size, 0);
    if (size > bytes) throw new Error(`The pictures have ${megabytes(size)}, at most ${megabytes(bytes)} can be read here: ${terminal}`);
    const content = files.map((each) => (isPicture(each) ? each : { path: each.path, file: new Blob([]) }));
    return this.checked(name, await zipped(content), bytes);
  }

  checked(name, body, most) {
    if (body.size > most) throw new Error(`${name} has ${megabytes(body.size)}, at most ${megabytes(most)} can be read here`);
    return { name, body };
  }

  /** Show the classes with an example of each, what was changed or left out, and the button that trains. */
  show({ setup, shape, count, test, classes, pictures, notes, left_out: leftOut, left_out_count: leftOutCount }) {
    const size = shape.toReversed().join(" × ");
    const examples = pictures.map(({ pixels, label }) => {
      const { name, count: inClass } = classes[label];
      const canvas = element("canvas", { className: "digit", role: "img", "aria-label": `an image of ${name}` });
      paintBytes(canvas, decode(pixels), ...shape);
      return element("figure", {}, canvas, element("figcaption", {}, `${name}: ${whole(inClass)}`));
    });
    const more = classes.length > pictures.length ? `, ${classes.length - pictures.length} more classes not shown` : "";
    const said = [`${size} pixels each`, `${whole(test)} kept apart to test the network`, ...notes].join("; ");
    this.found.append(
      element("h3", {}, `${setup.data}: ${whole(count)} pictures in ${classes.length} classes${more}`),
      element("p", { className: "note" }, `${said}.`),
      element("div", { className: "pictures" }, ...examples),
    );
    if (leftOutCount) {
      const items = leftOut.map((line) => element("li", {}, line));
      if (leftOutCount > leftOut.length) items.push(element("li", {}, `and ${whole(leftOutCount - leftOut.length)} more`));
      const files = leftOutCount === 1 ? "1 file was left out" : `${whole(leftOutCount)} files were left out`;
      this.found.append(element("details", { open: leftOut.length <= 5 }, element("summary", {}, files), element("ul", {}, ...items)));
    }
    const train = element("button", { type: "button", className: "main", onclick: () => this.train(setup) }, "Train a new network on these pictures");
    this.found.append(element("p", { className: "buttons" }, train));
    train.focus();
  }

  train(setup) {
    return this.playground.attempt(async () => {
      await order("setup", setup);
      await this.playground.run.watch();
    });
  }
}
