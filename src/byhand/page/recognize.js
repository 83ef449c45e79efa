/*
 * From the pad to a prediction: a drawing for a network of handwriting is normalized like MNIST, then classified. With
 * `centers` off, and for a network of other images, the whole pad is only scaled down.
 */

import { normalize, SIZE, squashed } from "./handwriting.js";
import { NothingDrawn } from "./ink.js";

/** Return {picture, seen, answers, probabilities} or, if there is no digit, {message}. */
export function recognize(reader, gray, centers = true) {
  try {
    const isNormalized = centers && readsDrawings(reader);
    const picture = isNormalized ? normalize(gray, true).image : squashed(gray, ...reader.shape);
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
