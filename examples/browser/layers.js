// What each layer of a model computes, as pictures, and what it takes, as bars.

import { colours, el, frame, onTheme, time, track } from "./ui.js";

/** Width over height of the place for a picture. */
const ASPECT = 1.9;
const RUNS = 300;
const RUNS_A_FRAME = 10;

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Channels, height and width of a picture of an output; the batch is 1. */
function picture(shape) {
  const dims = shape.slice(1);
  if (dims.length === 3) return dims;
  // Channels over time: one picture, a row for each channel.
  if (dims.length === 2 && dims[1] > 1) return [1, ...dims];
  return [dims.reduce((product, dim) => product * dim, 1), 1, 1];
}

/** Draws an output: a tile for each channel, from its least to its largest value. */
function draw(canvas, { spec, scores }) {
  const [channels, height, width] = picture(spec.shape);
  const gap = height * width > 1 ? 1 : 0;
  const columns = Math.min(channels, Math.ceil(Math.sqrt((channels * ASPECT * (height + gap)) / (width + gap))));
  const rows = Math.ceil(channels / columns);
  canvas.width = columns * (width + gap) - gap;
  canvas.height = rows * (height + gap) - gap;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const [low, high] = colours("low", "high").map(rgb);
  let [least, most] = [0, 0];
  for (const value of scores) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  const range = most - least || 1;
  for (let channel = 0; channel < channels; channel++) {
    const left = (channel % columns) * (width + gap);
    const top = Math.floor(channel / columns) * (height + gap);
    for (let i = 0; i < height * width; i++) {
      const share = (scores[channel * height * width + i] - least) / range;
      const at = 4 * ((top + Math.floor(i / width)) * canvas.width + left + (i % width));
      for (let c = 0; c < 3; c++) image.data[at + c] = low[c] + (high[c] - low[c]) * share;
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/** The list of a model's layers. */
export class Layers {
  #rows;
  #model;
  #measuring = 0;
  #shown;

  constructor(list, model) {
    this.#model = model;
    const layers = model.activations(blank(model));
    this.#rows = layers.map(({ name, operator, output: { spec } }) => {
      const canvas = el("canvas", { role: "img", "aria-label": `What layer ${name || operator} computes` });
      const cost = el("span", {}, "–");
      const bar = track();
      const row = el(
        "li",
        {},
        canvas,
        el("div", { class: "name" }, el("span", { title: name }, operator), cost),
        el("div", { class: "hint" }, spec.shape.slice(1).join(" × "), ` ${spec.dtype}`),
        bar,
      );
      return { row, canvas, cost, fill: bar.firstChild };
    });
    list.replaceChildren(...this.#rows.map(({ row }) => row));
    this.#paint(layers);
    onTheme(() => this.#paint(this.#shown));
  }

  #paint(layers) {
    this.#shown = layers;
    layers.forEach(({ output }, i) => draw(this.#rows[i].canvas, output));
  }

  /** Shows what the layers compute of an input. */
  show(input) {
    this.#paint(this.#model.activations(input));
  }

  /**
   * Measures each layer, as the mean of many runs: a browser's clock has steps of 0.1 ms. Gives the
   * microseconds of a run without a clock between layers, or nothing when another call has come.
   */
  async measure(input) {
    const turn = ++this.#measuring;
    const sums = this.#rows.map(() => 0);
    let runs = 0;
    let whole = 0;
    while (runs < RUNS) {
      await frame();
      if (turn !== this.#measuring) return undefined;
      for (let i = 0; i < RUNS_A_FRAME; i++) {
        this.#model.profile(input).forEach(({ microseconds }, at) => (sums[at] += microseconds));
      }
      const start = performance.now();
      for (let i = 0; i < RUNS_A_FRAME; i++) this.#model.run(input);
      whole += (performance.now() - start) * 1000;
      runs += RUNS_A_FRAME;
    }
    const most = Math.max(...sums);
    this.#rows.forEach(({ cost, fill }, i) => {
      cost.textContent = time(sums[i] / runs);
      fill.style.setProperty("--share", most ? sums[i] / most : 0);
    });
    return { microseconds: whole / runs, runs };
  }
}

const blank = (model) => new Float32Array(model.inputs[0].length);
