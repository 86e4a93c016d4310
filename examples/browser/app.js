// The page: what it fetches, and its panels.

import { load } from "./niwaki/browser.js";
import { bits } from "./bits.js";
import { digit } from "./digit.js";
import { figures } from "./figures.js";
import { motion } from "./motion.js";
import { own } from "./own.js";
import { byId, bytes, el } from "./ui.js";

const CHANNELS = 6;

const read = async (url) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answers with status ${response.status}`);
  return response;
};
const buffer = async (url) => (await read(url)).arrayBuffer();

const list = byId("facts");
const note = (text, id) => list.append(el("li", id ? { id } : {}, text));

async function start() {
  const began = performance.now();
  const [facts, model, motionModel, images, series] = await Promise.all([
    read("data/facts.json").then((response) => response.json()),
    load("data/digits.niwaki"),
    load("data/motion.niwaki"),
    buffer("data/digits.u8"),
    buffer("data/motions.f32"),
  ]);
  const pixels = new Uint8Array(images);
  const inputs = {
    digits: Float32Array.from(pixels.subarray(0, model.inputs[0].length), (value) => value / 255),
    motion: new Float32Array(await buffer("data/motion-input.f32")),
  };
  model.run(inputs.digits);
  const ready = performance.now() - began;

  list.replaceChildren();
  note(`${{ relaxed: "Relaxed SIMD", simd128: "SIMD", scalar: "Scalar" }[model.backend]} WebAssembly`);
  note(`Fetched, checked and run in ${ready.toFixed(0)} ms`);
  const wasm = facts.sizes.find(({ name }) => name === `niwaki/${model.backend}.wasm`);
  note(`${bytes(wasm.brotli)} of engine`);

  digit(model, { images: pixels, labels: facts.digits });
  motion(motionModel, recordings(facts.recordings, new Float32Array(series)));
  own();
  figures(facts);
  const models = facts.models.map((each) => ({ ...each, url: `data/${each.name}.niwaki`, input: inputs[each.name] }));
  await bits(models);
}

/** Recordings as channels of steps, of floats that lie one behind the other. */
function recordings(labels, floats) {
  const steps = floats.length / labels.length / CHANNELS;
  const channel = (i, c) => [...floats.subarray((i * CHANNELS + c) * steps, (i * CHANNELS + c + 1) * steps)];
  return labels.map((each, i) => ({ ...each, series: Array.from({ length: CHANNELS }, (_, c) => channel(i, c)) }));
}

async function offline() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register("sw.js");
  await navigator.serviceWorker.ready;
  note("Works offline now", "offline");
}

try {
  await start();
  document.documentElement.dataset.ready = "true";
} catch (error) {
  const remedy = error.remedy ?? "Load the page again.";
  list.replaceChildren(el("li", { class: "wrong" }, `${error.message}. ${remedy}`));
  throw error;
}
await offline();
