import { readFile } from "node:fs/promises";

import { load } from "niwaki";

// Ten images of 28 by 28 bytes, black is 0: what the model wants is 0 to 1.
const file = await readFile(new URL("public/digits.pgm", import.meta.url));
const pixels = Float32Array.from(file.subarray(-7840), (grey) => grey / 255);

const model = await load(new URL("public/digits.niwaki", import.meta.url));
const labels = [];
for (let at = 0; at < pixels.length; at += 784) {
  labels.push(model.run(pixels.subarray(at, at + 784)).top(1)[0].label);
}
console.log(labels.join(" "));
model.dispose();
