// What each layer computes. A worker goes without: nobody asks one for it.

import { Output } from "./output.js";

/** The output of each operator, of an engine whose inputs are written. */
export function activations(engine) {
  const layers = [];
  for (const index of engine.steps()) {
    const { spec, TypedArray, axes, view } = engine.activation();
    layers[index] ??= { spec, axes, elements: new TypedArray(spec.length), filled: 0 };
    const layer = layers[index];
    // A layer that is run in strips comes piece by piece.
    const piece = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    new Uint8Array(layer.elements.buffer).set(piece, layer.filled);
    layer.filled += view.byteLength;
  }
  return layers.map(({ spec, axes, elements }, i) => ({
    ...engine.layer(i),
    output: new Output({ spec, raw: inOrder(elements, spec.shape, axes) }),
  }));
}

/** Elements that lie with `axes` from the outermost to the innermost, in the order of `shape`. */
function inOrder(elements, shape, axes) {
  const steps = [];
  let step = 1;
  for (const axis of [...axes].reverse()) {
    steps[axis] = step;
    step *= shape[axis];
  }
  return elements.map((_, i) => {
    let from = 0;
    for (let axis = shape.length; axis--; ) {
      from += (i % shape[axis]) * steps[axis];
      i = Math.floor(i / shape[axis]);
    }
    return elements[from];
  });
}
