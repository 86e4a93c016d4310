// Node: files beside this one, and `file:` addresses, which its fetch does not read.

import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";

// In full, so that tools which gather a server's files find them.
const URLS = {
  relaxed: () => new URL("./relaxed.wasm", import.meta.url),
  simd128: () => new URL("./simd128.wasm", import.meta.url),
  scalar: () => new URL("./scalar.wasm", import.meta.url),
};

export const platform = {
  async fetch(source, options) {
    const url = String(source.url ?? source);
    if (!url.startsWith("file:")) return fetch(source, options);
    return new Response(await readFile(new URL(url), options));
  },

  module: async (backend) => WebAssembly.compile(await readFile(URLS[backend]())),

  // Without this process's flags: `node -e` is none for a file.
  worker: () => nodeWorker(new Worker(new URL("./worker-node.js", import.meta.url), { execArgv: [] })),
};

/** A worker of Node as the package talks to one. */
export function nodeWorker(worker) {
  // A model that waits for work keeps no process alive; one that is at work does.
  let open = 0;
  worker.unref();
  return {
    post(message, transfer = []) {
      if (message.id !== undefined && open++ === 0) worker.ref();
      worker.postMessage(message, transfer);
    },
    terminate: () => void worker.terminate(),
    listen(onMessage, onError) {
      worker.on("message", (message) => {
        if (--open === 0) worker.unref();
        onMessage(message);
      });
      worker.on("error", onError);
      worker.on("exit", (code) => code && onError(`it left with code ${code}`));
    },
  };
}
