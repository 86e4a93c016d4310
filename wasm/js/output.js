// What a run gives.

import { fail } from "./errors.js";

/** An output: its elements, and what they mean. */
export class Output {
  #port;
  #scores;

  constructor(port) {
    this.#port = port;
  }

  get spec() {
    return this.#port.spec;
  }

  get raw() {
    return this.#port.raw;
  }

  /** The real values. */
  get scores() {
    const { scale, zeroPoint, length } = this.spec;
    const { raw } = this;
    this.#scores ??= new Float32Array(length);
    for (let i = 0; i < length; i++) {
      this.#scores[i] = scale ? (Number(raw[i]) - zeroPoint) * scale : Number(raw[i]);
    }
    return this.#scores;
  }

  /** The `n` largest values, the largest first, with index and label. */
  top(n = 1) {
    const { labels } = this.spec;
    const { scores } = this;
    const order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
    return order.slice(0, n).map((index) => ({
      index,
      // Labels are of the last axis.
      label: labels.length ? labels[index % labels.length] : String(index),
      score: scores[index],
    }));
  }
}

/** The outputs of a run, by index and by name; the first one's elements without asking for it. */
export class Outputs {
  constructor(outputs) {
    this.all = outputs;
    Object.freeze(this);
  }

  get(name) {
    return (
      this.all.find(({ spec }) => spec.name === name) ??
      fail("OUTPUT_NAME", `the model has no output \`${name}\``)
    );
  }

  get raw() {
    return this.all[0].raw;
  }

  get scores() {
    return this.all[0].scores;
  }

  top(n) {
    return this.all[0].top(n);
  }
}
