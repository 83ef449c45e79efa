/*
 * The notice: a line over the foot of the page on what went wrong, where it moves nothing and is seen wherever one is.
 * Each cause speaks for itself and takes only its own words back; of several, the first in the list below is shown.
 */

import { byId } from "./dom.js";

/** Nobody answers; state or weights could not be had; an order was refused, or a question; what the training says. */
const CAUSES = ["away", "loading", "refused", "asked", "training"];

export class Notice {
  constructor() {
    this.said = {};
    this.closed = {};
    byId("close-notice").onclick = () => this.close();
  }

  /** What that cause has to say now; nothing when all is well. */
  say(cause, text) {
    if (this.said[cause] === text) return;
    this.said[cause] = text;
    this.closed[cause] = false;
    this.show();
  }

  /** What was read is out of the way until something else is said. */
  close() {
    this.closed[this.cause] = true;
    this.show();
  }

  get cause() {
    return CAUSES.find((cause) => this.said[cause] && !this.closed[cause]);
  }

  show() {
    byId("notice").hidden = !this.cause;
    byId("problem").textContent = this.said[this.cause] ?? "";
  }
}
