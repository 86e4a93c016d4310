// Draw a digit: what the network reads, and what its layers make of it.

import { Layers } from "./layers.js";
import { Paper } from "./paper.js";
import { bars, byId, say, time } from "./ui.js";

/** The panel, over the model and images of the test set with their labels. */
export function digit(model, { images, labels }) {
  const verdict = byId("digit-verdict");
  const note = byId("digit-note");
  const show = bars(byId("digit-scores"), [..."0123456789"]);
  const layers = new Layers(byId("digit-layers"), model);
  const length = model.inputs[0].length;
  let waiting = false;
  let rest;

  const paper = new Paper(() => {
    // Once a frame, however fast the pointer is.
    if (!waiting) requestAnimationFrame(read);
    waiting = true;
  });

  function read() {
    waiting = false;
    clearTimeout(rest);
    const input = paper.pixels();
    if (!input) {
      show(undefined);
      verdict.dataset.digit = "";
      say(verdict, "", "Draw something.");
      layers.show(new Float32Array(length));
      return;
    }
    const out = model.run(input);
    const [{ index, score }] = out.top(1);
    show([...out.scores]);
    verdict.dataset.digit = index;
    say(verdict, `This is a ${index}`, score < 0.6 ? ", perhaps." : ".");
    layers.show(input);
    // Measured when the hand rests.
    rest = setTimeout(async () => {
      const found = await layers.measure(input);
      if (!found) return;
      note.textContent = `One run takes ${time(found.microseconds)} here, the mean of ${found.runs}. A bar is a layer’s time beside the longest.`;
    }, 250);
  }

  let next = 0;
  byId("clear").addEventListener("click", () => paper.clear());
  byId("example").addEventListener("click", () => {
    const image = images.subarray(next * length, (next + 1) * length);
    paper.show(image);
    note.dataset.label = labels[next];
    next = (next + 1) % labels.length;
  });
}
