// The types as a program uses them. It is compiled, not run.
import { load, loadInWorker, NiwakiError } from "niwaki";
import type { ErrorCode, LayerTime, Model, Outputs } from "niwaki";
import { load as loadInlined } from "niwaki/inline";

export async function use(signal: AbortSignal): Promise<number> {
  using model: Model = await load("model.niwaki", {
    signal,
    backend: "auto",
    integrity: "sha256-",
    onProgress: ({ loaded, total }) => console.log(total === null ? loaded : loaded / total),
  });
  const [input] = model.inputs;
  if (input === undefined) return 0;
  const { name, shape, scale, zeroPoint } = input;
  const out: Outputs = model.run(new Float32Array(input.length));
  const best = out.top(3).map(({ label, score }) => `${label} ${score}`);
  const layers: LayerTime[] = model.profile({ [name]: new Int8Array(input.length) });
  const [maps] = model.activations(new Float32Array(input.length));
  console.log(maps?.name, maps?.output.spec.shape, maps?.output.raw);
  const { sameBits, firstDifferingLayer } = model.selfTest();
  console.log(best, layers[0]?.microseconds, sameBits, firstDifferingLayer?.operator, shape, scale, zeroPoint);
  const worker = await loadInWorker(new Uint8Array(4));
  try {
    return (await worker.run(out.raw, { signal, transfer: true })).scores[0] ?? 0;
  } catch (error) {
    if (error instanceof NiwakiError) {
      const code: ErrorCode = error.code;
      console.log(code, error.remedy);
    }
    throw error;
  } finally {
    worker.dispose();
  }
}

/** Raw data, for a model that says what to do with it. */
export function see(model: Model, canvas: HTMLCanvasElement, frame: VideoFrame, sound: AudioBuffer): void {
  const { preprocess } = model.inputs[0] ?? {};
  if (preprocess && "image" in preprocess) console.log(preprocess.image.color, preprocess.image.mean?.[0]);
  model.run(canvas);
  model.run(new ImageData(28, 28));
  model.run({ left: canvas, right: frame });
  model.run(sound);
  // @ts-expect-error: a sentence is no picture.
  model.run("a cat");
}

// @ts-expect-error: an input is a typed array, not numbers.
export const wrong = async () => (await loadInlined(new Uint8Array(4))).run([1, 2, 3]);
