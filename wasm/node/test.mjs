// The built package in Node. `cargo xtask test` builds it, and a model for NIWAKI_TEST_MODEL.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env, execPath } from "node:process";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { openPackage } from "./package.mjs";

const PACKAGE = fileURLToPath(new URL("../pkg", import.meta.url));
const BATCH = fileURLToPath(new URL("batch.mjs", import.meta.url));
const MODEL = env.NIWAKI_TEST_MODEL;
assert.ok(MODEL, "set NIWAKI_TEST_MODEL to a .niwaki file, as `cargo xtask test` does");

const { Model } = await openPackage(PACKAGE);
const bytes = await readFile(MODEL);

/** A copy of the model's bytes with one bit flipped. */
function damaged(at) {
  const copy = Uint8Array.from(bytes);
  copy[at] ^= 1;
  return copy;
}

/** The inputs of a model, filled with a pattern that depends on the seed. */
function inputsOf(model, seed) {
  return Array.from({ length: model.inputCount }, (_, i) =>
    // Small bytes: in a float tensor they are small numbers.
    Uint8Array.from({ length: model.inputBytes(i) }, (_, at) => (at * 7 + seed) % 64),
  );
}

/** Runs the model on that pattern; returns digests and outputs. */
function run(model, seed) {
  inputsOf(model, seed).forEach((input, i) => model.setInput(i, input));
  const digests = model.runWithDigests();
  const outputs = Array.from({ length: model.outputCount }, (_, i) => model.output(i));
  return { digests, outputs };
}

test("damaged bytes are refused with a reason", () => {
  assert.throws(() => new Model(damaged(0)), { name: "Error", message: /not a niwaki artifact/ });
  assert.throws(() => new Model(damaged(bytes.length - 1)), { message: /SHA-256/ });
  assert.throws(() => new Model(bytes.subarray(0, bytes.length - 1)), { message: /cut off/ });
  assert.throws(() => new Model(new Uint8Array()), { message: /not a niwaki artifact/ });
});

test("the default export finds the module beside itself", async (context) => {
  // As in a browser, but that there fetch reads a server's files.
  context.mock.method(globalThis, "fetch", async (url) => {
    const headers = { "content-type": "application/wasm" };
    return new Response(await readFile(url), { headers });
  });
  // Another query makes another instance, which nobody has opened yet.
  const fresh = await import(`${pathToFileURL(join(PACKAGE, "niwaki.js"))}?fresh`);
  await fresh.default();
  assert.equal(new fresh.Model(bytes).selfTest(), undefined);
});

test("the model gives the bits that the compiler stored", () => {
  assert.equal(new Model(bytes).selfTest(), undefined);
});

test("two runs are equal, operator by operator", () => {
  const model = new Model(bytes);
  const first = run(model, 1);
  assert.ok(first.digests instanceof BigUint64Array);
  assert.equal(first.digests.length, model.operatorCount);
  const outputs = () =>
    Array.from({ length: model.outputCount }, (_, i) => model.output(i));

  // Inputs stay set, through a run and through a self-test.
  assert.deepEqual(model.runWithDigests(), first.digests);
  assert.equal(model.selfTest(), undefined);
  assert.throws(() => model.output(0), { message: /call run\(\) first/ });
  model.run();
  assert.deepEqual(outputs(), first.outputs);

  assert.notDeepEqual(run(model, 2).digests, first.digests);
  assert.deepEqual(run(new Model(bytes), 1), first);
});

test("ports agree with the lengths of their tensors", () => {
  const model = new Model(bytes);
  const elementBytes = { int8: 1, uint8: 1, int32: 4, float32: 4 };
  const check = (port, length) => {
    const elements = port.shape.reduce((product, dim) => product * dim, 1);
    assert.equal(elements * elementBytes[port.dtype], length);
    assert.equal(port.bytes, length);
  };
  for (let i = 0; i < model.inputCount; i++) check(model.inputPort(i), model.inputBytes(i));
  for (let i = 0; i < model.outputCount; i++) check(model.outputPort(i), model.outputBytes(i));
});

test("calls that do not fit are refused with a reason", () => {
  const model = new Model(bytes);
  const length = model.inputBytes(0);
  assert.throws(() => model.run(), { message: /input 0 is not set/ });
  assert.throws(() => model.setInput(0, new Uint8Array(length + 1)), {
    message: `input 0 has ${length} bytes, not ${length + 1}`,
  });
  assert.throws(() => model.inputBytes(model.inputCount), { message: /there is no input/ });
  assert.throws(() => model.outputPort(model.outputCount), { message: /there is no output/ });
});

test("the batch runner answers as the class does", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "niwaki-batch-"));
  context.after(() => rm(folder, { recursive: true }));
  const batch = async (model, request) => {
    const [requestPath, responsePath] = [join(folder, "request"), join(folder, "response")];
    await writeFile(requestPath, request);
    execFileSync(execPath, [BATCH, PACKAGE, model, requestPath, responsePath]);
    return readFile(responsePath);
  };
  const message = (response) => response.toString("utf8", 12, 12 + response.readUInt32LE(8));

  const model = new Model(bytes);
  const seeds = [3, 4];
  const samples = seeds.flatMap((seed) => inputsOf(model, seed));
  const request = Buffer.concat([Buffer.from("NWRQ"), Uint8Array.of(2, 0, 0, 0), ...samples]);

  const well = await batch(MODEL, request);
  assert.equal(well.toString("latin1", 0, 4), "NWRS");
  assert.equal(well.readUInt32LE(4), 0);
  assert.equal(well.readUInt32LE(8), 0xffffffff);
  assert.equal(well.readUInt32LE(12), model.operatorCount);
  assert.ok(well.readBigUInt64LE(16) > 0n);
  const expected = seeds.flatMap((seed) => {
    const { digests, outputs } = run(model, seed);
    return [...outputs, new Uint8Array(digests.buffer)];
  });
  assert.deepEqual(well.subarray(24), Buffer.concat(expected));

  const short = await batch(MODEL, request.subarray(0, request.length - 1));
  assert.equal(short.readUInt32LE(4), 2);
  assert.match(message(short), /the request has \d+ bytes/);

  const damagedPath = join(folder, "damaged.niwaki");
  await writeFile(damagedPath, damaged(bytes.length - 1));
  const refused = await batch(damagedPath, request);
  assert.equal(refused.readUInt32LE(4), 1);
  assert.match(message(refused), /SHA-256/);
});
