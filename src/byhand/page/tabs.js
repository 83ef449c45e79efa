/*
 * Tabs: one panel at a time; a reload keeps it. https://www.w3.org/WAI/ARIA/apg/patterns/tabs/
 */

import { element } from "./dom.js";

const KEY = "byhand-tab";

export class Tabs {
  /** `opened(name)` is called after a panel has become visible. */
  constructor(list, panels, opened) {
    Object.assign(this, { panels, opened });
    this.buttons = panels.map((panel) => {
      const properties = { type: "button", role: "tab", id: `${panel.id}-tab`, "aria-controls": panel.id };
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", properties.id);
      return element("button", { ...properties, onclick: () => this.open(panel.id) }, panel.dataset.title);
    });
    list.append(...this.buttons);
    list.addEventListener("keydown", (event) => this.key(event));
    const last = sessionStorage.getItem(KEY);
    this.isFirst = !panels.some(({ id }) => id === last);
    this.open(this.isFirst ? panels[0].id : last);
  }

  open(name) {
    this.current = name;
    sessionStorage.setItem(KEY, name);
    document.documentElement.dataset.tab = name;
    this.panels.forEach((panel, i) => {
      const isOpen = panel.id === name;
      panel.hidden = !isOpen;
      this.buttons[i].setAttribute("aria-selected", isOpen);
      this.buttons[i].tabIndex = isOpen ? 0 : -1;
    });
    this.opened(name);
  }

  key(event) {
    const here = this.panels.findIndex(({ id }) => id === this.current);
    const last = this.panels.length - 1;
    const next = { ArrowRight: here === last ? 0 : here + 1, ArrowLeft: here === 0 ? last : here - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    this.open(this.panels[next].id);
    this.buttons[next].focus();
    event.preventDefault();
  }
}
