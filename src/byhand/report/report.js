// The confusion matrix: a click on a cell shows its images; the arrow keys move between cells.
"use strict";
(() => {
  const { columns, classes, counts, tiles } = JSON.parse(document.getElementById("data").textContent);
  const buttons = [...document.querySelectorAll("[data-cell]")];
  const shown = document.getElementById("cell");
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  function show(button) {
    const [row, column] = button.dataset.cell.split(",").map(Number);
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    const list = element("ul");
    let number = 0;
    tiles.forEach(([index, label, answer, confidence, doubtful], place) => {
      if (label !== row || answer !== column) return;
      number += 1;
      const tile = element("span", { className: "tile" });
      tile.style.setProperty("--x", place % columns);
      tile.style.setProperty("--y", Math.floor(place / columns));
      tile.setAttribute("role", "img");
      tile.setAttribute("aria-label", `image ${index}: label ${classes[label]}, read as ${classes[answer]}`);
      const words = [`#${index}`, `${(100 * confidence).toFixed(1)}\u00a0%`, ...(doubtful ? ["doubtful label"] : [])];
      list.append(element("li", {}, tile, ...words.flatMap((line) => [element("br"), line])));
    });
    const count = counts[row][column];
    const which = row === column ? "the lowest confidence first" : "the worst first";
    const some = number < count ? `${number} of ${count}, ${which}` : `${count}, ${which}`;
    const title = `${classes[row]} read as ${classes[column]}: ${some}`;
    shown.replaceChildren(element("h3", { textContent: title }), list);
  }

  // Roving tabindex: Tab reaches one cell, the arrow keys the others.
  const at = new Map(buttons.map((button) => [button.dataset.cell, button]));
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  function next(button, [down, right]) {
    let [row, column] = button.dataset.cell.split(",").map(Number);
    do {
      row += down;
      column += right;
      if (at.has(`${row},${column}`)) return at.get(`${row},${column}`);
    } while (row >= 0 && column >= 0 && row < classes.length && column < classes.length);
    return button;
  }
  for (const button of buttons) {
    button.tabIndex = button === buttons[0] ? 0 : -1;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => show(button));
    button.addEventListener("focus", () => {
      for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
    });
    button.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) return;
      event.preventDefault();
      next(button, steps[event.key]).focus();
    });
  }
})();
