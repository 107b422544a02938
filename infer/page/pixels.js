// What a picture has beside the colours that a network sees: the rules of infer/upscaler.py.
"use strict";

// All pixels of an ImageBitmap: RGBA, colours not multiplied by alpha.
async function pixelsOf(bitmap) {
  const opaque = await inBlocks(bitmap, canvasReader());
  let clear = false;
  for (let n = 3; n < opaque.length && !clear; n += 4) clear = opaque[n] < 255;
  // a canvas multiplies colours by alpha, in 8 bits, and so loses some: a texture does not
  const reader = clear && textureReader();
  return reader ? inBlocks(bitmap, reader) : opaque;
}

async function inBlocks(bitmap, read, side = 2048) {
  const { width, height } = bitmap;
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y += side)
    for (let x = 0; x < width; x += side) {
      const [w, h] = [Math.min(side, width - x), Math.min(side, height - y)];
      const block = await createImageBitmap(bitmap, x, y, w, h, { premultiplyAlpha: "none" });
      const part = read(block, w, h);
      for (let row = 0; row < h; row++)
        pixels.set(part.subarray(4 * row * w, 4 * (row + 1) * w), 4 * ((y + row) * width + x));
      block.close();
    }
  return pixels;
}

function canvasReader() {
  return (block, width, height) => {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(block, 0, 0);
    return context.getImageData(0, 0, width, height).data;
  };
}

function textureReader() {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl) return null;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  return (block, width, height) => {
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, block);
    const [frame, colour] = [gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0];
    gl.framebufferTexture2D(frame, colour, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
    const pixels = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels;
  };
}

function isGrey(pixels) {
  for (let n = 0; n < pixels.length; n += 4)
    if (pixels[n] !== pixels[n + 1] || pixels[n] !== pixels[n + 2]) return false;
  return true;
}

// Least and largest alpha.
function alphaRange(pixels) {
  let [low, high] = [255, 0];
  for (let n = 3; n < pixels.length; n += 4) {
    low = Math.min(low, pixels[n]);
    high = Math.max(high, pixels[n]);
  }
  return [low, high];
}

// Gives fully transparent pixels the colour of the nearest visible one, so that no colour that
// nobody sees bleeds into an edge. Distances are those of OpenCV's 5×5 mask.
function fillHidden(pixels, width, height) {
  const border = 2;
  const stride = width + 2 * border;
  const distance = new Float64Array(stride * (height + 2 * border)).fill(Infinity);
  const nearest = new Int32Array(distance.length).fill(-1);
  const at = (x, y) => (y + border) * stride + x + border;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (pixels[4 * (y * width + x) + 3]) {
        distance[at(x, y)] = 0;
        nearest[at(x, y)] = y * width + x;
      }
  const [near, diagonal, far] = [65536, 91750, 143976]; // 1, 1.4 and 2.1969 in 16 bits
  const before = [
    [-2 * stride - 1, far], [-2 * stride + 1, far], [-stride - 2, far], [-stride - 1, diagonal],
    [-stride, near], [-stride + 1, diagonal], [-stride + 2, far], [-1, near],
  ];
  const visit = (here, steps) => {
    for (const [step, length] of steps)
      if (distance[here + step] + length < distance[here]) {
        distance[here] = distance[here + step] + length;
        nearest[here] = nearest[here + step];
      }
  };
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) visit(at(x, y), before);
  const after = before.map(([step, length]) => [-step, length]);
  for (let y = height - 1; y >= 0; y--) for (let x = width - 1; x >= 0; x--) visit(at(x, y), after);
  for (let n = 0; n < width * height; n++) {
    const from = nearest[at(n % width, Math.floor(n / width))];
    if (!pixels[4 * n + 3] && from >= 0)
      pixels.set(pixels.subarray(4 * from, 4 * from + 3), 4 * n);
  }
}

// 1 where all of 5×5 px is black, 2 where it is white: a network gives 1 or 254 there.
function flatParts(pixels, width, height, side = 5) {
  const flags = new Uint8Array(width * height);
  for (let n = 0; n < flags.length; n++) {
    const value = pixels[4 * n];
    const even = value === pixels[4 * n + 1] && value === pixels[4 * n + 2];
    flags[n] = even && value === 0 ? 1 : even && value === 255 ? 2 : 0;
  }
  const reach = (side - 1) / 2;
  const eroded = (source, step, position, length) =>
    source.map((flag, n) => {
      for (let d = -reach; d <= reach && flag; d++) {
        const other = position(n) + d;
        if (other >= 0 && other < length && source[n + d * step] !== flag) return 0;
      }
      return flag;
    });
  const rows = eroded(flags, 1, n => n % width, width);
  return eroded(rows, width, n => Math.floor(n / width), height);
}

// Rows of enlarged alpha, by bicubic (a = -0.75) between the least and largest value around.
function alphaRows(pixels, width, height, scale, firstRow, lastRow) {
  const out = new Uint8ClampedArray((lastRow - firstRow) * width * scale);
  const clamp = (n, length) => Math.min(length - 1, Math.max(0, n));
  const alpha = (x, y) => pixels[4 * (clamp(y, height) * width + clamp(x, width)) + 3];
  const taps = cubicTaps(scale);
  for (let y = firstRow, to = 0; y < lastRow; y++) {
    const row = taps[y % scale];
    for (let x = 0; x < width * scale; x++, to++) {
      const column = taps[x % scale];
      const [sourceX, sourceY] = [Math.floor(x / scale), Math.floor(y / scale)];
      let [value, low, high] = [0, 255, 0];
      for (let dy = 0; dy < 4; dy++)
        for (let dx = 0; dx < 4; dx++)
          value += row.weights[dy] * column.weights[dx] *
            alpha(sourceX + column.first + dx, sourceY + row.first + dy);
      for (let dy = -1; dy <= 1; dy++)
        for (let dx = -1; dx <= 1; dx++) {
          low = Math.min(low, alpha(sourceX + dx, sourceY + dy));
          high = Math.max(high, alpha(sourceX + dx, sourceY + dy));
        }
      out[to] = Math.min(high, Math.max(low, value));
    }
  }
  return out;
}

// For each place of an output pixel within a source pixel: its four weights, and where they begin.
function cubicTaps(scale, a = -0.75) {
  const cubic = x =>
    x <= 1 ? (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1 : a * (x ** 3 - 5 * x ** 2 + 8 * x - 4);
  return Array.from({ length: scale }, (_, n) => {
    const centre = (n + 0.5) / scale - 0.5;
    const first = Math.floor(centre) - 1;
    return { first, weights: [0, 1, 2, 3].map(tap => cubic(Math.abs(first + tap - centre))) };
  });
}
