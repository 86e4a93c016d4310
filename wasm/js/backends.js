// What an engine can run.

/** The binaries, the best one first, each with what follows the head of a module that only an engine for it accepts. */
export const BACKENDS = {
  // (func (export "") (param i32) (result i32) (i32x4.extract_lane 0 (i32x4.relaxed_dot_i8x16_i7x16_add_s
  //   (i8x16.splat (i32.const 127)) (i8x16.splat (local.get 0)) (i32x4.splat (i32.const 0)))))
  relaxed: [
    1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 7, 4, 1, 0, 0, 0, 10, 23, 1, 21, 0, 65, 255, 0, 253, 15, 32, 0, 253, 15, 65, 0, 253, 17, 253, 147, 2, 253, 27, 0, 11,
  ],
  // (type (func (result v128)))
  simd128: [1, 5, 1, 96, 0, 1, 123],
  scalar: [],
};

const module = (name) => Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, ...BACKENDS[name]);

let product;

/** Four times 127 `x`, by this engine's dot product of bytes; 0 where a page may not compile. */
function dot(x) {
  try {
    product ??= new WebAssembly.Instance(new WebAssembly.Module(module("relaxed"))).exports[""];
    return product(x);
  } catch {
    return 0;
  }
}

/** Whether this engine accepts the binary's module. Some early ones have dot products that are wrong. */
export const runs = (name) => (name === "relaxed" ? dot(127) === 64516 : WebAssembly.validate(module(name)));

/**
 * The best of these binaries that this engine runs. Where the machine has no instruction for the dot
 * product but three, of which the first ends sums of two at 32767, SIMD128 is faster: what is no int7,
 * as -1, gives twice that there.
 */
export const best = (names) => names.find((name) => runs(name) && (name !== "relaxed" || dot(-1) !== 65534));
