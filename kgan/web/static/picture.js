// Converts pictures to and from a model's square input, and blends them. Pixels are RGBA bytes in row-major order.

/** Width and height of a picture that is resized to a longer side of `side`. */
export function fitted(width, height, side) {
  const scale = side / Math.max(width, height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Indices of `length` pixels that are centred in an axis of `side` pixels and mirrored beyond their edges. */
export function mirrored(length, side) {
  const before = Math.floor((side - length) / 2);
  const period = Math.max(2 * (length - 1), 1);
  return Int32Array.from({ length: side }, (_, place) => {
    const position = (((place - before) % period) + period) % period;
    return Math.min(position, period - position);
  });
}

/** A picture centred in a square, with its edges mirrored outwards, as RGB floats in [0, 1], [side, side, 3]. */
export function toSquare(pixels, width, height, side) {
  const rows = mirrored(height, side);
  const columns = mirrored(width, side);
  const values = new Float32Array(side * side * 3);
  let at = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = 4 * (row * width + column);
      values[at++] = pixels[from] / 255;
      values[at++] = pixels[from + 1] / 255;
      values[at++] = pixels[from + 2] / 255;
    }
  }
  return values;
}

/** The inverse of toSquare: the centre of a square of floats as opaque pixels. */
export function fromSquare(values, width, height, side) {
  const top = Math.floor((side - height) / 2);
  const left = Math.floor((side - width) / 2);
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let row = 0, at = 0; row < height; row++) {
    let from = 3 * ((row + top) * side + left);
    for (let column = 0; column < width; column++) {
      pixels[at++] = values[from++] * 255;
      pixels[at++] = values[from++] * 255;
      pixels[at++] = values[from++] * 255;
      pixels[at++] = 255;
    }
  }
  return pixels;
}

/**
 * Linear interpolation between content at strength 0 and stylized at strength 1. `mask`, if there is one, holds pixels
 * whose alpha is the part of the strength at each place.
 */
export function mixed(content, stylized, strength, mask = null) {
  const pixels = new Uint8ClampedArray(content.length);
  for (let at = 0; at < pixels.length; at++) {
    const share = mask ? (strength * mask[at | 3]) / 255 : strength;
    pixels[at] = content[at] + share * (stylized[at] - content[at]);
  }
  return pixels;
}
