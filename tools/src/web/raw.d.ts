
/** Pixels as `ImageData` has them: red, green, blue and alpha, from 0 to 255, row by row. */
export interface Pixels {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

/**
 * A picture or sound, of which the model says what to do with it. Pixels of the input's very size are
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
