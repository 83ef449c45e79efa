/* Bars: the probability of each class, as an accessible list. */

import { element, percent } from "./dom.js";

export class Bars {
  constructor(host, classes) {
    this.classes = classes;
    this.rows = classes.map((name) => {
      const bar = element("span", { className: "bar" });
      const value = element("span", { className: "value" });
      const label = element("span", { className: "class" }, name);
      const row = element("li", {}, label, element("span", { className: "track" }, bar), value);
      return { row, bar, value };
    });
    const rows = this.rows.map(({ row }) => row);
    host.replaceChildren(element("ol", { className: "bars", "aria-label": "Probabilities of the classes" }, ...rows));
    this.show(null);
  }

  /** probabilities: one per class, or null */
  show(probabilities) {
    const best = probabilities ? indexOfLargest(probabilities) : -1;
    this.rows.forEach(({ row, bar, value }, i) => {
      const share = probabilities ? probabilities[i] : 0;
      bar.style.transform = `scaleX(${share})`;
      value.textContent = probabilities ? percent(share) : "–";
      row.classList.toggle("is-best", i === best);
    });
  }
}

/** Index of the largest number. */
export function indexOfLargest(numbers) {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i] > numbers[best]) best = i;
  return best;
}
