// The one class of errors.

import { REMEDY } from "./remedy.js";

/** What goes wrong, with a code for programs, a sentence for people, and what would help. */
export class NiwakiError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = "NiwakiError";
    this.code = code;
    this.remedy = REMEDY[code];
  }
}

/** Throws {@link NiwakiError}. */
export function fail(code, message, cause) {
  throw new NiwakiError(code, message, cause && { cause });
}

/** Throws when the signal has been aborted; its reason is the cause. */
export function check(signal, what) {
  if (signal?.aborted) fail("ABORTED", `${what} was aborted`, signal.reason);
}
