// On a page that allows own files and WebAssembly, and nothing else.
import { load, loadInWorker } from "/csp-pkg/browser.js";

const url = "/models/digits.niwaki";
const model = await load(url);
const worker = await loadInWorker(url);
const results = [model.selfTest().sameBits, (await worker.selfTest()).sameBits];
let evaluated = "refused";
try {
  // The policy is at work: what the package does without is not to be had here.
  evaluated = (0, eval)("'evaluated'");
} catch {}
document.documentElement.dataset.result = [...results, evaluated].join(" ");
