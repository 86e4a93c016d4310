// Raw data, for the models that say what to do with it.

import { fail } from "./errors.js";

/** What turns raw data into elements of these inputs; nothing where no input says how. */
export async function converter(inputs) {
  if (!inputs.some(({ preprocess }) => preprocess)) return;
  const { convert } = await import("./raw.js");
  return (input) => convert(inputs, input, fail);
}
