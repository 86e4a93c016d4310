// What a person can do about each error. A worker goes without: the thread that asked it tells.

/** By code: what would help. The codes are part of the interface; `niwaki.d.ts` lists them. */
export const REMEDY = {
  NOT_A_MODEL:
    "Give the bytes of a .niwaki file, made by `niwaki compile MODEL.onnx -o MODEL.niwaki`; if they come from a URL, look at what it serves.",
  TRUNCATED: "Fetch the file again; it is not whole.",
  NEWER_FORMAT: "Update the package, or compile the model with the version of niwaki that it has.",
  OTHER_NUMERICS: "Compile the model again with the version of niwaki that the package has.",
  DAMAGED: "Fetch the file again, or compile the model again.",
  INVALID: "Compile the model again; a specialised package runs its own model alone.",
  OUT_OF_MEMORY: "Dispose of models that are no longer needed, or compile with `--ram`.",
  NETWORK: "Look at the connection and the address, then load again.",
  HTTP: "Look at the address and at what the server says.",
  NOT_A_SOURCE:
    "Give a URL, Request, Response, ArrayBuffer, typed array, Blob or ReadableStream that nobody has read yet.",
  INTEGRITY: "Compute the hash of the file that you mean: `sha256-` and its base64.",
  UNSUPPORTED: "Use an engine with WebAssembly, and a backend that it has.",
  ABORTED: "Nothing: it was asked for.",
  INPUT_NAME: "Give each input by its name, as `model.inputs` lists them.",
  INPUT_TYPE: "Give the typed array of the input's dtype, as `model.inputs` says.",
  INPUT_LENGTH: "Give as many elements as the input's shape has.",
  OUTPUT_NAME: "Ask for an output that `model.outputs` lists.",
  DISPOSED: "Load the model again; a disposed one is gone.",
  BUSY: "Wait for the run before, or load the model twice.",
  WORKER: "Look whether the page may start the worker: Content-Security-Policy, and the files beside the module.",
  INTERNAL: "Please report it, with the model.",
};
