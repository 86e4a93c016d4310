// Makes the demo site of its sources, the npm package and what the models gave on each machine:
//
//     node site.mjs OUT NAME=TITLE:FOLDER …
//
// `cargo xtask site` calls it. OUT holds NAME.niwaki and NAME.json, the report of `niwaki validate`,
// for each model; FOLDER is the model's, with test.npz. The site is written to OUT/site.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { argv, execPath } from "node:process";
import { fileURLToPath } from "node:url";

import { unzipSync } from "fflate";

const root = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
/** What a page needs of the package. */
const PACKAGE = ["browser.js", "worker.js", "raw.js", "relaxed.wasm", "simd128.wasm", "scalar.wasm", "package.json", "LICENSE-MIT", "LICENSE-APACHE"];
/** What no page asks for. */
const NOT_SHOWN = ["README.md", "peers.json"];
const NOT_CACHED = ["sw.js", "files.js", "niwaki/package.json", "niwaki/LICENSE-MIT", "niwaki/LICENSE-APACHE"];
const DIGITS = 20;
const RECORDINGS = 3;
/** The activities in the order of the page, and a recording in windows. */
const ACTIVITIES = ["walking", "running", "badminton", "standing"];
const WINDOWS = 2;

/** Arrays of an .npz file by name: bytes, type as in NumPy, and shape. */
async function arrays(path) {
  const found = {};
  for (const [name, file] of Object.entries(unzipSync(await readFile(path)))) {
    const view = new DataView(file.buffer, file.byteOffset);
    // Version 1 of the format: a Python dictionary of that many bytes behind ten.
    const end = 10 + view.getUint16(8, true);
    const header = Buffer.from(file.subarray(10, end)).toString("latin1");
    const [, type] = /'descr': '([^']+)'/.exec(header);
    const shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(",").filter((dim) => dim.trim()).map(Number);
    if (header.includes("'fortran_order': True")) throw new Error(`${path}: ${name} is in Fortran's order`);
    found[name.replace(/\.npy$/, "")] = { type, shape, bytes: file.slice(end) };
  }
  return found;
}

const floats = ({ type, bytes }) => {
  if (type !== "<f4") throw new Error(`an array of ${type}, not of float32`);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
};
const json = async (path) => JSON.parse(await readFile(path, "utf8"));

const [out, ...wanted] = argv.slice(2);
const site = join(out, "site");
const data = join(site, "data");
await rm(site, { recursive: true, force: true });
await mkdir(data, { recursive: true });
await mkdir(join(site, "niwaki"));
for (const name of await readdir(root("examples/browser"))) {
  if (!NOT_SHOWN.includes(name)) await copyFile(join(root("examples/browser"), name), join(site, name));
}
for (const name of PACKAGE) await copyFile(root(`wasm/pkg/${name}`), join(site, "niwaki", name));

const facts = {
  sizes: JSON.parse(execFileSync(execPath, [root("wasm/build/sizes.mjs"), root("wasm/pkg")], { encoding: "utf8" })),
  peers: await json(root("examples/browser/peers.json")),
  bench: await json(root("docs/bench.json")),
  models: [],
};

const tests = {};
for (const argument of wanted) {
  const [, name, title, folder] = /^(\w+)=([^:]+):(.+)$/.exec(argument);
  const file = `${name}.niwaki`;
  await cp(join(out, file), join(data, file));
  const { homes } = await json(join(out, `${name}.json`));
  const { length } = await readFile(join(data, file));
  tests[name] = await arrays(join(root(folder), "test.npz"));
  facts.models.push({
    name,
    title,
    bytes: length,
    homes: homes.map(({ home, status, reason, digests, cost }) => ({ home, status, reason, digests, cost })),
  });
}

// Digits: pixels as bytes, as MNIST has them; divided by 255 in the page they are the same floats.
const { image, y } = tests.digits;
const pixels = floats(image).subarray(0, DIGITS * 28 * 28);
const asBytes = Uint8Array.from(pixels, (value) => Math.round(value * 255));
if (asBytes.some((value, i) => Math.fround(value / 255) !== pixels[i])) throw new Error("pixels are no bytes");
await writeFile(join(data, "digits.u8"), asBytes);
facts.digits = [...y.bytes.subarray(0, DIGITS)];

// Motions: whole recordings, which the test set has in windows.
const motion = tests.motion;
const values = floats(motion.motion);
const [, channels, steps] = motion.motion.shape;
const labels = (await readFile(root("examples/motion/labels.txt"), "utf8")).trim().split("\n");
const recordings = [];
facts.recordings = [];
for (const label of ACTIVITIES) {
  let number = 0;
  for (let at = 0; at < motion.y.bytes.length && number < RECORDINGS; at += WINDOWS) {
    if (labels[motion.y.bytes[at]] !== label) continue;
    for (let channel = 0; channel < channels; channel++) {
      for (let window = at; window < at + WINDOWS; window++) {
        const from = (window * channels + channel) * steps;
        recordings.push(...values.subarray(from, from + steps));
      }
    }
    number += 1;
    facts.recordings.push({ label, number });
  }
}
await writeFile(join(data, "motions.f32"), new Uint8Array(Float32Array.from(recordings).buffer));
await writeFile(join(data, "motion-input.f32"), new Uint8Array(values.slice(0, channels * steps).buffer));
await writeFile(join(data, "facts.json"), JSON.stringify(facts));

// What the service worker keeps: every file with its hash, and one hash of all as the version.
const files = {};
for (const entry of await readdir(site, { recursive: true, withFileTypes: true })) {
  const path = relative(site, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/");
  if (!entry.isFile() || NOT_CACHED.includes(path)) continue;
  files[path] = `sha256-${createHash("sha256").update(await readFile(join(site, path))).digest("base64")}`;
}
const sorted = Object.fromEntries(Object.entries(files).sort());
const version = createHash("sha256").update(JSON.stringify(sorted)).digest("hex").slice(0, 16);
await writeFile(join(site, "files.js"), `const VERSION = "${version}";\nconst FILES = ${JSON.stringify(sorted, null, 2)};\n`);
