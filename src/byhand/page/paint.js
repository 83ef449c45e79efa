/* Painting of bytes and weights on a canvas, one number per pixel. */

/** They differ in brightness too, for color-blind readers. */
const NEGATIVE = [80, 150, 255];
const POSITIVE = [255, 168, 76];

/** Paint an image, white on black                                           bytes: (height · width) */
export function paintBytes(canvas, bytes, height, width) {
  paint(canvas, height, width, (data) => {
    for (let at = 0; at < height * width; at++) data.fill(bytes[at], 4 * at, 4 * at + 3);
  });
}

/** Paint weights: black at zero, and one color per sign; `largest` has full intensity. */
export function paintWeights(canvas, weights, height, width, largest) {
  paint(canvas, height, width, (data) => {
    for (let at = 0; at < height * width; at++) {
      const color = weights[at] < 0 ? NEGATIVE : POSITIVE;
      const strength = Math.min(1, Math.abs(weights[at]) / (largest || 1));
      for (let part = 0; part < 3; part++) data[4 * at + part] = color[part] * strength;
    }
  });
}

function paint(canvas, height, width, fill) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  image.data.fill(255);
  fill(image.data);
  context.putImageData(image, 0, 0);
}
