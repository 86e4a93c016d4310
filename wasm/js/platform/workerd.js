// Workers at the edge: no fetch of own files, no compilation; the bundler brings modules.

import scalar from "./scalar.wasm";
import simd128 from "./simd128.wasm";

const MODULES = { simd128, scalar };

export const platform = {
  // Each is a part of what is uploaded.
  backends: ["simd128", "scalar"],

  fetch: (source, options) => fetch(source, options),
  module: async (backend) => MODULES[backend],
};
