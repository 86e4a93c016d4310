// What a worker does: one model, one call after the other, and a cancel in between.

import { Model } from "./model.js";

/** Answers what comes in by `post(message, transfer)`; gives the listener. */
export function serve(post) {
  let model;
  let running = {};

  async function call(method, args, signal) {
    switch (method) {
      case "load":
        model = new Model(...args);
        return { ...model, memoryBytes: model.memoryBytes };
      case "run":
        // Copies: what is in the model's memory cannot be given away.
        return (await model.runAsync(...args, { signal })).all.map(({ raw }) => raw.slice());
      default:
        return model[method](...args);
    }
  }

  return async ({ id, cancel, method, args }) => {
    if (cancel !== undefined) {
      if (cancel === running.id) running.controller.abort();
      return;
    }
    running = { id, controller: new AbortController() };
    try {
      const result = await call(method, args, running.controller.signal);
      post({ id, result }, method === "run" ? result.map(({ buffer }) => buffer) : []);
    } catch ({ code = "INTERNAL", message }) {
      post({ id, error: { code, message } }, []);
    }
  };
}
