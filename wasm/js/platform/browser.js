// Browsers, Deno, Bun: binaries by fetch, workers by URL. Bundlers know both forms.

import { fail } from "../errors.js";

const URLS = {
  relaxed: () => new URL("./relaxed.wasm", import.meta.url),
  simd128: () => new URL("./simd128.wasm", import.meta.url),
  scalar: () => new URL("./scalar.wasm", import.meta.url),
};

export const platform = {
  fetch: (source, options) => fetch(source, options),

  async module(backend) {
    const url = URLS[backend]();
    const response = await fetch(url);
    if (!response.ok) fail("HTTP", `${url} answers with status ${response.status}`);
    // While it comes in, where the server names its type; browsers keep what they compile so.
    return response.headers.get("content-type") === "application/wasm"
      ? WebAssembly.compileStreaming(response)
      : WebAssembly.compile(await response.arrayBuffer());
  },

  worker: () => webWorker(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" })),
};

/** A worker of the web as the package talks to one. */
export function webWorker(start) {
  const worker = start();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    terminate: () => worker.terminate(),
    listen(onMessage, onError) {
      worker.onmessage = ({ data }) => onMessage(data);
      worker.onerror = (event) => {
        event.preventDefault();
        onError(event.message);
      };
    },
  };
}
