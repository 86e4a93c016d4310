// Times each operator of a model in Node, for `niwaki profile --on node`:
//
//     node profile.mjs PACKAGE_FOLDER MODEL.niwaki SAMPLE
//
// The sample is the bytes of all inputs, in order. Prints as JSON the nanoseconds of one run, and of
// each operator in a run that is made piece by piece: the least of many.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { argv, exit, hrtime, stderr, stdout } from "node:process";
import { pathToFileURL } from "node:url";

import { inputOf } from "./sample.mjs";

/** Runs that are timed: as many as fit into the time, and not fewer than the engine needs to compile. */
const LEAST_RUNS = 50;
const NANOSECONDS = 1_000_000_000n;

/** Nanoseconds of one run at once. */
function timeOfRun(model, input) {
  const start = hrtime.bigint();
  model.run(input);
  return Number(hrtime.bigint() - start);
}

/** Nanoseconds of each operator, its strips together. */
function timesOfOperators(model, input) {
  return model.profile(input).map(({ microseconds }) => Math.round(microseconds * 1000));
}

const paths = argv.slice(2);
if (paths.length !== 3) {
  stderr.write("usage: node profile.mjs PACKAGE_FOLDER MODEL.niwaki SAMPLE\n");
  exit(2);
}
const [folder, modelPath, samplePath] = paths;
const { load } = await import(pathToFileURL(join(folder, "node.js")));
const model = await load(await readFile(modelPath));
const input = inputOf(model, await readFile(samplePath));
let run = timeOfRun(model, input);
let operators = timesOfOperators(model, input);
const end = hrtime.bigint() + NANOSECONDS;
for (let count = 0; count < LEAST_RUNS || hrtime.bigint() < end; count++) {
  run = Math.min(run, timeOfRun(model, input));
  operators = timesOfOperators(model, input).map((time, i) => Math.min(time, operators[i]));
}
stdout.write(JSON.stringify({ run, operators }));
