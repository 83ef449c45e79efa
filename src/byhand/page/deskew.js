/*
 * Deskewing, with the same bytes as byhand.data.handwriting.deskew:
 *
 *   m = Σp    mx = Σp·x    my = Σp·y    mxy = Σp·x·y    myy = Σp·y²     x and y counted from W/2, H/2, rounded down
 *   slope = (m·mxy − mx·my) / (m·myy − my²), within ±LIMIT; 0 when there is no spread
 *   t(y) = ⌊256 · slope · (y − my/m) + ½⌋                                  the shift of row y, in 256ths of a pixel
 *   out(y, x) = ((256 − f)·p(y, x+i) + f·p(y, x+i+1) + 128) >> 8           i = t >> 8, f = t & 255
 */

const LIMIT = 2;

/** The slope of the image, and its mean row relative to the middle one. */
function slant(pixels, height, width) {
  let m = 0;
  let mx = 0;
  let my = 0;
  let mxy = 0;
  let myy = 0;
  for (let row = 0, at = 0; row < height; row++) {
    const y = row - (height >> 1);
    for (let column = 0; column < width; column++, at++) {
      const p = pixels[at];
      if (p === 0) continue;
      const x = column - (width >> 1);
      m += p;
      mx += p * x;
      my += p * y;
      mxy += p * x * y;
      myy += p * y * y;
    }
  }
  const spread = m * myy - my * my;
  const slope = spread > 0 ? (m * mxy - mx * my) / spread : 0;
  return { slope: Math.min(Math.max(slope, -LIMIT), LIMIT), meanRow: m > 0 ? my / m : 0 };
}

/** Deskew an image: bytes (height, width) → bytes of the same shape. */
export function deskew(pixels, height, width) {
  const { slope, meanRow } = slant(pixels, height, width);
  const upright = new Uint8Array(pixels.length);
  for (let row = 0; row < height; row++) {
    const y = row - (height >> 1);
    const shift = Math.floor(256 * slope * (y - meanRow) + 0.5);
    const whole = shift >> 8;
    const part = shift & 255;
    const start = row * width;
    const pixel = (x) => (x >= 0 && x < width ? pixels[start + x] : 0);
    for (let x = 0; x < width; x++) {
      upright[start + x] = ((256 - part) * pixel(x + whole) + part * pixel(x + whole + 1) + 128) >> 8;
    }
  }
  return upright;
}
