// Runs the network, beside the page so that the page stays alive and can stop it at any moment.
"use strict";

const VISIBLE = 0.25; // grey levels by which a backend may differ from Keras on the probe
let network, backend, model;

tf.registerOp("SpaceToDepth", ({ inputs: [x], attrs }) => {
  const [block, [batch, height, width, channels]] = [attrs.block_size, x.shape];
  const shape = [batch, height / block, block, width / block, block * channels];
  const blocks = tf.transpose(tf.reshape(x, shape), [0, 1, 3, 2, 4]);
  return tf.reshape(blocks, [batch, height / block, width / block, block * block * channels]);
});

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function start({ description, topology, weights, wasm, backends, forced }) {
  network = { ...description, forced };
  const wasmUrl = URL.createObjectURL(new Blob([await unpacked(wasm)], { type: "application/wasm" }));
  const files = ["", "-simd", "-threaded-simd"].map(kind => `tfjs-backend-wasm${kind}.wasm`);
  tf.wasm.setWasmPaths(Object.fromEntries(files.map(file => [file, wasmUrl])));
  const graph = tf.io.fromMemory({
    modelTopology: JSON.parse(new TextDecoder().decode(await unpacked(topology))),
    weightSpecs: description.specs,
    weightData: await unpacked(weights),
  });
  for (backend of backends) if (await usable(graph)) return postMessage({ backend });
  throw new Error("This browser runs neither WebGL nor WebAssembly, one of which this page needs.");
}

// Whether the backend is there and gives what Keras gave; graphics of phones may be too coarse.
async function usable(graph) {
  if (backend === "webgl" && !hasGraphicsCard() && !network.forced) return false;
  try {
    if (!(await tf.setBackend(backend))) return false;
    model = await tf.loadGraphModel(graph);
    const { height, width, expected } = network.probe;
    const input = Float32Array.from({ length: 3 * height * width }, (_, n) => (n * n * 7 + n) % 256);
    const output = await run(input, new Float32Array(height * width).fill(1), height, width);
    return output.every((value, n) => Math.abs(value - expected[n]) <= VISIBLE);
  } catch (error) {
    console.warn(backend, error);
    return false;
  }
}

// WebGL computed by the processor, as on machines without a graphics card, loses to WebAssembly.
function hasGraphicsCard() {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  const renderer = gl?.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  return gl !== null && !/swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

async function run(rgb, valid, height, width) {
  const inputs = { pictures: tf.tensor(rgb, [1, height, width, 3]) };
  if (network.masked) inputs.valid_mask = tf.tensor(valid, [1, height, width, 1]);
  const output = model.execute(inputs, network.output);
  const numbers = await output.data();
  tf.dispose([inputs, output]);
  return numbers;
}

async function enlarge(bitmap, tile) {
  const { width, height } = bitmap;
  const pixels = await pixelsOf(bitmap);
  bitmap.close();
  const [grey, [lowest, highest]] = [isGrey(pixels), alphaRange(pixels)];
  const mask = network.masked && lowest < 128; // what is transparent is to be filled
  const alpha = lowest < 255 && !mask;
  if (alpha && lowest === 0) fillHidden(pixels, width, height);
  const flat = flatParts(pixels, width, height);
  const picture = { pixels, width, height, grey, mask, flat, ...padded(width, height) };
  const grid = { ...network.grid, height: picture.paddedHeight, width: picture.paddedWidth };
  const whole = (grid.tile + 2 * grid.margin) ** 2;
  grid.tile = grid.width * grid.height <= whole ? Math.max(grid.width, grid.height) : tile ?? grid.tile;
  const { scale } = grid;
  const png = new PngWriter(width * scale, height * scale, (grey ? 1 : 3) + alpha);
  const tiles = edges(grid.height, grid).length * edges(grid.width, grid).length;
  let done = 0;
  const runTile = async window => {
    const output = await throughNetwork(picture, window);
    postMessage({ done: ++done, tiles });
    return output;
  };
  postMessage({ done, tiles });
  for await (const { y, rows, pixels: rgb } of strips(grid, runTile)) {
    const last = Math.max(y, Math.min(y + rows, height * scale)); // the rest is padding
    const alphas = alpha ? alphaRows(pixels, width, height, scale, y, last) : null;
    await png.write(interleaved(rgb, alphas, grid.width * scale, width * scale, last - y, png.channels));
  }
  postMessage({ result: await png.finish(), width: width * scale, height: height * scale });
}

function padded(width, height) {
  const up = n => Math.ceil(n / network.multiple) * network.multiple;
  return { paddedWidth: up(width), paddedHeight: up(height) };
}

// One window of the picture through the network, with what the network must not change.
async function throughNetwork(picture, { y0, y1, x0, x1 }) {
  const { pixels, width, height, grey, mask, flat } = picture;
  const [rows, columns, scale] = [y1 - y0, x1 - x0, network.grid.scale];
  const places = new Int32Array(rows * columns);
  const rgb = new Float32Array(3 * places.length);
  const valid = new Float32Array(places.length).fill(1);
  for (let y = 0, n = 0; y < rows; y++)
    for (let x = 0; x < columns; x++, n++) {
      const row = reflected(y0 + y, height, picture.paddedHeight);
      places[n] = row * width + reflected(x0 + x, width, picture.paddedWidth);
      for (let c = 0; c < 3; c++) rgb[3 * n + c] = pixels[4 * places[n] + c];
      if (mask) valid[n] = pixels[4 * places[n] + 3] >= 128;
    }
  const output = await run(rgb, valid, rows, columns);
  if (grey)
    for (let n = 0; n < output.length; n += 3)
      output.fill(0.299 * output[n] + 0.587 * output[n + 1] + 0.114 * output[n + 2], n, n + 3);
  for (let n = 0; n < places.length; n++) {
    if (mask ? !valid[n] : !flat[places[n]]) continue;
    const corner = (Math.floor(n / columns) * columns * scale + (n % columns)) * scale;
    for (let y = 0; y < scale; y++)
      for (let x = 0; x < 3 * scale; x++)
        output[3 * (corner + y * columns * scale) + x] = pixels[4 * places[n] + (x % 3)];
  }
  return output;
}

// Rows of RGB, of a width that may have been padded, as rows of a PNG.
function interleaved(rgb, alphas, from, width, rows, channels) {
  const out = new Uint8ClampedArray(rows * width * channels);
  const colours = channels < 3 ? 1 : 3;
  for (let y = 0, to = 0; y < rows; y++)
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < colours; c++) out[to++] = rgb[3 * (y * from + x) + c];
      if (alphas) out[to++] = alphas[y * width + x];
    }
  return out;
}

let started;
onmessage = async ({ data }) => {
  try {
    if (data.weights) await (started = start(data));
    else {
      await started;
      await enlarge(data.bitmap, data.tile);
    }
  } catch (error) {
    postMessage({ error: error.message });
  }
};
