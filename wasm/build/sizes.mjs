// The sizes of a package's files as a browser downloads them, as JSON:
//
//     node sizes.mjs FOLDER

import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";

import { brotli } from "./brotli.mjs";

const KB = 1000;

/** What a page downloads, and how much that may be: of the whole package, and of one model's. */
const LIMITS = {
  niwaki: { wasm: ["simd128.wasm", 80 * KB], js: [["browser.js", "worker.js"], 8 * KB] },
  digits: { wasm: ["simd128.wasm", 25 * KB], js: [["index.js"], 4 * KB] },
  kws01: { wasm: ["simd128.wasm", 30 * KB], js: [["index.js"], 4 * KB] },
};

const folder = argv[2];
const { name } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
const limits = LIMITS[name];
const sizes = [];
for (const file of (await readdir(folder)).filter((file) => /\.(wasm|js|niwaki)$/.test(file))) {
  const bytes = await readFile(join(folder, file));
  const limit = limits && file === limits.wasm[0] ? limits.wasm[1] : null;
  sizes.push({ name: `${name}/${file}`, bytes: bytes.length, brotli: brotli(bytes), limit });
}
if (limits) {
  const [files, limit] = limits.js;
  const parts = sizes.filter((size) => files.some((file) => size.name === `${name}/${file}`));
  const sum = (what) => parts.reduce((total, part) => total + part[what], 0);
  sizes.push({
    name: `${name}: JavaScript of a page`,
    bytes: sum("bytes"),
    brotli: sum("brotli"),
    limit,
  });
}
console.log(JSON.stringify(sizes));
