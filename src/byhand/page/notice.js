/*
 * The notice: an error message at the bottom of the window. Each cause has its own message; the first in CAUSES is shown.
 */

import { byId } from "./dom.js";

/** No connection; loading failed; a command or a query was rejected; a warning of the training. */
const CAUSES = ["away", "loading", "refused", "asked", "training"];

export class Notice {
  constructor() {
    this.said = {};
    this.closed = {};
    byId("close-notice").onclick = () => this.close();
  }

  /** Set the message of a cause; an empty one clears it. */
  say(cause, text) {
    if (this.said[cause] === text) return;
    this.said[cause] = text;
    this.closed[cause] = false;
    this.show();
  }

  /** Hide the current message until the cause has another one. */
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
