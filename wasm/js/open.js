// A model in this thread, with what it needs for raw data.

import { Model, converters } from "./model.js";
import { converter } from "./prepare.js";

export async function open(module, bytes, backend) {
  const model = new Model(module, bytes, backend);
  const convert = await converter(model.inputs);
  if (convert) converters.set(model, convert);
  return model;
}
