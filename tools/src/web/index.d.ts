/**
 * The model `@NAME@`. Outputs:
 *
@OUTPUTS@ *
 * @packageDocumentation
 */

/** Elements of each input; a run copies them. */
export interface Inputs {
@INPUTS@}

/** A label of the first output; an element's index where it has none. */
export type Label = @LABEL@;

/** One of the largest values of an output. */
export interface Candidate<L extends string = string> {
  /** Which element. */
  index: number;
  label: L;
  /** Its real value. */
  score: number;
}

/** The elements of an output. */
export interface Output<Raw, L extends string = string> {
  /** As the model gives them: a view, which the next run writes over. `raw.slice()` keeps them. */
  readonly raw: Raw;
  /** Their real values, one array that is written anew each time. */
  readonly scores: Float32Array;
  /** The `n` largest real values, the largest first. By default one. */
  top(n?: number): Candidate<L>[];
}

/** The first output, and all of them. */
export interface Outputs extends Output<@RAW@, Label> {
  /** Every output, in the model's order. */
  readonly all: readonly Output<ArrayBufferView>[];
  /** The output of that name. */
  get(name: @OUTPUT_NAMES@): Output<ArrayBufferView>;
}

/** An operator of the model. */
export interface Layer {
  /** Its place in execution order, from 0. */
  index: number;
  /** What it computes, such as `ConvI8`. */
  operator: string;
  /** The name of its output in the ONNX model. */
  name: string;
}

/** The model, which has passed every check. */
export interface Model {
  /** The binary that runs it. */
  readonly backend: "relaxed" | "simd128" | "scalar";
  /** Number of layers. */
  readonly layerCount: number;
  /** Bytes of activation memory. */
  readonly arenaBytes: number;
  /** Bytes of WebAssembly memory. */
  readonly memoryBytes: number;
  /** Computes the outputs; gives the same object each time. */
  run(input: @ALONE@Inputs): Outputs;
  /** The same in slices of some milliseconds; `signal` is heard between two layers. */
  runAsync(input: @ALONE@Inputs, options?: { signal?: AbortSignal }): Promise<Outputs>;
  /** Compares every layer's bits with those that the compiler stored; `null` when it did not. */
  selfTest(): { sameBits: boolean | null; firstDifferingLayer: Layer | null };
  /** Runs once, with a clock around each layer. */
  profile(input: @ALONE@Inputs): (Layer & { microseconds: number })[];
  /** Runs once; the FNV-1a digest of each layer's output. */
  digests(input: @ALONE@Inputs): BigUint64Array;
  /** Gives the memory back. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Fetches the runtime and the model, which lie beside this file. Fails with {@link NiwakiError}. */
export function load(options?: { signal?: AbortSignal }): Promise<Model>;

/** What went wrong: a code for programs, a sentence in `message`, and what would help. */
export class NiwakiError extends Error {
  readonly name: "NiwakiError";
  /** For instance `INPUT_LENGTH`; the package `niwaki` lists them. */
  readonly code: string;
  /** What a person can do about it. */
  readonly remedy: string;
}
