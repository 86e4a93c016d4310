// What a package for one model is over: `niwaki compile --target web` puts the rest beside it.

import { BACKENDS, runs } from "./backends.js";
import { NiwakiError, fail } from "./errors.js";
import { Model } from "./model.js";

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

const modules = {};

/** The one model of a package: `urls` are those of its binaries and of the artifact. */
export async function open({ simd128, scalar, model }, { signal } = {}) {
  const backend = runs(BACKENDS.simd128) ? "simd128" : "scalar";
  const url = backend === "simd128" ? simd128 : scalar;
  modules[url] ??= bytes(url).then((wasm) => WebAssembly.compile(wasm));
  modules[url].catch(() => delete modules[url]);
  const [module, file] = await Promise.all([modules[url], bytes(model, signal)]);
  return new Model(module, file, backend);
}
