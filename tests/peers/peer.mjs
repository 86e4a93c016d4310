// The npm package or onnxruntime-web, as a process that runs when it is told to: see src/main.rs.
//
//     node peer.mjs niwaki|onnxruntime-web FOLDER MODEL DTYPE SHAPE
//
// FOLDER is where the engine's package is.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { argv, hrtime, stdin, stdout } from "node:process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [engine, folder, path, dtype, shapeText] = argv.slice(2);
const shape = shapeText.split("x").map(Number);
const length = shape.reduce((product, size) => product * size, 1);
const values = Array.from({ length }, (_, i) => ((i * 37) % 251) - 125);
const data =
  dtype === "int8" ? Int8Array.from(values) : Float32Array.from(values, (value) => value / 128);

async function niwaki() {
  const { load } = await import(pathToFileURL(join(folder, "node.js")));
  const { version } = JSON.parse(await readFile(join(folder, "package.json")));
  const model = await load(await readFile(path));
  return { version, run: () => model.run(data).raw };
}

async function onnxruntimeWeb() {
  const { version } = JSON.parse(await readFile(join(folder, "package.json")));
  const dist = join(folder, "dist");
  const ort = await import(pathToFileURL(join(dist, "ort.wasm.min.mjs")));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = pathToFileURL(dist).href + "/";
  // It would fetch it, which Node does not do for files.
  ort.env.wasm.wasmBinary = await readFile(join(dist, "ort-wasm-simd-threaded.wasm"));
  const session = await ort.InferenceSession.create(await readFile(path), {
    executionProviders: ["wasm"],
  });
  const feeds = { [session.inputNames[0]]: new ort.Tensor(dtype, data, shape) };
  return { version, run: () => session.run(feeds) };
}

const { version, run } = await (engine === "niwaki" ? niwaki() : onnxruntimeWeb());
// niwaki's run is over when it returns; to wait for it as for a promise would be counted.
const waits = engine !== "niwaki";
await run();
stdout.write(`ready ${version}\n`);
for await (const line of createInterface({ input: stdin })) {
  let least;
  for (let count = Number(line); count > 0; count--) {
    const start = hrtime.bigint();
    if (waits) {
      await run();
    } else {
      run();
    }
    const took = hrtime.bigint() - start;
    least = least === undefined || took < least ? took : least;
  }
  stdout.write(`${least}\n`);
}
