// One instance of the module for each model: its memory holds the file and the arena, nothing
// else, and goes when the instance does.

import { fail } from "./errors.js";

/** The numbers that `load` gives, in the order of `wasm/src/status.rs`. */
const STATUS = [
  "",
  "NOT_A_MODEL",
  "TRUNCATED",
  "NEWER_FORMAT",
  "OTHER_NUMERICS",
  "DAMAGED",
  "INVALID",
];
const MAGIC = "NIWAKI\r\n";
/** Where the header has the size of the arena. */
const ARENA_AT = 48;
/** An engine that is done with is kept for the next model, unless it holds more than this. */
const IDLE_BYTES = 1 << 22;

/** The element types by their numbers in a file: name, array, bytes. */
const DTYPES = [
  ,
  ["int8", Int8Array],
  ["uint8", Uint8Array],
  ["int16", Int16Array],
  ["int32", Int32Array],
  ["float32", Float32Array],
  ["uint16", Uint16Array],
  ["int64", BigInt64Array],
  ["bool", Uint8Array],
];

const decoder = new TextDecoder();
/** By module: an engine that no model uses. */
const idle = new WeakMap();

/** An instance, and the address of the engine in it. */
export class Engine {
  /** An engine that holds the model of `bytes`, checked. */
  static load(module, bytes) {
    let arena = 0;
    if (bytes.length >= 52 && decoder.decode(bytes.subarray(0, 8)) === MAGIC) {
      arena = new DataView(bytes.buffer, bytes.byteOffset).getUint32(ARENA_AT, true);
    }
    const engine = idle.get(module) ?? new Engine(module);
    idle.delete(module);
    engine.fill(bytes, arena);
    return engine;
  }

  constructor(module) {
    this.module = module;
    this.wasm = new WebAssembly.Instance(module).exports;
    this.at = 0;
  }

  fill(bytes, arena) {
    const { wasm } = this;
    const { length } = bytes;
    const fits = this.at ? wasm.prepare(this.at, length, arena) : (this.at = wasm.create(length, arena));
    if (!fits) {
      fail("OUT_OF_MEMORY", `there is no room for ${length} bytes of model and ${arena} of arena`);
    }
    new Uint8Array(wasm.memory.buffer, wasm.file(this.at), length).set(bytes);
    const status = wasm.load(this.at);
    if (status) {
      const message = this.text(wasm.message(this.at), wasm.message_bytes(this.at));
      this.release();
      fail(STATUS[status], message);
    }
    // From here on it does not grow, and views of it stay good.
    this.memory = wasm.memory.buffer;
  }

  /** Makes the memory free for another model, or for the collector. */
  release() {
    if (this.wasm.memory.buffer.byteLength <= IDLE_BYTES) idle.set(this.module, this);
  }

  text(address, length) {
    return decoder.decode(new Uint8Array(this.wasm.memory.buffer, address, length));
  }

  fact(which) {
    return this.wasm.fact(this.at, which);
  }

  /** Input or output `index`, inputs first: what it is, and the view of its elements. */
  port(index) {
    return this.#tensor(this.wasm.port(this.at, index));
  }

  /** What the last piece of a run has written: a port, and the ONNX axis of each dimension in memory. */
  activation() {
    return this.#tensor(this.wasm.activation(this.at));
  }

  #tensor(at) {
    const words = new Uint32Array(this.memory, at, 24).slice();
    const [dtype, TypedArray] = DTYPES[words[2]];
    const texts = [12, 14, 16].map((at) => this.text(words[at], words[at + 1]));
    const labels = texts[1] ? texts[1].split("\n") : [];
    const shape = [...words.subarray(4, 4 + words[3])];
    // An int64 lies at a multiple of 4, which a view of such elements cannot.
    const View = dtype === "int64" ? Uint8Array : TypedArray;
    const view = new View(this.memory, words[0], words[1] / View.BYTES_PER_ELEMENT);
    return {
      spec: Object.freeze({
        name: texts[0],
        dtype,
        shape: Object.freeze(shape),
        length: shape.reduce((product, dim) => product * dim, 1),
        scale: new Float32Array(words.buffer, 40, 1)[0],
        zeroPoint: words[11] | 0,
        labels: Object.freeze(labels),
        preprocess: texts[2] ? JSON.parse(texts[2]) : null,
      }),
      TypedArray,
      view,
      /** The elements where the model has left them; a copy where they lie too unevenly. */
      get raw() {
        return View === TypedArray ? view : new TypedArray(view.slice().buffer);
      },
      axes: [...words.subarray(18, 18 + words[3])],
    };
  }

  /** Operator `index`: its place, what it is, and the name of what it computes. */
  layer(index) {
    const at = this.wasm.layer(this.at, index);
    const words = new Uint32Array(this.memory, at, 4).slice();
    return {
      index,
      operator: this.text(words[0], words[1]),
      name: this.text(words[2], words[3]),
    };
  }

  /** A run piece by piece: the index of each operator that has run. */
  *steps() {
    this.wasm.begin(this.at);
    for (let index; (index = this.outcome(this.wasm.step(this.at))) >= 0; ) yield index;
  }

  /** What a call has given: an operator's index, or -1; throws where an operator was at fault. */
  outcome(result) {
    if (result < -1) {
      fail("INTERNAL", `operator ${-2 - result} met what the checks at load exclude`);
    }
    return result;
  }
}
