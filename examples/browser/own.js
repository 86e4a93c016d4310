// A model of the visitor's own: what it takes and gives, whether it has its golden bits here, and
// how long a run takes.

import { load, NiwakiError } from "./niwaki/browser.js";
import { byId, bytes, count, el, frame, time } from "./ui.js";

/** How long a model is timed. */
const BUDGET_MS = 1000;
const PROFILE_MS = 300;
const SLOW_MS = 100;
/** A page shows its frames when nothing holds its thread for longer than this. */
const SLICE_MS = 8;
const LONGEST = 8;
const ARRAYS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
  bool: Uint8Array,
};

/** Values that look like data: from 0 to 1 for floats, small integers, any byte. */
function random({ dtype, length }) {
  const value = {
    float32: Math.random,
    bool: () => Number(Math.random() < 0.5),
    int64: () => BigInt(Math.floor(Math.random() * 100)),
    int32: () => Math.floor(Math.random() * 100),
  }[dtype];
  return ARRAYS[dtype].from({ length }, value ?? (() => Math.floor(Math.random() * 256)));
}

export function own() {
  const drop = byId("drop");
  const input = byId("file");
  const result = byId("own-result");
  let turn = 0;

  async function show(file) {
    if (!file) return;
    const mine = ++turn;
    delete result.dataset.state;
    result.replaceChildren(el("p", {}, `Loading ${file.name} …`));
    let model;
    try {
      const start = performance.now();
      model = await load(file);
      const loaded = performance.now() - start;
      result.replaceChildren(...describe(file, model, loaded));
      await frame();
      const golden = model.selfTest();
      if (mine !== turn) return;
      result.append(tested(golden), el("p", { class: "hint" }, "Timing on random input …"));
      const times = await measure(model, () => mine === turn);
      if (mine !== turn) return;
      result.lastChild.replaceWith(...timed(times));
      result.dataset.state = "done";
    } catch (error) {
      if (mine !== turn) return;
      result.dataset.state = "refused";
      result.replaceChildren(...refused(file, error));
    } finally {
      model?.dispose();
    }
  }

  input.addEventListener("change", () => {
    show(input.files[0]);
    // So that the same file can be chosen again.
    input.value = "";
  });
  for (const type of ["dragenter", "dragover"]) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    show(event.dataTransfer.files[0]);
  });
}

function describe(file, model, loaded) {
  const rows = [
    ...model.inputs.map((spec) => ["Input", spec]),
    ...model.outputs.map((spec) => ["Output", spec]),
  ].map(([kind, { name, dtype, shape, scale, zeroPoint, labels }]) => {
    const what = el("td", { class: "mono" }, `${dtype} ${shape.join("×") || "scalar"}`);
    if (scale) what.append(el("small", {}, `scale ${scale.toPrecision(4)}, zero point ${zeroPoint}`));
    if (labels.length) what.append(el("small", {}, labels.slice(0, 6).join(", "), labels.length > 6 ? ", …" : ""));
    return el("tr", {}, el("th", { scope: "row" }, kind), el("td", { class: "mono" }, name || "–"), what);
  });
  return [
    el("h3", {}, file.name),
    el(
      "p",
      { class: "hint" },
      `${bytes(file.size)}, ${count(model.layerCount)} layers, arena ${bytes(model.arenaBytes)}; checked and ready in ${loaded.toFixed(1)} ms, ${model.backend}.`,
    ),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Inputs and outputs" }, el("table", {}, el("tbody", {}, ...rows))),
  ];
}

function tested({ sameBits, firstDifferingLayer: layer }) {
  if (sameBits === null) return el("p", {}, "Self-test: the file has no golden vector.");
  if (sameBits) return el("p", {}, "Self-test: every layer has its golden bits.");
  return el("p", { class: "wrong" }, `Self-test: layer ${layer.index}, ${layer.operator} ${layer.name}, is the first with other bits.`);
}

/** Runs for a second, in slices, and where the time goes. */
async function measure(model, wanted) {
  const input = Object.fromEntries(model.inputs.map((spec) => [spec.name, random(spec)]));
  const one = model.inputs.length === 1 ? Object.values(input)[0] : input;
  const end = performance.now() + BUDGET_MS;
  let runs = 0;
  let spent = 0;
  // A first run in slices tells whether whole ones would hold the page up.
  const before = performance.now();
  await model.runAsync(one);
  const first = performance.now() - before;
  while (first < SLOW_MS && performance.now() < end) {
    const start = performance.now();
    do {
      model.run(one);
      runs += 1;
    } while (performance.now() - start < SLICE_MS);
    spent += performance.now() - start;
    await frame();
    if (!wanted()) return undefined;
  }
  if (!runs) return { microseconds: first * 1000, runs: 1, layers: [] };
  // Of many profiles the mean: a browser's clock has steps of 0.1 ms.
  let layers;
  let profiles = 0;
  const until = performance.now() + PROFILE_MS;
  while (performance.now() < until) {
    const start = performance.now();
    do {
      const found = model.profile(one);
      layers ??= found.map((layer) => ({ ...layer, microseconds: 0 }));
      found.forEach(({ microseconds }, i) => (layers[i].microseconds += microseconds));
      profiles += 1;
    } while (performance.now() - start < SLICE_MS);
    await frame();
    if (!wanted()) return undefined;
  }
  layers.forEach((layer) => (layer.microseconds /= profiles));
  return { microseconds: (spent / runs) * 1000, runs, layers };
}

function timed({ microseconds, runs, layers }) {
  const longest = layers.toSorted((a, b) => b.microseconds - a.microseconds).slice(0, LONGEST);
  const mean = runs === 1 ? "one run, in slices" : `mean of ${count(runs)}`;
  const text = el("p", { class: "verdict" }, el("strong", {}, time(microseconds)), " a run", el("span", { class: "hint" }, `${mean}, on random input.`));
  if (!longest.some((layer) => layer.microseconds > 0)) return [text];
  const rows = longest.map(({ index, operator, name, microseconds: spent }) =>
    el("tr", {}, el("th", { scope: "row" }, `${index} ${operator}`, el("small", { class: "mono" }, name)), el("td", { class: "number" }, time(spent))),
  );
  return [text, el("table", {}, el("caption", {}, "Where it goes"), el("tbody", {}, ...rows))];
}

function refused(file, error) {
  const known = error instanceof NiwakiError;
  return [
    el("p", { class: "verdict wrong" }, `${file.name} was refused.`),
    el("p", {}, known ? el("code", {}, error.code) : "", ` ${error.message}.`),
    el("p", { class: "hint" }, known ? error.remedy : ""),
  ];
}
