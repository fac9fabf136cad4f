// The weights, as this file carries them: base64 of deflated bytes, in which all 8-bit numbers come first, then the scales
// of the blocks (float16), then what is kept in float32. A weight is its number times its block's scale, as in q8_0.

/** @typedef {{name: string, rows: number, columns: number, packed: boolean}} Entry */

const BLOCK = 32;

/** @param {string} text base64 @returns {Uint8Array<ArrayBuffer>} */
function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** Every tensor in float32, by name. @param {string} text @param {Entry[]} entries @returns {Promise<Map<string, Float32Array>>} */
export async function unpack(text, entries) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const packed = entries.filter((entry) => entry.packed);
  const numbers = packed.reduce((sum, entry) => sum + entry.rows * entry.columns, 0);
  let quantum = 0;
  let scale = numbers;
  let plain = numbers + (numbers / BLOCK) * 2;
  const bytes = new Int8Array(buffer);
  const view = new DataView(buffer);
  /** @type {Map<string, Float32Array>} */
  const tensors = new Map();
  for (const { name, rows, columns, packed: inBlocks } of entries) {
    const values = new Float32Array(rows * columns);
    if (inBlocks) {
      for (let start = 0; start < values.length; start += BLOCK, scale += 2) {
        const factor = halfFloat(view.getUint16(scale, true));
        for (let i = start; i < start + BLOCK; i++) values[i] = bytes[quantum++] * factor;
      }
    } else {
      for (let i = 0; i < values.length; i++, plain += 4) values[i] = view.getFloat32(plain, true);
    }
    tensors.set(name, values);
  }
  return tensors;
}

/** A float16 from its 16 bits. @param {number} bits */
export function halfFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
