import { load, loadInWorker } from "niwaki";

import { loadImages } from "./images.js";
import "./index.html";

const show = (id, runs) => {
  document.getElementById(id).textContent = runs.join(" ");
};
const label = (out) => out.top(1)[0].label;

const images = await loadImages(new URL("../public/digits.pgm", import.meta.url));
const url = new URL("../public/digits.niwaki", import.meta.url);

const model = await load(url);
// What a run gives is written over by the next.
show("answer", images.map((image) => label(model.run(image))));
model.dispose();

const worker = await loadInWorker(url);
show("worker", (await Promise.all(images.map((image) => worker.run(image)))).map(label));
worker.dispose();
