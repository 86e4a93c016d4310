// How long a page waits for the first result: niwaki beside onnxruntime-web, in one Chromium.
//
//     cargo xtask npm --test
//     node wasm/bench/ready.mjs [--rounds 15] [--json FILE]
//
// MLPerf Tiny's keyword spotter, from NIWAKI_MODELS, comes from a server on this machine. For each
// measurement there is a new page in a new profile, where nothing has been fetched or compiled yet;
// the page itself is there, and idle.
// All take turns, and the order is turned round for the next. Beside the engines there is a package for
// this model alone, and a page that does nothing but the same kinds of requests: a module of JavaScript and one
// of WebAssembly, both empty, and the model's bytes. No engine can be ready before that. The clock runs
//
//     all      from the import of the engine's JavaScript to the first result
//     load     from the call that loads the model, with the JavaScript there
//
// Medians say what a page waits on a machine that does other things too; the least, what it takes.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { argv, env } from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const peers = join(root, "tests/peers");
const onnx = join(env.NIWAKI_MODELS ?? join(root, "../shared"), "models/kws01_int8_qdq.onnx");
const { values: options } = parseArgs({
  args: argv.slice(2),
  options: { rounds: { type: "string", default: "15" }, json: { type: "string" } },
});

/** What each engine does in the page; it is sent there as text, so it knows nothing of this file. */
const ENGINES = {
  niwaki: async ({ values }) => {
    const start = performance.now();
    const { load } = await import("/niwaki/browser.js");
    const imported = performance.now();
    const model = await load("/model/kws01.niwaki");
    const loaded = performance.now();
    const { raw } = model.run(Int8Array.from(values));
    const end = performance.now();
    return { all: end - start, load: end - imported, run: end - loaded, output: [...raw] };
  },
  "package for one model": async ({ values }) => {
    const start = performance.now();
    const { load } = await import("/package/index.js");
    const imported = performance.now();
    const model = await load();
    const loaded = performance.now();
    const { raw } = model.run(Int8Array.from(values));
    const end = performance.now();
    return { all: end - start, load: end - imported, run: end - loaded, output: [...raw] };
  },
  "requests alone": async () => {
    const start = performance.now();
    await import("/nothing/empty.js");
    const imported = performance.now();
    await Promise.all([
      fetch("/nothing/empty.wasm").then((response) => WebAssembly.compileStreaming(response)),
      fetch("/model/kws01.niwaki").then((response) => response.arrayBuffer()),
    ]);
    const end = performance.now();
    return { all: end - start, load: end - imported, run: 0, output: null };
  },
  "onnxruntime-web": async ({ values, shape }) => {
    const start = performance.now();
    const ort = await import("/ort/ort.wasm.bundle.min.mjs");
    const imported = performance.now();
    ort.env.wasm.wasmPaths = "/ort/";
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create("/model/kws01.onnx", { executionProviders: ["wasm"] });
    const loaded = performance.now();
    const feeds = { [session.inputNames[0]]: new ort.Tensor("int8", Int8Array.from(values), shape) };
    const output = (await session.run(feeds))[session.outputNames[0]].data;
    const end = performance.now();
    return { all: end - start, load: end - imported, run: end - loaded, output: [...output] };
  },
};

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/** Serves files by the first part of their path, from memory once they have been asked for. */
async function serve(folders) {
  const files = new Map();
  const server = createServer(async (request, response) => {
    const [, first, name] = request.url.split("/");
    try {
      if (!files.has(request.url)) files.set(request.url, await readFile(join(folders[first], name)));
      const bytes = files.get(request.url);
      const type = TYPES[extname(name)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-length": bytes.length, "cache-control": "no-store" });
      response.end(bytes);
    } catch {
      response.writeHead(request.url === "/" ? 200 : 404, { "content-type": "text/html" });
      response.end('<!doctype html><link rel="icon" href="data:,">');
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

function summary(samples) {
  const ofAll = (what) => samples.map((sample) => sample[what]);
  return Object.fromEntries(
    ["all", "load", "run"].map((what) => [what, { median: median(ofAll(what)), least: Math.min(...ofAll(what)) }]),
  );
}

if (!existsSync(join(peers, "node_modules/onnxruntime-web"))) {
  execFileSync("npm", ["ci", "--ignore-scripts"], { cwd: peers, stdio: "inherit" });
}
const models = await mkdtemp(join(tmpdir(), "niwaki-ready-"));
await writeFile(join(models, "kws01.onnx"), await readFile(onnx));
const compile = (...options) => execFileSync(join(root, "target/release/niwaki"), ["compile", onnx, ...options]);
compile("-o", join(models, "kws01.niwaki"));
compile("-o", join(models, "package"), "--target", "web");
await writeFile(join(models, "empty.js"), "");
await writeFile(join(models, "empty.wasm"), Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
const server = await serve({
  niwaki: join(root, "wasm/pkg"),
  ort: join(peers, "node_modules/onnxruntime-web/dist"),
  model: models,
  package: join(models, "package"),
  nothing: models,
});
const browser = await chromium.launch({
  executablePath: env.NIWAKI_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const samples = Object.fromEntries(Object.keys(ENGINES).map((name) => [name, []]));
const base = `http://127.0.0.1:${server.address().port}/`;
const input = { shape: [1, 49, 10, 1], values: Array.from({ length: 490 }, (_, i) => ((i * 37) % 251) - 125) };
try {
  // One more than asked for: the server reads its files in the first.
  for (let round = 0; round <= Number(options.rounds); round++) {
    const names = Object.keys(ENGINES);
    if (round % 2) names.reverse();
    const outputs = [];
    for (const name of names) {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(base);
      // What the browser does for a new page goes on behind its load.
      await page.waitForTimeout(300);
      const sample = await page.evaluate(ENGINES[name], input);
      if (sample.output) outputs.push(sample.output.indexOf(Math.max(...sample.output)));
      if (round > 0) samples[name].push(sample);
      await context.close();
    }
    if (new Set(outputs).size !== 1) throw new Error(`the engines differ: class ${outputs.join(" and ")}`);
  }
} finally {
  await browser.close();
  server.close();
  await rm(models, { recursive: true });
}

const result = { chromium: browser.version(), rounds: Number(options.rounds), milliseconds: {} };
for (const name of Object.keys(samples)) result.milliseconds[name] = summary(samples[name]);
const ratios = samples.niwaki.map(({ all }, i) => samples["onnxruntime-web"][i].all / all);
result.ratio = { median: median(ratios), least: Math.min(...ratios) };
console.table(
  Object.fromEntries(
    Object.entries(result.milliseconds).map(([name, times]) => [
      name,
      Object.fromEntries(
        Object.entries(times).flatMap(([what, { median, least }]) => [
          [`${what}, median ms`, +median.toFixed(1)],
          [`${what}, least ms`, +least.toFixed(1)],
        ]),
      ),
    ]),
  ),
);
console.log(`onnxruntime-web takes ${result.ratio.median.toFixed(1)} times as long (median of pairs; at least ${result.ratio.least.toFixed(1)} times)`);
console.log(JSON.stringify(result));
if (options.json) await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
