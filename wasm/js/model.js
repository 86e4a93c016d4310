// A model in the thread that calls it.

import { activations } from "./activations.js";
import { Engine } from "./engine.js";
import { check, fail } from "./errors.js";
import { Output, Outputs } from "./output.js";

/** A page shows its frames when nothing holds its thread for longer than this. */
const SLICE_MS = 8;

/** Lets everything else have its turn. A message, as timers of nested calls wait 4 ms. */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/** By model: what makes elements of raw data, where the model says how. */
export const converters = new WeakMap();

/**
 * A model that has passed every check, and the memory that it runs in.
 *
 * Nothing has to be finalised: the memory is one instance's, which the collector takes together
 * with a model that nobody holds any more. To dispose of it is to give the memory back earlier.
 */
export class Model {
  #engine;
  #inputs;
  #outputs;
  #busy = false;

  constructor(module, bytes, backend) {
    const engine = Engine.load(module, bytes);
    this.#engine = engine;
    const ports = (from, count) => Array.from({ length: count }, (_, i) => engine.port(from + i));
    // `Fact` of `wasm/src/engine.rs`, in its order; behind them, whether there is a golden vector.
    const [count, outputCount, layerCount, arenaBytes] = [0, 1, 2, 3].map((fact) => engine.fact(fact));
    this.#inputs = ports(0, count);
    const outputs = ports(count, outputCount);
    this.#outputs = new Outputs(outputs.map((port) => new Output(port)));
    this.backend = backend;
    this.inputs = Object.freeze(this.#inputs.map(({ spec }) => spec));
    this.outputs = Object.freeze(outputs.map(({ spec }) => spec));
    this.layerCount = layerCount;
    this.arenaBytes = arenaBytes;
    Object.freeze(this);
  }

  /** Bytes of WebAssembly memory that the model holds: file, arena, and a page or two around. */
  get memoryBytes() {
    return this.#idle().memory.byteLength;
  }

  /** The engine, to be used at once. */
  #idle() {
    const engine = this.#engine;
    if (!engine) fail("DISPOSED", "the model has been disposed of");
    if (this.#busy) fail("BUSY", "the model is at work on another run");
    return engine;
  }

  #write(given) {
    const input = converters.get(this)?.(given) ?? given;
    const ports = this.#inputs;
    if (ArrayBuffer.isView(input)) {
      if (ports.length !== 1) {
        const names = ports.map(({ spec }) => `\`${spec.name}\``).join(", ");
        fail("INPUT_NAME", `the model has ${ports.length} inputs: ${names}`);
      }
      checkInput(ports[0], input);
      copy(ports[0], input);
      return;
    }
    if (input === null || typeof input !== "object") {
      fail("INPUT_TYPE", "the input is neither a typed array nor an object of them");
    }
    for (const name in input) {
      if (!ports.some(({ spec }) => spec.name === name)) {
        fail("INPUT_NAME", `the model has no input \`${name}\``);
      }
    }
    // All are looked at before one is written.
    for (const port of ports) checkInput(port, input[port.spec.name]);
    for (const port of ports) copy(port, input[port.spec.name]);
  }

  run(input) {
    const engine = this.#idle();
    this.#write(input);
    engine.outcome(engine.wasm.run(engine.at));
    return this.#outputs;
  }

  async runAsync(input, { signal } = {}) {
    const engine = this.#idle();
    check(signal, "the run");
    this.#write(input);
    this.#busy = true;
    try {
      let since = performance.now();
      for (const _ of engine.steps()) {
        if (performance.now() - since >= SLICE_MS) {
          await turn();
          if (this.#engine !== engine) fail("DISPOSED", "the model has been disposed of");
          check(signal, "the run");
          since = performance.now();
        }
      }
    } finally {
      this.#busy = false;
    }
    return this.#outputs;
  }

  profile(input) {
    const engine = this.#idle();
    this.#write(input);
    const layers = Array.from({ length: this.layerCount }, (_, i) => ({
      ...engine.layer(i),
      microseconds: 0,
    }));
    let since = performance.now();
    for (const index of engine.steps()) {
      const now = performance.now();
      layers[index].microseconds += (now - since) * 1000;
      since = now;
    }
    return layers;
  }

  activations(input) {
    const engine = this.#idle();
    this.#write(input);
    return activations(engine);
  }

  digests(input) {
    const engine = this.#idle();
    this.#write(input);
    const at = engine.wasm.run_digests(engine.at);
    if (!at) fail("INTERNAL", "an operator met what the checks at load exclude");
    return new BigUint64Array(engine.memory, at, this.layerCount).slice();
  }

  selfTest() {
    const engine = this.#idle();
    if (!engine.fact(4)) return { sameBits: null, firstDifferingLayer: null };
    const index = engine.outcome(engine.wasm.self_test(engine.at));
    return {
      sameBits: index < 0,
      firstDifferingLayer: index < 0 ? null : engine.layer(index),
    };
  }

  dispose() {
    const engine = this.#engine;
    if (!engine) return;
    this.#engine = undefined;
    engine.release();
  }
}

// Where the engine has no `using` yet, it has no symbol either.
if (Symbol.dispose) Model.prototype[Symbol.dispose] = Model.prototype.dispose;

function checkInput({ spec, TypedArray }, data) {
  const { name, dtype, length } = spec;
  if (!ArrayBuffer.isView(data)) fail("INPUT_NAME", `input \`${name}\` is missing, or no typed array`);
  const same = data instanceof TypedArray || (dtype === "uint8" && data instanceof Uint8ClampedArray);
  if (!same) fail("INPUT_TYPE", `input \`${name}\` takes ${TypedArray.name} (${dtype}), not ${data.constructor.name}`);
  if (data.length !== length) {
    const shape = spec.shape.join("x");
    fail("INPUT_LENGTH", `input \`${name}\` has ${length} elements (${shape}), not ${data.length}`);
  }
}

function copy({ view, TypedArray }, data) {
  if (view instanceof TypedArray) view.set(data);
  else view.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}
