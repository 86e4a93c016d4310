// Makes the npm package of the modules that cargo has compiled:
//
//     node package.mjs OUT relaxed=MODULE.wasm simd128=MODULE.wasm scalar=MODULE.wasm
//
// `cargo xtask npm` calls it. OUT is emptied first.

import { execFileSync } from "node:child_process";
import { copyFile, mkdir, readFile, readdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { argv, execPath } from "node:process";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const WASM_OPT = join(createRequire(import.meta.url).resolve("binaryen/package.json"), "../bin/wasm-opt");

// What rustc's target has by default since 1.82, and all engines since 2021.
const FEATURES = [
  "--enable-bulk-memory",
  "--enable-bulk-memory-opt",
  "--enable-multivalue",
  "--enable-mutable-globals",
  "--enable-nontrapping-float-to-int",
  "--enable-reference-types",
  "--enable-sign-ext",
];

// LLVM has optimised already, and a download is compressed: what shortens the compressed module is
// to say equal things once. `-Os` takes 15 % more off the bytes on disk, and makes the download 2 %
// larger: it gives every function's locals numbers of its own.
const PASSES = [
  "--strip-debug",
  "--strip-producers",
  "--strip-target-features",
  "--rse",
  "--vacuum",
  "--simplify-locals-nostructure",
  "--merge-blocks",
  "--remove-unused-brs",
  "--remove-unused-names",
  "--duplicate-function-elimination",
  "--vacuum",
  "--merge-locals",
  "--rse",
  "--vacuum",
  "--duplicate-function-elimination",
  "--reorder-functions",
];

const [out, ...modules] = argv.slice(2);
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const binaries = {};
for (const [name, module] of modules.map((argument) => argument.split("="))) {
  const simd = { scalar: [], simd128: ["--enable-simd"], relaxed: ["--enable-simd", "--enable-relaxed-simd"] }[name];
  const optimised = join(out, `${name}.wasm`);
  execFileSync(execPath, [WASM_OPT, ...FEATURES, ...simd, ...PASSES, module, "-o", optimised], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (name !== "relaxed") binaries[name] = (await readFile(optimised)).toString("base64");
}

/** The binaries as JavaScript, for the entry that has them inside. */
const inline = {
  name: "binaries",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^niwaki:binaries$/ }, ({ path }) => ({ path, namespace: "binaries" }));
    onLoad({ filter: /.*/, namespace: "binaries" }, () => ({
      contents: `export const BINARIES = ${JSON.stringify(binaries)};`,
    }));
  },
};

/** What workers go without: remedies and scores are where their codes and elements arrive. */
const IN_A_WORKER = {
  "remedy.js": "export const REMEDY = {};",
  "activations.js": "export const activations = undefined;",
  "output.js": `
    export class Output { constructor(port) { return port; } }
    export class Outputs { constructor(all) { this.all = all; } }`,
};
const lean = {
  name: "lean",
  setup({ onLoad }) {
    onLoad({ filter: /(remedy|activations|output)\.js$/ }, ({ path }) => ({ contents: IN_A_WORKER[basename(path)] }));
  },
};

// Each is one file: a page would have to wait for a common part once more, which costs it a tenth
// of the time to the first result, and what a worker has twice is 3 KB.
const entries = ["browser", "node", "workerd", "inline", "specialised", "worker", "worker-node", "raw"];
for (const entry of entries) {
  await build({
    absWorkingDir: join(HERE, "../js"),
    entryPoints: [`./${entry}.js`],
    outdir: out,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    // Few models take raw data; the file for them comes when one does. The inlined entry is one file.
    external: ["node:*", "*.wasm", ...(/^(inline|raw)$/.test(entry) ? [] : ["./raw.js"])],
    legalComments: "none",
    plugins: /^worker(-|$)/.test(entry) ? [inline, lean] : [inline],
    logLevel: "warning",
  });
}
for (const name of await readdir(join(HERE, "../npm"))) {
  await copyFile(join(HERE, "../npm", name), join(out, name));
}
for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) {
  await copyFile(join(HERE, "../..", name), join(out, name));
}
