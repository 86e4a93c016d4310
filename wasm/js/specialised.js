// What a package for one model is over: `niwaki compile --target web` puts the rest beside it.

import { BACKENDS, best } from "./backends.js";
import { NiwakiError, fail } from "./errors.js";
import { open } from "./open.js";

export { NiwakiError };

async function bytes(url, signal) {
  try {
    // Node's fetch reads no files.
    if (url.protocol === "file:" && globalThis.process?.versions?.node) {
      const { readFile } = process.getBuiltinModule("node:fs/promises");
      return await readFile(url, { signal });
    }
    const response = await fetch(url, { signal });
    if (!response.ok) fail("HTTP", `${url} answers with status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    if (error instanceof NiwakiError) throw error;
    const [code, what] = signal?.aborted ? ["ABORTED", "the load was aborted"] : ["NETWORK", `${url} cannot be read`];
    return fail(code, what, error);
  }
}

// In this form bundlers find the files. The last one gets the model's name.
const URLS = {
  relaxed: () => new URL("./relaxed.wasm", import.meta.url),
  simd128: () => new URL("./simd128.wasm", import.meta.url),
  scalar: () => new URL("./scalar.wasm", import.meta.url),
  model: () => new URL("./MODEL.niwaki", import.meta.url),
};

let compiled;

/** The one model of the package. */
export async function load({ signal } = {}) {
  const backend = best(Object.keys(BACKENDS));
  compiled ??= bytes(URLS[backend]()).then((wasm) => WebAssembly.compile(wasm));
  // The next load may have more luck.
  compiled.catch(() => (compiled = undefined));
  const [module, file] = await Promise.all([compiled, bytes(URLS.model(), signal)]);
  return open(module, file, backend);
}
