/*
 * Unpacking of an exported page's weights: float16, all low bytes, then all high bytes, which compress well; deflated, as
 * base64. byhand.export packs them.
 */

/** base64 of deflated bytes → Uint8Array */
export async function inflated(base64) {
  const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Low bytes, then high bytes of float16 numbers → Float32Array */
export function halves(bytes) {
  const count = bytes.length / 2;
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i++) numbers[i] = half(bytes[i] | (bytes[count + i] << 8));
  return numbers;
}

/** The number that these 16 bits are: sign, five bits of exponent, ten of fraction. */
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
