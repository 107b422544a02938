// The pages of a study: welcome, screen check, instructions, scenes to rate, thanks.
// The server keeps every score at once and says what comes next; this page only shows it.
"use strict";

const SECONDS = 30;
const at = id => document.getElementById(id);
const address = location.pathname.replace(/\/$/, "");
const letters = "ABCDEFGHIJ";

let state = null; // as the server gave it last
let shown = 2; // which of the pictures: 0 blurred, 1 original, then the results
let elapsed = 0; // ms for which this screen has been looked at
let since = null; // when the clock was started; null: it stands still
let sending = Promise.resolve(); // scores are sent one after another
let closing = false; // between "next" and the next scene

function show(name) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== name;
}

function warn(text) {
  at("banner").textContent = text;
  at("banner").hidden = !text;
}

// Sends until the server has it: a server that is started again finds the page waiting.
async function send(action, body = {}) {
  const request = { method: "POST", body: JSON.stringify({ window: state?.window, ...body }) };
  for (;;) {
    let answer, content;
    try {
      answer = await fetch(`${address}/${action}`, request);
      content = await answer.json();
    } catch {
      answer = null;
    }
    if (answer && answer.status < 500) {
      warn("");
      if (answer.ok) return content;
      if (answer.status === 409) { pause(); show("elsewhere"); }
      else warn(`Please note: ${content.error}.`);
      return null;
    }
    warn("Not saved yet: " + (content?.error ?? "no connection") + ". Trying again …");
    await new Promise(done => setTimeout(done, 1500));
  }
}

function proceed(next) {
  if (!next) return;
  state = next;
  if (!state.item) { pause(); show("thanks"); }
  else if (!state.consent) welcome();
  else if (!state.screen) checkScreen();
  else if (state.done === 0 && !Object.keys(state.item.scores).length) instruct();
  else open();
}

function welcome() {
  at("scenes").textContent = state.total;
  at("minutes").textContent = Math.max(1, Math.ceil(state.total * SECONDS / 60));
  show("welcome");
}

// A pixel of the picture is shown by a whole number of the screen's, without interpolation.
function cssPx(pixels) {
  return pixels * Math.max(1, Math.floor(devicePixelRatio)) / devicePixelRatio + "px";
}

function zoomPercent() { // of the browser's menu on computers, of two fingers on phones
  const menu = matchMedia("(pointer: fine)").matches ? outerWidth / innerWidth : 1;
  return Math.round(100 * (Math.abs(menu - 1) < 0.05 ? 1 : menu) * (visualViewport?.scale ?? 1));
}

function checkScreen() {
  show("screen");
  const canvas = at("stripes"), draw = canvas.getContext("2d");
  const { width, height } = canvas;
  draw.fillStyle = "#fff";
  draw.fillRect(0, 0, width, height);
  draw.fillStyle = "#000";
  for (let x = 0; x < width / 2; x += 2) draw.fillRect(x, 0, 1, height);
  for (let y = 0; y < height; y += 2) draw.fillRect(width / 2, y, width / 2, 1);
  canvas.style.width = cssPx(width);
  canvas.style.height = cssPx(height);
  const zoom = zoomPercent();
  at("zoom-found").className = zoom === 100 ? "" : "off";
  at("zoom-found").textContent = zoom === 100 ? "Zoom: 100 %."
    : `Zoom: it seems to be ${zoom} %. Please set it to 100 % (Ctrl and 0, or two fingers).`;
  const small = Math.min(innerWidth, innerHeight) < 600;
  at("size-found").textContent = `Window: ${innerWidth} × ${innerHeight}. ` + (small
    ? "Pictures may be larger than it: you can scroll them." : "Make it as large as you can.");
}

function instruct() {
  at("training-note").textContent = state.training
    ? `The first ${state.training} scenes are for training and do not count.` : "";
  show("instructions");
}

function open() {
  const { item } = state;
  show("rating");
  const number = state.done - state.training;
  at("place").textContent = item.training ? `Training ${state.done + 1} of ${state.training}`
    : `Scene ${number + 1} of ${state.total - state.training}`;
  at("progress").max = state.total;
  at("progress").value = state.done;
  elapsed = item.elapsed_ms;
  since = null;
  at("pictures").replaceChildren(...item.pictures.map(picture));
  layOut();
  at("stage").scrollTo((at("stage").scrollWidth - at("stage").clientWidth) / 2,
    (at("stage").scrollHeight - at("stage").clientHeight) / 2);
  at("results").replaceChildren(...item.pictures.slice(2).map(row));
  select(2 + Math.max(0, firstOpen()));
  mark();
  for (const name of state.next) new Image().src = `${address}/picture/${name}`;
}

function picture(name) {
  const image = new Image();
  image.alt = "";
  image.draggable = false;
  image.onerror = () => {
    warn("A picture did not arrive. Trying again …");
    setTimeout(() => { image.src = `${address}/picture/${name}?${Date.now()}`; }, 1500);
  };
  image.onload = () => {
    const all = [...at("pictures").children];
    if (all.every(each => each.complete && each.naturalWidth)) { warn(""); start(); }
  };
  image.src = `${address}/picture/${name}`;
  return image;
}

function layOut() {
  if (!state?.item) return;
  at("pictures").style.width = cssPx(state.item.width);
  at("pictures").style.height = cssPx(state.item.height);
}

function row(_, slot) {
  const line = document.createElement("div");
  line.className = "result";
  const letter = document.createElement("button");
  letter.className = "letter";
  letter.textContent = letters[slot];
  letter.setAttribute("aria-label", `show picture ${letters[slot]}`);
  letter.onclick = () => select(slot + 2);
  line.append(letter);
  for (let score = 1; score <= 5; score++) {
    const button = document.createElement("button");
    button.textContent = score;
    button.setAttribute("aria-label", `score ${score} for ${letters[slot]}`);
    button.onclick = () => rate(slot, score);
    line.append(button);
  }
  return line;
}

function select(which) {
  shown = which;
  [...at("pictures").children].forEach((p, i) => p.classList.toggle("shown", i === shown));
  [...at("results").children].forEach((r, i) => r.classList.toggle("shown", i + 2 === shown));
  document.querySelector(".result.shown")?.scrollIntoView({ block: "nearest" });
  for (const anchor of document.querySelectorAll(".anchor"))
    anchor.classList.toggle("shown", Number(anchor.dataset.shown) === shown);
}

function firstOpen() {
  return state.item.pictures.slice(2).findIndex((_, slot) => !(slot in state.item.scores));
}

function mark() {
  [...at("results").children].forEach((line, slot) => {
    [...line.children].slice(1).forEach((button, i) => {
      const given = state.item.scores[slot] === i + 1;
      button.classList.toggle("given", given);
      button.setAttribute("aria-pressed", given);
    });
  });
  at("next").disabled = firstOpen() >= 0;
}

function rate(slot, score) {
  if (closing) return;
  const { item } = state;
  item.scores[slot] = score;
  mark();
  const body = { position: item.position, slot, score, elapsed_ms: Math.round(looked()) };
  sending = sending.then(() => send("rate", body));
  select(firstOpen() >= 0 ? firstOpen() + 2 : slot + 2);
}

async function next() {
  if (closing || at("next").disabled) return;
  closing = at("next").disabled = true;
  const body = { position: state.item.position, elapsed_ms: Math.round(looked()) };
  await sending;
  const answer = await send("finish", body);
  closing = false;
  if (answer) proceed(answer);
  else at("next").disabled = false;
}

function start() { if (since === null && !document.hidden) since = performance.now(); }
function pause() { elapsed = looked(); since = null; }
function looked() { return elapsed + (since === null ? 0 : performance.now() - since); }

function tick() {
  if (at("rating").hidden) return;
  const left = SECONDS - Math.floor(looked() / 1000), timer = at("timer");
  timer.textContent = left > 0 ? `${left} s` : "Decide now";
  timer.className = left > 5 ? "" : left > 0 ? "soon" : "over";
  const zoomed = Math.abs((visualViewport?.scale ?? 1) - 1) > 0.02;
  if (zoomed) warn("Please zoom back to 100 % with two fingers.");
  else if (at("banner").textContent.startsWith("Please zoom")) warn("");
}

function key(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || at("rating").hidden) return;
  const name = event.key.toUpperCase(), results = state.item.pictures.length - 2;
  const slot = name.length === 1 ? letters.slice(0, results).indexOf(name) : -1;
  if (/^[1-5]$/.test(name) && shown >= 2) rate(shown - 2, Number(name));
  else if (slot >= 0) select(slot + 2);
  else if (name === "L") select(0);
  else if (name === "O") select(1);
  else if (name === "ARROWDOWN") select(shown < results + 1 ? Math.max(shown + 1, 2) : 2);
  else if (name === "ARROWUP") select(shown > 2 ? shown - 1 : results + 1);
  else if (name === "ENTER") next();
  else return;
  event.preventDefault();
}

function drag(event) { // with the mouse; fingers scroll by themselves
  if (event.pointerType !== "mouse" || event.buttons !== 1) return;
  at("stage").scrollBy(-event.movementX, -event.movementY);
}

at("agree").onchange = () => { at("to-screen").disabled = !at("agree").checked; };
at("sharp").onchange = () => { at("to-instructions").disabled = !at("sharp").checked; };
at("to-screen").onclick = async () => proceed(await send("agree"));
at("to-instructions").onclick = async () => proceed(await send("screen", { screen: {
  ratio: devicePixelRatio, zoom: zoomPercent(), width: innerWidth, height: innerHeight } }));
at("to-rating").onclick = open;
at("next").onclick = next;
at("take-over").onclick = () => location.reload();
for (const anchor of document.querySelectorAll(".anchor"))
  anchor.onclick = () => select(Number(anchor.dataset.shown));
at("stage").addEventListener("pointermove", drag);
document.addEventListener("keydown", key);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) pause();
  else if (!at("rating").hidden) start();
});
addEventListener("resize", () => { layOut(); if (!at("screen").hidden) checkScreen(); });
setInterval(tick, 250);
(async () => proceed(await send("open")))();
