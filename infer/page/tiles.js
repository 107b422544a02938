// How a picture is cut into tiles and put together again: the rules of infer/tiles.py.
"use strict";

// Start and end of each tile along one side.
function edges(length, { tile, step }) {
  const count = Math.ceil(length / tile);
  const cuts = Array.from({ length: count }, (_, n) => Math.round((n * length) / count / step) * step);
  return cuts.map((start, n) => [start, n + 1 < count ? cuts[n + 1] : length]);
}

// A tile's side with its margin, out to the next step, not beyond the picture.
function grown([start, end], px, length, step) {
  return [
    Math.max(0, Math.floor((start - px) / step) * step),
    Math.min(length, Math.ceil((end + px) / step) * step),
  ];
}

function withBands([start, end], blend, length) {
  return [Math.max(0, start - blend), Math.min(length, end + blend)];
}

// Weight of each row (or column) of a tile with its bands: 1 inside, a raised cosine in the bands.
function weights(tile, length, { blend, scale }) {
  const [first, last] = withBands(tile, blend, length);
  const ramp = x => 0.5 + 0.5 * Math.sin((Math.PI / 2) * Math.min(1, Math.max(-1, x)));
  return Float32Array.from({ length: (last - first) * scale }, (_, n) => {
    const centre = first + (n + 0.5) / scale;
    return (
      (tile[0] > 0 && blend ? ramp((centre - tile[0]) / blend) : 1) *
      (tile[1] < length && blend ? ramp((tile[1] - centre) / blend) : 1)
    );
  });
}

// Where rows or columns beyond the end are read: mirrored at the last, or it again if too short.
function reflected(position, length, padded) {
  if (position < length) return position;
  return padded - 1 > 2 * (length - 1) ? length - 1 : 2 * (length - 1) - position;
}

// Yields strips of the output from top to bottom, `{ y, rows, pixels }`, RGB. `network` gives the
// output of a window `{ y0, y1, x0, x1 }` of the picture; `grid` is that of page.py, with the
// picture's height and width, padded to what the network needs.
async function* strips(grid, network) {
  const { height, width, margin, blend, step, scale } = grid;
  const rowLength = 3 * width * scale;
  // without bands every pixel is written once: bytes do, which round and clip by themselves
  const Pixels = blend ? Float32Array : Uint8ClampedArray;
  let below = new Pixels(0);
  for (const rows of edges(height, grid)) {
    const [top, bottom] = withBands(rows, blend, height);
    const strip = new Pixels((bottom - top) * scale * rowLength);
    const rowWeights = weights(rows, height, grid);
    for (const columns of edges(width, grid)) {
      const [y0, y1] = grown(rows, margin, height, step);
      const [x0, x1] = grown(columns, margin, width, step);
      const output = await network({ y0, y1, x0, x1 });
      const left = withBands(columns, blend, width)[0];
      const columnWeights = weights(columns, width, grid);
      for (let y = 0; y < rowWeights.length; y++) {
        let from = 3 * (((top - y0) * scale + y) * (x1 - x0) * scale + (left - x0) * scale);
        let to = y * rowLength + 3 * left * scale;
        for (const weight of columnWeights)
          for (let c = 0; c < 3; c++) strip[to++] += output[from++] * weight * rowWeights[y];
      }
    }
    for (let n = 0; n < below.length; n++) strip[n] += below[n];
    const kept = strip.length - (rows[1] < height ? 2 * blend * scale * rowLength : 0);
    below = strip.slice(kept);
    yield { y: top * scale, rows: kept / rowLength, pixels: strip.subarray(0, kept) };
  }
}
