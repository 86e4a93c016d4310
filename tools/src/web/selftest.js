import { load } from "./index.js";

const result = document.querySelector("#result");
try {
  const model = await load();
  const { sameBits, firstDifferingLayer } = model.selfTest();
  const layer = firstDifferingLayer ?? {};
  result.textContent = {
    true: `Same bits: all ${model.layerCount} layers are as the compiler stored them (${model.backend}).`,
    false: `Other bits: layer ${layer.index} (${layer.operator} ${layer.name}) is the first that differs.`,
    null: "The model was compiled without a golden vector: there is nothing to compare with.",
  }[sameBits];
  result.dataset.sameBits = sameBits;
} catch (error) {
  result.textContent = `${error.message}. ${error.remedy ?? ""}`;
  result.dataset.sameBits = "error";
}
