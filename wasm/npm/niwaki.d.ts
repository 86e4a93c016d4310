/**
 * Runs `.niwaki` files, which `niwaki compile MODEL.onnx -o MODEL.niwaki` makes, with the same
 * output bits as on every other machine.
 *
 * @packageDocumentation
 */

/**
 * Where a model's bytes come from. A stream or a response is read once; bytes are copied, and stay
 * the caller's. In Node, `file:` addresses work too.
 */
export type Source =
  | string
  | URL
  | Request
  | Response
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | ReadableStream<Uint8Array>;

/**
 * The binaries of the package. All give the same bits. Relaxed SIMD is the fastest where the
 * machine has an instruction for the dot product of bytes, and by default used there alone;
 * `niwaki/inline` and workers at the edge go without.
 */
export type Backend = "relaxed" | "simd128" | "scalar";

export interface LoadOptions {
  /** Gives the load up: it fails with `ABORTED`, and nothing of it is left. */
  signal?: AbortSignal;
  /** Called for each piece that has come in. */
  onProgress?: (progress: Progress) => void;
  /** By default the best that the engine can run. */
  backend?: Backend | "auto";
  /** The hash that the file must have: `sha256-`, `sha384-` or `sha512-`, and base64. */
  integrity?: string;
}

/** How far a load has come. */
export interface Progress {
  /** Bytes that are here. */
  loaded: number;
  /** Bytes that there will be; `null` where nobody has said. */
  total: number | null;
}

/** Element types, as in NumPy. */
export type DType =
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "int64"
  | "float32"
  | "bool";

/** Elements of a tensor: the array type of its {@link DType}; `bool` is a byte each, 0 or 1. */
export type Elements =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Float32Array;

/** What an input or output is. */
export interface Spec {
  /** Its name in the ONNX model; empty when the model was compiled with `--strip`. */
  readonly name: string;
  readonly dtype: DType;
  /** Dimensions in ONNX's order, such as `[1, 3, 224, 224]` for one image, channels first. */
  readonly shape: readonly number[];
  /** Number of elements: the product of the dimensions. */
  readonly length: number;
  /** Real value of one step of a quantised element; 0 when the elements are real values. */
  readonly scale: number;
  /** The quantised element that means 0. */
  readonly zeroPoint: number;
  /** Labels of the last axis; empty when there are none. */
  readonly labels: readonly string[];
  /**
   * How elements are made of raw data, as `niwaki compile --preprocess` was told; `null` when
   * the model does not say. With it, a run takes the raw data, see {@link Raw}.
   */
  readonly preprocess: Preprocess | null;
}

/** How elements are made of raw data. Each is rounded to the input's scale, half to even. */
export type Preprocess =
  | {
      /** An element is `(pixel * rescale - mean) / std`, of pixels from 0 to 255. */
      readonly image: {
        readonly color: "rgb" | "bgr" | "gray";
        /** The order of dimensions. */
        readonly layout: "nchw" | "nhwc";
        readonly rescale: number;
        /** For each value of a pixel; without it 0. */
        readonly mean?: readonly number[];
        /** For each value of a pixel; without it 1. */
        readonly std?: readonly number[];
      };
    }
  | {
      /** An element is a sample from -1 to 1, the mean of all channels. */
      readonly audio: { readonly sample_rate: number };
    };

/** Pixels as `ImageData` has them: red, green, blue and alpha, from 0 to 255, row by row. */
export interface Pixels {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

/**
 * A picture or sound, for inputs with {@link Spec.preprocess}. Pixels of the input's very size are
 * taken as they are, with the same result everywhere; where there is an `OffscreenCanvas`, all
 * others are stretched to it, as each browser does that. Alpha is not looked at.
 */
export type Raw =
  | Pixels
  | Global<"HTMLCanvasElement">
  | Global<"OffscreenCanvas">
  | Global<"HTMLImageElement">
  | Global<"HTMLVideoElement">
  | Global<"ImageBitmap">
  | Global<"VideoFrame">
  | Global<"AudioBuffer">;

/** A class of the platform, for programs that are compiled with its types: Node has no canvas. */
type Global<Name extends string> = typeof globalThis extends { [name in Name]: { prototype: infer Instance } }
  ? Instance
  : never;

/** Elements or raw data of the one input, or of each by its name. They are copied. */
export type Input = Elements | Raw | Readonly<Record<string, Elements | Raw>>;

/** One of the largest values of an output. */
export interface Candidate {
  /** Which element. */
  index: number;
  /** Its label; its index where the model has no labels. */
  label: string;
  /** Its real value. */
  score: number;
}

/** The elements of an output. */
export interface Output {
  readonly spec: Spec;
  /**
   * The elements as the model gives them: a view of the model's memory, which the next run writes
   * over. `raw.slice()` keeps them.
   */
  readonly raw: Elements;
  /** Their real values: `(raw - zeroPoint) * scale`. One array, written anew each time. */
  readonly scores: Float32Array;
  /** The `n` largest real values, the largest first. By default one. */
  top(n?: number): Candidate[];
}

/** What a run gives: the first output, and all of them. */
export interface Outputs {
  /** Every output, in the model's order. */
  readonly all: readonly Output[];
  /** The output of that name. Throws `OUTPUT_NAME`. */
  get(name: string): Output;
  /** {@link Output.raw} of the first output. */
  readonly raw: Elements;
  /** {@link Output.scores} of the first output. */
  readonly scores: Float32Array;
  /** {@link Output.top} of the first output. */
  top(n?: number): Candidate[];
}

/** An operator of the model. */
export interface Layer {
  /** Its place in execution order, from 0. */
  index: number;
  /** What it computes, such as `ConvI8`. */
  operator: string;
  /** The name of its output in the ONNX model; empty when there is none. */
  name: string;
}

/** A layer, and the time that it has taken. */
export interface LayerTime extends Layer {
  /** Microseconds of this one run, as exact as the platform's clock. */
  microseconds: number;
}

/** A layer, and what it has computed. */
export interface Activation extends Layer {
  /** Its elements in ONNX's order, the caller's own, with scale and zero point in `spec`. */
  output: Output;
}

export interface SelfTest {
  /**
   * Whether every layer gives the bits that the compiler stored, for the model's golden input;
   * `null` when the model was compiled without one.
   */
  sameBits: boolean | null;
  /** The first layer that gives others; `null` when none does. */
  firstDifferingLayer: Layer | null;
}

interface Facts {
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  /** The binary that runs it. */
  readonly backend: Backend;
  /** Number of layers. */
  readonly layerCount: number;
  /** Bytes of activation memory. */
  readonly arenaBytes: number;
  /** Bytes of WebAssembly memory: the file, the arena, and at most three pages of 64 KB more. */
  readonly memoryBytes: number;
}

/** A model that has passed every check, in this thread. */
export interface Model extends Facts {
  /** Computes the outputs. Allocates nothing in WebAssembly; gives the same object each time. */
  run(input: Input): Outputs;
  /**
   * The same in slices of some milliseconds, so that a page stays alive and a signal is heard
   * between two layers. Until it is over, the model is `BUSY`.
   */
  runAsync(input: Input, options?: { signal?: AbortSignal }): Promise<Outputs>;
  /** Runs the golden vector of the file in this very engine. */
  selfTest(): SelfTest;
  /** Runs once, with a clock around each layer. */
  profile(input: Input): LayerTime[];
  /** Runs once; what each layer has computed. It takes as much memory as all of them. */
  activations(input: Input): Activation[];
  /** Runs once; the 64-bit FNV-1a digest of each layer's output, as on every other machine. */
  digests(input: Input): BigUint64Array;
  /** Gives the memory back. Any other call fails with `DISPOSED` from then on. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** A model in a worker of its own. Calls queue up; each gives a promise. */
export interface WorkerModel extends Facts {
  /**
   * Computes the outputs, which are the caller's own.
   *
   * `signal` takes the call out of the queue, or ends it between two layers. With `transfer` the
   * buffers of the input are handed over instead of copied, and are empty afterwards.
   */
  run(input: Input, options?: { signal?: AbortSignal; transfer?: boolean }): Promise<Outputs>;
  selfTest(): Promise<SelfTest>;
  profile(input: Input): Promise<LayerTime[]>;
  digests(input: Input): Promise<BigUint64Array>;
  /** Ends the worker. Calls that wait fail with `DISPOSED`. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Loads a model. Fails with a {@link NiwakiError}. */
export function load(source: Source, options?: LoadOptions): Promise<Model>;

/** Loads a model into a worker of its own. Fails with a {@link NiwakiError}. */
export function loadInWorker(source: Source, options?: LoadOptions): Promise<WorkerModel>;

/** What can go wrong. */
export type ErrorCode =
  /** The bytes are no `.niwaki` file; often a page that a server gives for any address. */
  | "NOT_A_MODEL"
  /** The file is shorter than its header says. */
  | "TRUNCATED"
  /** The file is of a newer format than the package reads. */
  | "NEWER_FORMAT"
  /** The file was made for another version of the numeric contract. */
  | "OTHER_NUMERICS"
  /** The file was changed on its way. */
  | "DAMAGED"
  /** The file breaks a rule of the format, or needs an operator that this binary has not. */
  | "INVALID"
  /** There is no memory for the file and its arena. */
  | "OUT_OF_MEMORY"
  /** The bytes did not come, or broke off. */
  | "NETWORK"
  /** The server answers with an error. */
  | "HTTP"
  /** The source is none, or has been read already. */
  | "NOT_A_SOURCE"
  /** The file has another hash than `integrity`. */
  | "INTEGRITY"
  /** The engine, or the page's Content-Security-Policy, does not have what is asked for. */
  | "UNSUPPORTED"
  /** The signal was aborted; `cause` is its reason. */
  | "ABORTED"
  /** An input is missing, or the model has none of that name. */
  | "INPUT_NAME"
  /** An input is of another type than the model takes. */
  | "INPUT_TYPE"
  /** An input has another number of elements than the model takes. */
  | "INPUT_LENGTH"
  /** The model has no output of that name. */
  | "OUTPUT_NAME"
  /** The model has been disposed of. */
  | "DISPOSED"
  /** The model is at work on another run. */
  | "BUSY"
  /** The worker could not be started, or has died. */
  | "WORKER"
  /** A defect of niwaki. */
  | "INTERNAL";

/** What went wrong: a code for programs, a sentence in `message`, and what would help. */
export class NiwakiError extends Error {
  readonly name: "NiwakiError";
  readonly code: ErrorCode;
  /** What a person can do about it. */
  readonly remedy: string;
}
