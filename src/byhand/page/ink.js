/*
 * Ink and paper, with the bytes of byhand.data.handwriting.ink, which explains each step.
 * Images are {pixels: Uint8Array, height, width}, row by row.
 */

const LONGEST = 800;
const TILES = 32;
const WINDOW = 11;
const FAINTEST = 16;
const DARKEST_PAPER = 128;
const FULL = 192;
const UNDECIDED = 8;
const SPECK = 3;
const MOST_PIECES = 24;

/** There is no digit in the picture. */
export class NothingDrawn extends Error {}

/** Extract the ink of a grayscale image: shrink, invert, level, normalize the contrast. */
export function findInk(gray) {
  const small = shrunk(gray, Math.ceil(Math.max(gray.height, gray.width) / LONGEST));
  const levels = extremes(small.pixels);
  const inverted = isDarkOnLight(small, levels);
  const bright = inverted ? { ...small, pixels: small.pixels.map((p) => 255 - p) } : small;
  return { ink: stretched(bright, paper(bright, levels, inverted), inverted), inverted };
}

/** Each square of side × side pixels becomes its mean, ⌊Σ/n + ½⌋; a part of a square at the edge is left out. */
export function shrunk(gray, side) {
  if (side === 1) return gray;
  const height = Math.max(1, Math.floor(gray.height / side));
  const width = Math.max(1, Math.floor(gray.width / side));
  const down = Math.min(side, gray.height);
  const across = Math.min(side, gray.width);
  const n = down * across;
  const pixels = new Uint8Array(height * width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (let y = row * side; y < row * side + down; y++) {
        const start = y * gray.width + column * side;
        for (let at = start; at < start + across; at++) sum += gray.pixels[at];
      }
      pixels[row * width + column] = Math.floor((2 * sum + n) / (2 * n));
    }
  }
  return { pixels, height, width };
}

/** True if the ink is darker than the ends of its row and column, or has less pixels and pieces. */
function isDarkOnLight(gray, { lowest, highest, two }) {
  const { pixels, height, width } = gray;
  const bottom = (height - 1) * width;
  let darker = 0;
  let brighter = 0;
  let all = 0;
  let edge = 0;
  for (let y = 0, at = 0; y < height; y++) {
    const first = pixels[y * width];
    const last = pixels[y * width + width - 1];
    const low = Math.min(first, last);
    const high = Math.max(first, last);
    for (let x = 0; x < width; x++, at++) {
      const below = Math.min(low, pixels[x], pixels[bottom + x]) - pixels[at];
      const above = pixels[at] - Math.max(high, pixels[x], pixels[bottom + x]);
      if (below > 0) darker += below ** 3;
      else if (above > 0) brighter += above ** 3;
      const side = Math.sign(2 * pixels[at] - lowest - highest);
      all += side;
      edge += side * ((y === 0) + (y === height - 1) + (x === 0) + (x === width - 1));
    }
  }
  if (!two && Math.max(darker, brighter) >= UNDECIDED * Math.min(darker, brighter)) return darker > brighter;
  const around = 2 * (height + width);
  if (Math.abs(edge) === around) return edge > 0;
  const [dark, bright] = [-1, 1].map((sign) => {
    const side = pixels.map((p) => Math.sign(2 * p - lowest - highest) === sign);
    return findPieces({ ...gray, pixels: side }).sizes.filter((size) => 100 * size >= pixels.length).length;
  });
  return 2 * (all * around + 3 * edge * pixels.length) + (bright - dark) * pixels.length * around > 0;
}

/** The extreme levels, and if nine of ten pixels have one. */
function extremes(pixels) {
  const lowest = pixels.reduce((a, b) => Math.min(a, b));
  const highest = pixels.reduce((a, b) => Math.max(a, b));
  const count = pixels.reduce((n, p) => n + (p === lowest || p === highest), 0);
  return { lowest, highest, two: 10 * count >= 9 * pixels.length };
}

/** The brightness of the paper at each pixel: medians of tiles, opened by a window, bilinear between the tiles. */
function paper(bright, { lowest, highest, two }, inverted) {
  const { pixels, height, width } = bright;
  const even = (level) => ({ ...bright, pixels: pixels.map(() => level) });
  if (two) return even(inverted ? 255 - highest : lowest);
  const side = Math.ceil(Math.max(height, width) / TILES);
  const tall = Math.ceil(height / side);
  const wide = Math.ceil(width / side);
  const medians = new Uint8Array(tall * wide);
  const tile = new Uint8Array(side * side);
  for (let r = 0; r < tall; r++) {
    for (let c = 0; c < wide; c++) {
      for (let y = 0, at = 0; y < side; y++) {
        const start = Math.min(r * side + y, height - 1) * width;
        for (let x = 0; x < side; x++) tile[at++] = pixels[start + Math.min(c * side + x, width - 1)];
      }
      medians[r * wide + c] = median(tile);
    }
  }
  const opened = overWindows(overWindows(medians, tall, wide, Math.min), tall, wide, Math.max);
  if (opened.every((value) => value === opened[0])) return even(opened[0]);

  const ground = new Uint8Array(pixels.length);
  const unit = 4 * side * side;
  const rows = between(height, side, tall);
  const columns = between(width, side, wide);
  rows.forEach(([above, below, lower], y) => {
    const upper = 2 * side - lower;
    columns.forEach(([left, right, later], x) => {
      const sooner = 2 * side - later;
      const before = upper * opened[above * wide + left] + lower * opened[below * wide + left];
      const after = upper * opened[above * wide + right] + lower * opened[below * wide + right];
      ground[y * width + x] = Math.floor((2 * (sooner * before + later * after) + unit) / (2 * unit));
    });
  });
  return { pixels: ground, height, width };
}

/** The lower median. Most tiles are all paper, and need no sorting. */
function median(tile) {
  const first = tile[0];
  return tile.every((value) => value === first) ? first : tile.sort()[(tile.length - 1) >> 1];
}

/** The smallest (or largest) value within WINDOW//2 tiles up, down and to both sides. */
function overWindows(tiles, tall, wide, choose) {
  const reach = WINDOW >> 1;
  const along = (source, length, others, step, stride) => {
    const result = new Uint8Array(source.length);
    for (let other = 0; other < others; other++) {
      for (let i = 0; i < length; i++) {
        let best = source[other * stride + i * step];
        for (let k = Math.max(0, i - reach); k <= Math.min(length - 1, i + reach); k++) {
          best = choose(best, source[other * stride + k * step]);
        }
        result[other * stride + i * step] = best;
      }
    }
    return result;
  };
  return along(along(tiles, tall, wide, wide, 1), wide, tall, 1, wide);
}

/** For each pixel of a line: the tiles before and after it, and how far it is towards the second, of 2·side. */
function between(length, side, tiles) {
  return Array.from({ length }, (_, i) => {
    const place = Math.min(Math.max(2 * i + 1 - side, 0), 2 * side * (tiles - 1));
    const before = Math.floor(place / (2 * side));
    return [before, Math.min(before + 1, tiles - 1), place % (2 * side)];
  });
}

/** The ink above its paper, from 0 at the noise to 255 at full ink. */
function stretched(bright, ground, inverted) {
  const { height, width } = bright;
  const above = new Uint8Array(height * width);
  const all = new Uint32Array(256);
  const across = new Uint32Array(256);
  const down = new Uint32Array(256);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const d = Math.max(bright.pixels[at] - ground.pixels[at], 0);
      above[at] = inverted ? Math.floor((255 * d) / Math.max(255 - ground.pixels[at], DARKEST_PAPER)) : d;
      all[above[at]]++;
      if (x > 0) across[Math.abs(above[at] - above[at - 1])]++;
      if (y > 0) down[Math.abs(above[at] - above[at - width])]++;
    }
  }
  const quartiles = [quartile(across, height * (width - 1)), quartile(down, (height - 1) * width)];
  const noise = Math.floor((11 * Math.min(...quartiles)) / 5);
  const peak = inOrder(all, above.length - Math.max(1, Math.max(height, width) >> 3));
  const strong = all.map((count, d) => (2 * d > peak ? count : 0));
  const strongest = strong.reduce((sum, count) => sum + count, 0);
  const level = strongest ? inOrder(strong, strongest >> 1) : 0;
  if (level < FAINTEST) throw new NothingDrawn("nothing drawn");
  if (level < 6 * noise) throw new NothingDrawn("no digit: noise, and no ink that stands out");

  const even = ground.pixels.every((p) => p === ground.pixels[0]);
  const floor = even ? 4 * noise : Math.max(4 * noise, Math.floor(level / 3));
  const stretches = !even || level < FULL;
  const span = level - floor;
  const becomes = Uint8Array.from({ length: 256 }, (_, d) => {
    if (d <= floor) return 0;
    return stretches ? Math.min(Math.floor((510 * (d - floor) + span) / (2 * span)), 255) : d;
  });
  return { pixels: above.map((d) => becomes[d]), height, width };
}

/** Of n bytes that were counted, the ⌊n/4⌋-th; of none, 0. */
function quartile(counts, n) {
  return n ? inOrder(counts, n >> 2) : 0;
}

/** The i-th of the bytes that were counted, from 0, smallest first. */
function inOrder(counts, i) {
  let value = 0;
  for (let seen = counts[0]; seen <= i; seen += counts[value]) value++;
  return value;
}

/** Leave out what runs off the picture's edge (unless all, or by a stroke; of a pad nothing does), and specks. */
export function withoutDirt(ink, isPad = false) {
  const { pixels, height, width } = ink;
  const { pieces, sizes } = findPieces(ink);
  if (sizes.length === 0) return ink;
  const amounts = new Array(sizes.length).fill(0);
  const peaks = new Array(sizes.length).fill(0);
  const contacts = new Array(sizes.length).fill(0);
  pieces.forEach((piece, at) => {
    if (piece < 0) return;
    amounts[piece] += pixels[at];
    if (pixels[at] > peaks[piece]) peaks[piece] = pixels[at];
    if (isPad) return;
    const x = at % width;
    if (at < width || at >= (height - 1) * width || x === 0 || x === width - 1) contacts[piece]++;
  });
  const heaviest = amounts.indexOf(Math.max(...amounts));
  let keep = contacts.map((n, i) => n === 0 || (i === heaviest && 4 * n * n <= sizes[i]));
  const inkOf = (which) => amounts.reduce((sum, amount, i) => sum + (keep[i] === which ? amount : 0), 0);
  if (4 * inkOf(true) < inkOf(false)) keep = keep.map(() => true);
  const kept = amounts.map((amount, i) => (keep[i] ? amount : -1));
  const first = kept.indexOf(Math.max(...kept));
  keep = keep.map((is, i) => is && 100 * amounts[i] >= SPECK * amounts[first] && 2 * peaks[i] >= peaks[first]);
  const count = keep.filter(Boolean).length;
  if (count > MOST_PIECES) throw new NothingDrawn(`no digit: at most ${MOST_PIECES} pieces, got ${count}`);
  return { pixels: pixels.map((p, i) => (pieces[i] >= 0 && keep[pieces[i]] ? p : 0)), height, width };
}

/** Number the connected pieces, corners included, in the order of their first pixels; −1 where there is no ink. */
function findPieces({ pixels, height, width }) {
  const pieces = new Int32Array(pixels.length).fill(-1);
  const sizes = [];
  const waiting = [];
  for (let first = 0; first < pixels.length; first++) {
    if (pixels[first] === 0 || pieces[first] >= 0) continue;
    const piece = sizes.push(0) - 1;
    pieces[first] = piece;
    waiting.push(first);
    while (waiting.length) {
      const at = waiting.pop();
      sizes[piece]++;
      const y = Math.floor(at / width);
      const x = at - y * width;
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const next = row * width + column;
          if (pixels[next] !== 0 && pieces[next] < 0) {
            pieces[next] = piece;
            waiting.push(next);
          }
        }
      }
    }
  }
  return { pieces, sizes };
}
