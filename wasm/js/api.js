// What the package exports, over a platform: where the binaries come from, how a worker starts.

import { BACKENDS, best, runs } from "./backends.js";
import { NiwakiError, check, fail } from "./errors.js";
import { open } from "./open.js";
import { read, verify } from "./source.js";
import { WorkerModel } from "./worker-model.js";

export { NiwakiError };

function choose(all, wanted = "auto") {
  if (typeof WebAssembly !== "object") fail("UNSUPPORTED", "this engine has no WebAssembly");
  return (
    (wanted === "auto" ? best(all) : all.find((name) => name === wanted && runs(name))) ??
    fail("UNSUPPORTED", `there is no backend \`${wanted}\` here: ${all.filter(runs).join(", ")}`)
  );
}

/** `load` and `loadInWorker` on a platform. */
export function on(platform) {
  const modules = {};

  /** The compiled binary, which is fetched once. */
  function moduleOf(backend) {
    modules[backend] ??= platform.module(backend).catch((error) => {
      // The next load may have more luck.
      delete modules[backend];
      if (error instanceof NiwakiError) throw error;
      const refused = error instanceof WebAssembly.CompileError;
      fail(
        refused ? "UNSUPPORTED" : "NETWORK",
        refused
          ? "WebAssembly is refused; a Content-Security-Policy needs 'wasm-unsafe-eval'"
          : `the WebAssembly of backend ${backend} cannot be read`,
        error,
      );
    });
    return modules[backend];
  }

  /** What a load needs, fetched side by side. */
  async function prepare(source, options) {
    const backend = choose(platform.backends ?? Object.keys(BACKENDS), options.backend);
    const [module, bytes] = await Promise.all([
      moduleOf(backend),
      read(source, options, platform).then(async (bytes) => {
        if (options.integrity !== undefined) await verify(bytes, options.integrity);
        return bytes;
      }),
    ]);
    check(options.signal, "the load");
    return { backend, module, bytes };
  }

  return {
    async load(source, options = {}) {
      const { backend, module, bytes } = await prepare(source, options);
      return open(module, bytes, backend);
    },

    async loadInWorker(source, options = {}) {
      if (!platform.worker) fail("UNSUPPORTED", "this platform has no workers");
      const prepared = await prepare(source, options);
      return WorkerModel.start(platform.worker, prepared, options.signal);
    },
  };
}
