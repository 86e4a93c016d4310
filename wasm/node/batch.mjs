// Runs a batch of samples through a model in Node, for `niwaki validate --on node`:
//
//     node batch.mjs PACKAGE_FOLDER MODEL.niwaki REQUEST RESPONSE
//
// All numbers are little-endian.
//
// request:  "NWRQ", u32 sample count, then for each sample the bytes of all inputs, in order.
// response: "NWRS", u32 status (0 well, 1 the model was refused, 2 a run failed).
//           Unless 0: u32 length and a message in UTF-8, and no more.
//           Otherwise: u32 self-test (index of the first operator that differs, or NO_DIFFERENCE),
//           u32 operator count, u64 nanoseconds of one run, then for each sample the bytes of all
//           outputs, in order, and a u64 digest of each operator's output.
//
// The emulated boards speak the same protocol.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { argv, exit, hrtime, stderr } from "node:process";
import { pathToFileURL } from "node:url";

import { bytesOfSample, inputOf } from "./sample.mjs";

const REQUEST_MAGIC = Buffer.from("NWRQ");
const RESPONSE_MAGIC = Buffer.from("NWRS");
const STATUS = { well: 0, refused: 1, failed: 2 };
const NO_DIFFERENCE = 0xffffffff;
const TIMED_RUNS = 5;

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function refusal(status, error) {
  const message = Buffer.from(error instanceof Error ? error.message : String(error));
  return [RESPONSE_MAGIC, u32(status), u32(message.length), message];
}

/** The samples of a request, each as a run takes it. */
function samplesOf(request, model) {
  if (!request.subarray(0, 4).equals(REQUEST_MAGIC) || request.length < 8) {
    throw new Error("the request does not begin with NWRQ and a sample count");
  }
  const sampleBytes = bytesOfSample(model);
  const count = request.readUInt32LE(4);
  const needed = 8 + count * sampleBytes;
  if (request.length !== needed) {
    throw new Error(
      `the request has ${request.length} bytes; ${count} samples of ${sampleBytes} bytes make ${needed}`,
    );
  }
  return Array.from({ length: count }, (_, i) => {
    const at = 8 + i * sampleBytes;
    return inputOf(model, request.subarray(at, at + sampleBytes));
  });
}

/** Nanoseconds of one run on the sample: the least of several, after one to warm up. */
function nanosecondsOfOneRun(model, sample) {
  model.run(sample);
  const times = Array.from({ length: TIMED_RUNS }, () => {
    const start = hrtime.bigint();
    model.run(sample);
    return hrtime.bigint() - start;
  });
  return times.reduce((least, time) => (time < least ? time : least));
}

/** The response to a request, in pieces. */
function answer(model, request) {
  const samples = samplesOf(request, model);
  const { firstDifferingLayer } = model.selfTest();
  const selfTest = firstDifferingLayer?.index ?? NO_DIFFERENCE;
  let cost = 0n;
  const results = samples.map((sample, index) => {
    if (index === 0) {
      cost = nanosecondsOfOneRun(model, sample);
    }
    const digests = Array.from(model.digests(sample), u64);
    const { all } = model.run(sample);
    const outputs = all.map(({ raw }) => new Uint8Array(raw.slice().buffer));
    return [...outputs, ...digests];
  });
  const head = [u32(STATUS.well), u32(selfTest), u32(model.layerCount), u64(cost)];
  return [RESPONSE_MAGIC, ...head, ...results.flat()];
}

async function respond(load, bytes, request) {
  let model;
  try {
    model = await load(bytes);
  } catch (error) {
    return refusal(STATUS.refused, error);
  }
  try {
    return answer(model, request);
  } catch (error) {
    return refusal(STATUS.failed, error);
  }
}

const paths = argv.slice(2);
if (paths.length !== 4) {
  stderr.write("usage: node batch.mjs PACKAGE_FOLDER MODEL.niwaki REQUEST RESPONSE\n");
  exit(2);
}
const [folder, modelPath, requestPath, responsePath] = paths;
const { load } = await import(pathToFileURL(join(folder, "node.js")));
const [bytes, request] = await Promise.all([readFile(modelPath), readFile(requestPath)]);
await writeFile(responsePath, Buffer.concat(await respond(load, bytes, request)));
