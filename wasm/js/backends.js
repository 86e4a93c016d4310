// What an engine can run.

/** The binaries, the best one first, each with a module that only an engine for it accepts. */
export const BACKENDS = {
  // (func (drop (i8x16.popcnt (i32x4.splat (i32.const 0)))))
  simd128: [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 11, 1, 9, 0, 65, 0, 253, 17,
    253, 98, 26, 11,
  ],
  scalar: [0, 97, 115, 109, 1, 0, 0, 0],
};

/** Whether this engine accepts the module. */
export const runs = (probe) => WebAssembly.validate(Uint8Array.from(probe));
