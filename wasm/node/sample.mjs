// The bytes of all inputs, in order, as a run of the package takes them.

const ARRAYS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
  bool: Uint8Array,
};

const bytesOf = ({ dtype, length }) => length * ARRAYS[dtype].BYTES_PER_ELEMENT;

/** How many bytes all inputs of a model have together. */
export function bytesOfSample(model) {
  return model.inputs.reduce((sum, spec) => sum + bytesOf(spec), 0);
}

/** The elements in these bytes: of each input by its name, or of the one that there is. */
export function inputOf(model, bytes) {
  let at = 0;
  const arrays = model.inputs.map((spec) => {
    // A copy: in a file elements lie at any address.
    const own = Uint8Array.from(bytes.subarray(at, (at += bytesOf(spec))));
    return new ARRAYS[spec.dtype](own.buffer);
  });
  // A model that was stripped has no names.
  if (arrays.length === 1) return arrays[0];
  return Object.fromEntries(arrays.map((array, i) => [model.inputs[i].name, array]));
}
