import { on } from "./api.js";
import { platform } from "./platform/inline.js";

export { NiwakiError } from "./errors.js";
export const { load, loadInWorker } = on(platform);
