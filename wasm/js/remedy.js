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
  NETWORK: "Look at the connection and the address.",
  HTTP: "Look at the address and the server.",
  NOT_A_SOURCE:
    "Give what `load` takes: a URL, a response, bytes or a stream, which nobody has read yet.",
  INTEGRITY: "Give the file's hash: `sha256-` and its base64.",
  UNSUPPORTED: "Use an engine with WebAssembly and this backend.",
  ABORTED: "Nothing: it was asked for.",
  INPUT_NAME: "Give each input of `model.inputs` by its name.",
  INPUT_TYPE: "Give what `model.inputs` says: the typed array of its dtype, or its raw data.",
  INPUT_LENGTH: "Give as many elements as its shape has.",
  OUTPUT_NAME: "Ask for an output that `model.outputs` lists.",
  DISPOSED: "Load the model again.",
  BUSY: "Wait for the run before, or load the model twice.",
  WORKER: "Look at the Content-Security-Policy, and at the files beside the module.",
  INTERNAL: "Please report it, with the model.",
};
