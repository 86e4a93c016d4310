// What a page downloads of onnxruntime-web, as JSON, for the demo site's table:
//
//     npm pack onnxruntime-web@1.30.0 && tar xf onnxruntime-web-1.30.0.tgz
//     node peer-sizes.mjs package > ../../examples/browser/peers.json
//
// The smallest that it offers: the entry for WebAssembly alone, with the loader inside.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";

import { brotli } from "./brotli.mjs";

const FILES = { wasm: "ort-wasm-simd-threaded.wasm", js: "ort.wasm.bundle.min.mjs" };

const folder = argv[2];
const { name, version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
const files = [];
for (const [kind, file] of Object.entries(FILES)) {
  const bytes = await readFile(join(folder, "dist", file));
  files.push({ kind, file, bytes: bytes.length, brotli: brotli(bytes) });
}
console.log(JSON.stringify([{ name, version, files }], null, 2));
