/* The messages of the server, in the words of the page. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { plain } from "../../src/byhand/page/panels/setup.js";

test("a message has the titles of the fields and readable limits", () => {
  const cases = {
    "batch_size must be an integer from 1 to 10000, got 0": "Batch size must be a whole number from 1 to 10,000, got 0",
    "samples must be an integer from 0 to 1e+09, got -1": "Training images must be a whole number from 0 to 1,000,000,000, got -1",
    "stop_at must be an integer from 1 to 100000, got 0": "Stop at epoch must be a whole number from 1 to 100,000, got 0",
    "learning_rate must be a number from 1e-06 to 100, got 0": "Learning rate must be a number from 1e-06 to 100, got 0",
    "layers must fit into 4.2 GB of memory": "Hidden layers must fit into 4.2 GB of memory",
    "Draw something first.": "Draw something first.",
  };
  for (const [message, words] of Object.entries(cases)) assert.equal(plain(message), words);
});
