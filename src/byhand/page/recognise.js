/*
 * Recognising: from the pad to an answer. The ink is found, scaled and centred as MNIST's was, and the reader reads it;
 * with `centres` off the whole pad is only made small, and one can watch how that fails.
 */

import { normalise, SIZE, squashed } from "./handwriting.js";
import { NothingDrawn } from "./ink.js";

/** {picture, seen, answers, probabilities} or, where there is no digit, {message} */
export function recognise(reader, grey, centres = true) {
  try {
    const picture = centres ? normalise(grey).image : squashed(grey);
    if (!picture.some((byte) => byte > 0)) return { message: "nothing drawn" };
    return { picture, ...reader.read(picture) };
  } catch (error) {
    if (error instanceof NothingDrawn) return { message: error.message };
    throw error;
  }
}

/** Whether a model takes what the pad gives. */
export const readsDrawings = ({ shape: [height, width], input }) =>
  height === SIZE && width === SIZE && input === "handwriting";
