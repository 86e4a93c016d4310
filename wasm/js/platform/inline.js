// Everywhere, with the binaries in the JavaScript. `BINARIES` is what the build puts in.

import { BINARIES } from "niwaki:binaries";

export const platform = {
  // Two binaries are large enough for one file.
  backends: ["simd128", "scalar"],

  fetch: (source, options) => fetch(source, options),

  module: async (backend) =>
    WebAssembly.compile(Uint8Array.from(atob(BINARIES[backend]), (char) => char.charCodeAt(0))),

  worker: async () => {
    const { webWorker } = await import("./browser.js");
    return webWorker(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
  },
};
