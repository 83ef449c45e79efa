/* From the pad to a prediction: the drawing is normalized like MNIST, or prepared in another way, then classified. */

import { normalize, SIZE } from "./handwriting.js";
import { NothingDrawn } from "./ink.js";

/** Return {picture, seen, answers, probabilities} or, if there is no digit, {message}. */
export function recognize(reader, gray, prepared = (drawing) => normalize(drawing, true).image) {
  try {
    const picture = prepared(gray);
    if (picture.every((byte) => byte === picture[0])) return { message: "nothing drawn" };
    return { picture, ...reader.read(picture) };
  } catch (error) {
    if (error instanceof NothingDrawn) return { message: error.message };
    throw error;
  }
}

/** True if a model takes images of the pad's size. */
export const readsDrawings = ({ shape: [height, width], input }) =>
  height === SIZE && width === SIZE && input === "handwriting";
