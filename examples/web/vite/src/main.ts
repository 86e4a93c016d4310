import { load, loadInWorker } from "niwaki";
import type { Outputs } from "niwaki";

import { loadImages } from "./images.ts";

const show = (id: string, runs: string[]) => {
  document.getElementById(id)!.textContent = runs.join(" ");
};
const label = (out: Outputs) => out.top(1)[0].label;

const images = await loadImages("digits.pgm");

const model = await load("digits.niwaki");
// What a run gives is written over by the next.
show("answer", images.map((image) => label(model.run(image))));
model.dispose();

const worker = await loadInWorker("digits.niwaki");
show("worker", (await Promise.all(images.map((image) => worker.run(image)))).map(label));
worker.dispose();
