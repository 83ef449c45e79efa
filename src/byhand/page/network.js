/*
 * The forward pass for one image. Layers are plain values with views of one vector of float32 weights, in the order of
 * byhand.page.model_weights. Sums are computed in float64 and rounded to float32 once, so the outputs agree with Python
 * to about 1e-6.
 */

const LEAK = 0.01;
const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** H = g(Z), number by number: the table of byhand.nn.activations. */
export const activations = {
  relu: (z) => (z > 0 ? z : 0),
  leaky_relu: (z) => (z > 0 ? z : LEAK * z),
  sigmoid: (z) => (1 + Math.tanh(z / 2)) / 2,
  tanh: Math.tanh,
  gelu: (z) => (z / 2) * (1 + Math.tanh(GELU_SCALE * z * (1 + GELU_CUBIC * z * z))),
  identity: (z) => z,
};

/** Z = x W + b          x: (inputs,), W: (inputs, units), b: (units,) → (units,) */
function dense({ W, b, units }, x) {
  const sums = Float64Array.from(b);
  for (let i = 0, start = 0; i < x.length; i++, start += units) {
    const value = x[i];
    if (value !== 0) for (let j = 0; j < units; j++) sums[j] += value * W[start + j];
  }
  return Float32Array.from(sums);
}

/** Number of positions of a convolution's window, [rows, columns]. */
export function places({ height, width, size, stride }) {
  const along = (length) => Math.floor((length - size) / stride) + 1;
  return [along(height), along(width)];
}

/** Z = P W + b, the same W in each place of the window      x: (height, width, channels) → (rows, columns, maps) */
function convolution(layer, x) {
  const { W, b, width, channels, maps, size, stride } = layer;
  const [rows, columns] = places(layer);
  const answers = new Float32Array(rows * columns * maps);
  const run = size * channels; // what the window sees of one line stands together
  for (let place = 0; place < rows * columns; place++) {
    const sums = Float64Array.from(b);
    const corner = (Math.floor(place / columns) * width + (place % columns)) * stride * channels;
    for (let seen = 0, start = 0; seen < size * run; seen++, start += maps) {
      const value = x[corner + Math.floor(seen / run) * width * channels + (seen % run)];
      if (value !== 0) for (let j = 0; j < maps; j++) sums[j] += value * W[start + j];
    }
    answers.set(sums, place * maps);
  }
  return answers;
}

/** out = γ (x − mean) / √(variance + ε) + β, with the running averages */
function batchNorm({ gamma, beta, mean, variance, epsilon }, x) {
  return x.map((value, i) => ((value - mean[i]) / Math.sqrt(variance[i] + epsilon)) * gamma[i] + beta[i]);
}

/**
 * The arrays of each kind of layer in the vector of weights, in this order, with their sizes; `inputs` and `shape`, of
 * layers with weights, are their parts of 784-16@26×26-10.
 */
const kinds = {
  dense: {
    sizes: ({ inputs, units }) => ({ W: inputs * units, b: units }),
    forward: dense,
    inputs: ({ inputs }) => inputs,
    shape: ({ units }) => String(units),
  },
  convolution: {
    sizes: ({ channels, maps, size }) => ({ W: size * size * channels * maps, b: maps }),
    forward: convolution,
    inputs: ({ height, width, channels }) => height * width * channels,
    shape: (layer) => `${layer.maps}@${places(layer).join("×")}`,
  },
  activation: {
    sizes: () => ({}),
    forward: ({ name }, x) => x.map(activations[name]),
  },
  dropout: {
    sizes: () => ({}),
    forward: (_layer, x) => x,
  },
  batch_norm: {
    sizes: ({ units }) => ({ gamma: units, beta: units, mean: units, variance: units }),
    forward: batchNorm,
  },
};

/** Split the vector of weights into views for each layer. */
export function layersOf(architecture, weights) {
  let start = 0;
  const layers = architecture.map((config) => {
    const layer = { ...config };
    for (const [name, size] of Object.entries(kinds[config.kind].sizes(config))) {
      layer[name] = weights.subarray(start, start + size);
      start += size;
    }
    return layer;
  });
  if (start !== weights.length) throw new Error(`weights must be ${start} numbers, got ${weights.length}`);
  return layers;
}

/** The layers that have weights, first to last. */
export const weighted = (architecture) => architecture.filter(({ kind }) => kinds[kind].shape);

/** 784-128-10, or with convolutions 784-32@12×12-64@4×4-256-10: maps@size */
export function shapeOf(architecture) {
  const layers = weighted(architecture);
  return [kinds[layers[0].kind].inputs(layers[0]), ...layers.map((layer) => kinds[layer.kind].shape(layer))].join("-");
}

/** The outputs of all layers, in order; the last are the logits. */
export function forward(layers, x) {
  const answers = [];
  for (const layer of layers) answers.push(kinds[layer.kind].forward(layer, answers.at(-1) ?? x));
  return answers;
}

/** P = exp(Z − max Z) / Σ exp(Z − max Z) */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (z) => Math.exp(z - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
