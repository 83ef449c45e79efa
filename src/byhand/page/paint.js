/* Painting: bytes and weights onto a canvas, one number a pixel; the style sheet makes the pixels large. */

/** Below and above zero. They differ in brightness too, for eyes that see no difference of colour. */
const NEGATIVE = [80, 150, 255];
const POSITIVE = [255, 168, 76];

/** Pictures of bytes are light on black, as the network sees them.          bytes: (height · width) */
export function paintBytes(canvas, bytes, height, width) {
  paint(canvas, height, width, (data) => {
    for (let at = 0; at < height * width; at++) data.fill(bytes[at], 4 * at, 4 * at + 3);
  });
}

/** Weights are black at zero, one colour below and another above; `largest` has the full colour. */
export function paintWeights(canvas, weights, height, width, largest) {
  paint(canvas, height, width, (data) => {
    for (let at = 0; at < height * width; at++) {
      const colour = weights[at] < 0 ? NEGATIVE : POSITIVE;
      const strength = Math.min(1, Math.abs(weights[at]) / (largest || 1));
      for (let part = 0; part < 3; part++) data[4 * at + part] = colour[part] * strength;
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
