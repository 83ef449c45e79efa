/* Bars: how likely each class is, as a list that a screen reader reads and an eye sees at a glance. */

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
    host.replaceChildren(element("ol", { className: "bars", "aria-label": "How likely each class is" }, ...rows));
    this.show(null);
  }

  /** probabilities: one a class; null when there is nothing to read */
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

/** Where the largest number stands. */
export function indexOfLargest(numbers) {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i] > numbers[best]) best = i;
  return best;
}
