// Workers at the edge: no fetch of own files, no compilation; the bundler brings modules.

import relaxed from "./relaxed.wasm";
import scalar from "./scalar.wasm";
import simd128 from "./simd128.wasm";

const MODULES = { relaxed, simd128, scalar };

export const platform = {
  fetch: (source, options) => fetch(source, options),
  module: async (backend) => MODULES[backend],
};
