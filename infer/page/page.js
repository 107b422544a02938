// The page itself: takes a picture, hands it to the worker, shows and saves what comes back.
"use strict";

const at = id => document.getElementById(id);
const description = JSON.parse(at("description").textContent);
const { scale } = description.grid;
const NEEDED = ["Worker", "WebAssembly", "OffscreenCanvas", "CompressionStream", "DecompressionStream"];
const backends = ["webgl", "wasm"];
const forced = backends.find(name => location.hash === `#${name}`);
const BACKENDS = {
  webgl: "Runs on the graphics processor (WebGL).",
  wasm: "Runs on the processor (WebAssembly): this browser offers no WebGL that is fast and exact enough, so it takes longer.",
};

let worker, backend, job, share;

function bytesOf(id) {
  return Uint8Array.from(atob(at(id).textContent), letter => letter.charCodeAt(0));
}

async function sourceOf(id) {
  const stream = new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return URL.createObjectURL(await new Response(stream).blob());
}

async function startWorker() {
  worker?.terminate();
  worker = null;
  const source = await sourceOf("runtime");
  worker = new Worker(source);
  worker.onmessage = ({ data }) => heard(data);
  worker.onerror = event => heard({ error: event.message });
  const [topology, weights, wasm] = ["topology", "weights", "wasm"].map(bytesOf);
  worker.postMessage({ description, topology, weights, wasm, backends: forced ? [forced] : backends, forced });
}

function show(state) {
  document.body.dataset.state = state;
}

function trouble(sentence) {
  at("trouble").textContent = sentence;
  document.body.classList.toggle("troubled", Boolean(sentence));
}

function heard(data) {
  if (data.backend) {
    backend = data.backend;
    at("backend").textContent = BACKENDS[backend];
  } else if (data.error) failed(data.error);
  else if (data.result) finished(data);
  else progressed(data);
}

async function enlarge(file) {
  trouble("");
  if (job) cancel();
  const started = { file, name: file.name || "picture", startedMs: performance.now() };
  job = started;
  say("Reading the picture…");
  at("progress").removeAttribute("value");
  show("working");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
  } catch {
    if (job !== started) return;
    job = null;
    show("empty");
    return trouble(`${started.name} is no picture that this browser can read.`);
  }
  if (job !== started) return bitmap.close();
  started.size = [bitmap.width, bitmap.height];
  if (!worker) await startWorker();
  say("Getting the network ready…");
  worker.postMessage({ bitmap, tile: started.tile }, [bitmap]);
}

function say(sentence) {
  at("said").textContent = sentence;
}

function progressed({ done, tiles }) {
  if (!job) return;
  job.firstMs ??= performance.now();
  const left = done ? ((performance.now() - job.firstMs) / done) * (tiles - done) : null;
  if (tiles > 1) at("progress").value = done / tiles;
  const part = tiles > 1 ? `part ${Math.min(done + 1, tiles)} of ${tiles}` : "in one part";
  say(`${job.size.join("×")} px, ${part}${left ? `, about ${duration(left)} left` : ""}`);
}

function duration(ms) {
  const s = Math.ceil(ms / 1000);
  return s < 90 ? `${s} s` : `${Math.round(s / 60)} min`;
}

function finished({ result, width, height }) {
  if (!job) return;
  for (const url of [at("before").src, at("after").src]) URL.revokeObjectURL(url);
  at("before").src = URL.createObjectURL(job.file);
  at("after").src = at("save").href = URL.createObjectURL(result);
  at("save").download = `${job.name.replace(/\.[^.]*$/, "")}${description.suffix}.png`;
  const elapsed = duration(performance.now() - job.startedMs);
  at("facts").textContent = `${job.size.join("×")} → ${width}×${height} px in ${elapsed}; PNG, ${megabytes(result.size)}`;
  Object.assign(at("stage").dataset, { width, height });
  job = null;
  show("done");
  zoom(false);
  slide(50);
  at("share").focus();
}

function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

// A device may have less memory than the tiles were made for: halves them and tries again.
async function failed(sentence) {
  const tile = Math.floor((job?.tile ?? description.grid.tile) / 2);
  worker?.terminate();
  worker = null;
  if (!job || !backend || tile < 32) {
    job = null;
    show("empty");
    return trouble(sentence);
  }
  const again = job;
  job = { ...again, tile: tile - (tile % description.grid.step) };
  const bitmap = await createImageBitmap(again.file, { premultiplyAlpha: "none" });
  await startWorker();
  worker.postMessage({ bitmap, tile: job.tile }, [bitmap]);
}

function cancel() {
  if (!job) return;
  job = null;
  worker?.terminate();
  worker = null;
  show("empty");
}

function slide(to) {
  share = Math.min(100, Math.max(0, to));
  at("share").value = share;
  at("before").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  at("line").style.left = `${share}%`;
}

function zoom(full = at("zoom").getAttribute("aria-pressed") !== "true") {
  at("zoom").setAttribute("aria-pressed", full);
  const [width, height] = [Number(at("stage").dataset.width), Number(at("stage").dataset.height)];
  const view = at("view");
  const room = Math.min(view.clientWidth / width, (0.72 * innerHeight) / height);
  const factor = full ? 1 / devicePixelRatio : room;
  at("stage").style.width = `${width * factor}px`;
  at("stage").style.height = `${height * factor}px`;
  at("stage").style.touchAction = full ? "auto" : "pan-y";
}

function follow(event) {
  const box = at("stage").getBoundingClientRect();
  if (event.buttons && (event.pointerType === "mouse" || at("stage").style.touchAction !== "auto"))
    slide((100 * (event.clientX - box.left)) / box.width);
}

function take(files) {
  if (files?.length) enlarge(files[0]);
}

at("file").addEventListener("change", event => {
  take(event.target.files);
});
at("cancel").addEventListener("click", cancel);
at("zoom").addEventListener("click", () => zoom());
at("share").addEventListener("input", event => slide(Number(event.target.value)));
at("other").addEventListener("click", () => {
  at("file").value = "";
  show("empty");
  at("file").click();
});
for (const name of ["pointerdown", "pointermove"]) at("stage").addEventListener(name, follow);
at("stage").addEventListener("dragstart", event => event.preventDefault());
addEventListener("resize", () => document.body.dataset.state === "done" && zoom(at("zoom").getAttribute("aria-pressed") === "true"));
addEventListener("paste", event => take(event.clipboardData.files));
addEventListener("dragover", event => {
  event.preventDefault();
  document.body.classList.add("over");
});
for (const name of ["dragleave", "drop"])
  addEventListener(name, event => {
    event.preventDefault();
    document.body.classList.remove("over");
    if (name === "drop") take(event.dataTransfer.files);
  });
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const [state, key] = [document.body.dataset.state, event.key.toLowerCase()];
  if (key === "escape" && state === "working") cancel();
  if (state !== "done") return;
  if (key === "s") at("save").click();
  if (key === "z") zoom();
  const step = { arrowleft: -2, arrowright: 2 }[key];
  if (step) {
    slide(share + step);
    event.preventDefault();
  }
});

const missing = NEEDED.filter(name => !(name in globalThis));
if (missing.length) {
  show("unable");
  trouble(`This browser is too old for the page: it lacks ${missing.join(", ")}. Any browser of 2023 or later has what it takes.`);
} else startWorker();
