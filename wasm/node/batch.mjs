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
import { argv, exit, hrtime, stderr } from "node:process";

import { openPackage } from "./package.mjs";

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

/** The samples of a request, each a list of the bytes of all inputs. */
function samplesOf(request, model) {
  if (!request.subarray(0, 4).equals(REQUEST_MAGIC) || request.length < 8) {
    throw new Error("the request does not begin with NWRQ and a sample count");
  }
  const lengths = Array.from({ length: model.inputCount }, (_, i) => model.inputBytes(i));
  const sampleBytes = lengths.reduce((sum, length) => sum + length, 0);
  const count = request.readUInt32LE(4);
  const needed = 8 + count * sampleBytes;
  if (request.length !== needed) {
    throw new Error(
      `the request has ${request.length} bytes; ${count} samples of ${sampleBytes} bytes make ${needed}`,
    );
  }
  let at = 8;
  const next = (length) => request.subarray(at, (at += length));
  return Array.from({ length: count }, () => lengths.map(next));
}

function setInputs(model, sample) {
  sample.forEach((bytes, i) => model.setInput(i, bytes));
}

/** Nanoseconds of one run on the inputs that are set: the least of several, after one to warm up. */
function nanosecondsOfOneRun(model) {
  model.run();
  const times = Array.from({ length: TIMED_RUNS }, () => {
    const start = hrtime.bigint();
    model.run();
    return hrtime.bigint() - start;
  });
  return times.reduce((least, time) => (time < least ? time : least));
}

/** The response to a request, in pieces. */
function answer(model, request) {
  const samples = samplesOf(request, model);
  const selfTest = model.selfTest() ?? NO_DIFFERENCE;
  let cost = 0n;
  const results = samples.map((sample, index) => {
    setInputs(model, sample);
    if (index === 0) {
      cost = nanosecondsOfOneRun(model);
    }
    const digests = Array.from(model.runWithDigests(), u64);
    const outputs = Array.from({ length: model.outputCount }, (_, i) => model.output(i));
    return [...outputs, ...digests];
  });
  const head = [u32(STATUS.well), u32(selfTest), u32(model.operatorCount), u64(cost)];
  return [RESPONSE_MAGIC, ...head, ...results.flat()];
}

function respond(Model, bytes, request) {
  let model;
  try {
    model = new Model(bytes);
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
const { Model } = await openPackage(folder);
const [bytes, request] = await Promise.all([readFile(modelPath), readFile(requestPath)]);
await writeFile(responsePath, Buffer.concat(respond(Model, bytes, request)));
