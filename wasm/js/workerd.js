import { on } from "./api.js";
import { platform } from "./platform/workerd.js";

export { NiwakiError } from "./errors.js";
export const { load, loadInWorker } = on(platform);
