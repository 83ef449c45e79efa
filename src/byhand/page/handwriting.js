/*
 * Normalization: a drawing becomes 28 × 28 bytes like MNIST's, those of byhand.data.handwriting, which explains each step.
 */

import { findInk, NothingDrawn, shrunk, withoutDirt } from "./ink.js";

export const SIZE = 28;
const BOX = 20;
const MIDDLE = 14;
const SMALLEST = 5;
const COARSE = 40;
const LONGEST_OUTLINE = 14;
const GRAINIEST = 4;

/**
 * gray: {pixels, height, width} → {image (28 · 28), inverted, box, scaled}; throws NothingDrawn.   isPad: every bright pixel
 * is ink, and there is no paper
 */
export function normalize(gray, isPad = false) {
  if (isPad && largest(gray.pixels) === 0) throw new NothingDrawn("nothing drawn");
  const { ink: found, inverted } = isPad ? { ink: gray, inverted: false } : findInk(gray);
  const clean = withoutDirt(found, isPad);
  const longest = longestSide(boxOf(clean));
  const side = Math.max(1, Math.floor(longest / COARSE));
  const outline = smoothOutlineOf(clean, side);
  if (longest < SMALLEST) throw new NothingDrawn(`no digit: at least ${SMALLEST} pixels, got ${longest}`);
  if (outline > LONGEST_OUTLINE * longest || outlineOf(clean) > GRAINIEST * side * outline) {
    throw new NothingDrawn("no digit: noise or a pattern");
  }
  const ink = withPen(clean, penSteps(clean, longest, outline));
  const box = boxOf(ink);
  const scaled = toScale(ink, box);
  return { image: centered(scaled).pixels, inverted, box, scaled: scaled.pixels };
}

/** The smallest box around all pixels with a quarter of the brightest one's level; bottom and right are excluded. */
export function boxOf({ pixels, height, width }) {
  const faintest = Math.max(largest(pixels), 1) / 4;
  let [top, left, bottom, right] = [height, width, 0, 0];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (pixels[at] < faintest) continue;
      if (y < top) top = y;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      bottom = y + 1;
    }
  }
  return { top, left, bottom, right };
}

function longestSide({ top, left, bottom, right }) {
  return Math.max(bottom - top, right - left);
}

function largest(bytes) {
  let most = 0;
  for (const byte of bytes) if (byte > most) most = byte;
  return most;
}

/** Scale the ink so that its box's longest side becomes 20, at row and column 4 of 28 × 28, by area averaging. */
function toScale({ pixels, height, width }, box) {
  const { top, left } = box;
  const longest = longestSide(box);
  const down = overlaps(top, longest, height);
  const across = overlaps(left, longest, width);
  const area = longest * longest;
  const scaled = new Uint8Array(SIZE * SIZE);
  down.forEach((rows, r) => {
    across.forEach((columns, c) => {
      let sum = 0;
      for (const [y, tall] of rows) {
        let line = 0;
        for (const [x, wide] of columns) line += wide * pixels[y * width + x];
        sum += tall * line;
      }
      scaled[r * SIZE + c] = Math.floor((2 * sum + area) / (2 * area));
    });
  });
  return { pixels: scaled, height: SIZE, width: SIZE };
}

/** For each of 28 target pixels, the source pixels that it covers and how much of each, in twentieths of a pixel. */
function overlaps(start, longest, length) {
  const margin = (SIZE - BOX) / 2;
  return Array.from({ length: SIZE }, (_, target) => {
    const begin = BOX * start + longest * (target - margin);
    const end = begin + longest;
    const covered = [];
    for (let i = Math.max(0, Math.floor(begin / BOX)); i < length && BOX * i < end; i++) {
      covered.push([i, Math.min(end, BOX * (i + 1)) - Math.max(begin, BOX * i)]);
    }
    return covered;
  });
}

/** Move the ink by whole pixels so that its center of mass is nearest to (14, 14), never out of the picture. */
function centered(scaled) {
  const { top, left, bottom, right } = boxOf(scaled);
  let mass = 0;
  let down = 0;
  let across = 0;
  scaled.pixels.forEach((p, at) => {
    mass += p;
    down += p * Math.floor(at / SIZE);
    across += p * (at % SIZE);
  });
  const shift = (moment, first, last) => {
    const wanted = Math.floor(((2 * MIDDLE + 1) * mass - 2 * moment) / (2 * mass));
    return Math.min(Math.max(wanted, -first), SIZE - last);
  };
  const row = shift(down, top, bottom);
  const column = shift(across, left, right);
  const moved = new Uint8Array(SIZE * SIZE);
  for (let y = Math.max(row, 0); y < SIZE + Math.min(row, 0); y++) {
    for (let x = Math.max(column, 0); x < SIZE + Math.min(column, 0); x++) {
      moved[y * SIZE + x] = scaled.pixels[(y - row) * SIZE + x - column];
    }
  }
  return { ...scaled, pixels: moved };
}

/** The number of sides of pixels between ink, which has a quarter of the brightest one's level, and none. */
function outlineOf({ pixels, height, width }) {
  const faintest = largest(pixels) / 4;
  const before = new Uint8Array(width); // whether there was ink in the row above
  let sides = 0;
  for (let y = 0, at = 0; y < height; y++) {
    let left = 0;
    for (let x = 0; x < width; x++, at++) {
      const here = pixels[at] >= faintest ? 1 : 0;
      sides += (here ^ before[x]) + (here ^ left);
      before[x] = left = here;
    }
    sides += left;
  }
  for (const here of before) sides += here;
  return sides;
}

/** The outline of averages over squares, without the grain of a pencil. */
function smoothOutlineOf({ pixels, height, width }, side) {
  const [tall, wide] = [height, width].map((length) => Math.ceil(length / side) * side);
  const padded = { pixels: new Uint8Array(tall * wide), height: tall, width: wide };
  for (let y = 0; y < height; y++) padded.pixels.set(pixels.subarray(y * width, (y + 1) * width), y * wide);
  return side * outlineOf(shrunk(padded, side));
}

/** By how many pixels the ink must grow on each side (shrink, if negative) to be of a width that MNIST's has. */
function penSteps({ pixels }, longest, outline) {
  const mass = pixels.reduce((sum, p) => sum + p, 0);
  const unit = 561 * outline;
  let target;
  if (1120 * mass < 13 * unit * longest) target = 22;
  else if (1120 * mass > 45 * unit * longest) target = 32;
  else return 0;
  return Math.floor((unit * (target * longest + 200) - 1120 * mass) / (400 * unit));
}

/** Grow the ink by `steps` pixels on each side, or shrink it where steps are negative and something would be left. */
function withPen(ink, steps) {
  if (steps >= 0) return grown(ink, steps);
  const inverted = { ...ink, pixels: ink.pixels.map((p) => 255 - p) };
  const wide = grown(inverted, -steps);
  const left = ink.pixels.map((_, at) => {
    const y = Math.floor(at / ink.width) - steps;
    const x = (at % ink.width) - steps;
    return 255 - wide.pixels[y * wide.width + x];
  });
  return 2 * largest(left) >= largest(ink.pixels) ? { ...ink, pixels: left } : ink;
}

/** The brightest of a cross, then of a square, and so on, with room for what has grown. */
function grown(ink, steps) {
  if (steps === 0) return ink;
  const height = ink.height + 2 * steps;
  const width = ink.width + 2 * steps;
  let pixels = new Uint8Array(height * width);
  for (let y = 0; y < ink.height; y++) {
    pixels.set(ink.pixels.subarray(y * ink.width, (y + 1) * ink.width), (y + steps) * width + steps);
  }
  for (let step = 0; step < steps; step++) {
    const across = pixels.map((p, at) => {
      const x = at % width;
      return Math.max(p, x > 0 ? pixels[at - 1] : 0, x < width - 1 ? pixels[at + 1] : 0);
    });
    const source = step % 2 ? across : pixels;
    pixels = across.map((p, at) => Math.max(p, source[at - width] ?? 0, source[at + width] ?? 0));
  }
  return { pixels, height, width };
}
