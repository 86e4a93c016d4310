// Times each operator of a model in Node, for `niwaki profile --on node`:
//
//     node profile.mjs PACKAGE_FOLDER MODEL.niwaki SAMPLE
//
// The sample is the bytes of all inputs, in order. Prints as JSON the nanoseconds of one run, and of
// each operator in a run that is made piece by piece: the least of many.

import { readFile } from "node:fs/promises";
import { argv, exit, hrtime, stderr, stdout } from "node:process";

import { openPackage } from "./package.mjs";

/** Runs that are timed: as many as fit into the time, and not fewer than the engine needs to compile. */
const LEAST_RUNS = 50;
const NANOSECONDS = 1_000_000_000n;

function setInputs(model, sample) {
  let at = 0;
  for (let i = 0; i < model.inputCount; i++) {
    model.setInput(i, sample.subarray(at, (at += model.inputBytes(i))));
  }
}

function least(a, b) {
  return a < b ? a : b;
}

/** Nanoseconds of one run at once. */
function timeOfRun(model) {
  const start = hrtime.bigint();
  model.run();
  return hrtime.bigint() - start;
}

/** Nanoseconds of each operator, its strips together. */
function timesOfOperators(model) {
  const times = new Array(model.operatorCount).fill(0n);
  for (let start = hrtime.bigint(); ; start = hrtime.bigint()) {
    const operator = model.step();
    if (operator === undefined) {
      return times;
    }
    times[operator] += hrtime.bigint() - start;
  }
}

const paths = argv.slice(2);
if (paths.length !== 3) {
  stderr.write("usage: node profile.mjs PACKAGE_FOLDER MODEL.niwaki SAMPLE\n");
  exit(2);
}
const [folder, modelPath, samplePath] = paths;
const { Model } = await openPackage(folder);
const model = new Model(await readFile(modelPath));
setInputs(model, await readFile(samplePath));
let run = timeOfRun(model);
let operators = timesOfOperators(model);
const end = hrtime.bigint() + NANOSECONDS;
for (let count = 0; count < LEAST_RUNS || hrtime.bigint() < end; count++) {
  run = least(run, timeOfRun(model));
  operators = timesOfOperators(model).map((time, i) => least(time, operators[i]));
}
stdout.write(JSON.stringify({ run: Number(run), operators: operators.map(Number) }));
