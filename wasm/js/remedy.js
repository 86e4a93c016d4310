// What a person can do about each error. A worker goes without: the thread that asked it tells.

/** By code: what would help. The codes are part of the interface; `niwaki.d.ts` lists them. */
export const REMEDY = {
  NOT_A_MODEL:
    "Give a .niwaki file, made by `niwaki compile MODEL.onnx -o MODEL.niwaki`; of a URL, look at what it serves.",
  TRUNCATED: "Fetch the file again, or compile the model again.",
  NEWER_FORMAT: "Compile the model with the package's version of niwaki, or update the package.",
  OTHER_NUMERICS: "Compile the model with the package's version of niwaki, or update the package.",
  DAMAGED: "Fetch the file again, or compile the model again.",
  INVALID: "Compile the model again; a specialised package runs its own model alone.",
  OUT_OF_MEMORY: "Dispose of other models, or compile with `--ram`.",
  NETWORK: "Look at the address, the connection and the server.",
  HTTP: "Look at the address, the connection and the server.",
  NOT_A_SOURCE:
    "Give what `load` takes: a URL, a response, bytes or a stream, which nobody has read yet.",
  INTEGRITY: "Give the file's hash: `sha256-` and its base64.",
  UNSUPPORTED: "Use an engine that has it.",
  ABORTED: "Nothing: it was asked for.",
  INPUT_NAME: "Give each input as `model.inputs` says: name, dtype, length; or its raw data.",
  INPUT_TYPE: "Give each input as `model.inputs` says: name, dtype, length; or its raw data.",
  INPUT_LENGTH: "Give each input as `model.inputs` says: name, dtype, length; or its raw data.",
  OUTPUT_NAME: "Ask for an output that `model.outputs` lists.",
  DISPOSED: "Load the model again.",
  BUSY: "Wait for the other run, or load the model twice.",
  WORKER: "Look at the Content-Security-Policy and the files beside the module.",
  INTERNAL: "Please report it, with the model.",
};
