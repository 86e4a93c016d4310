// What has to hold wherever the package runs: the same functions in Node and in a browser.
//
// Each gets the package and where things are: `base` is the server's address, `models` the names
// of files below `models/`; the first is the digits example.

/** Any value in a form that can be compared and shown. */
const show = (value) =>
  JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}n` : ArrayBuffer.isView(v) ? [...v] : v));

export function equal(found, wanted, what) {
  if (show(found) !== show(wanted)) {
    throw new Error(`${what}: ${show(found)?.slice(0, 400)} instead of ${show(wanted)?.slice(0, 400)}`);
  }
}

export function ok(value, what) {
  if (!value) throw new Error(what);
}

/** The call has to fail with this code; a class, a sentence and a remedy come with it. */
async function fails(niwaki, code, call) {
  let error;
  try {
    await call();
  } catch (caught) {
    error = caught;
  }
  ok(error, `${code}: the call succeeds`);
  if (!(error instanceof niwaki.NiwakiError)) throw new Error(`${code}: another error`, { cause: error });
  equal(error.code, code, error.message);
  ok(error.message && error.remedy && error.name === "NiwakiError", `${code}: says too little`);
  return error;
}

const ARRAYS = { int8: Int8Array, uint8: Uint8Array, int32: Int32Array, float32: Float32Array };

/** An input that depends on the seed. */
export function inputOf({ dtype, length }, seed = 1) {
  return ARRAYS[dtype].from({ length }, (_, i) => ((i * 7 + seed * 13) % 61) - (dtype === "float32" ? 0 : 30));
}

/** Copies of a file's bytes with something wrong. */
function changed(bytes, change) {
  const copy = bytes.slice();
  change(new DataView(copy.buffer), copy);
  return copy;
}

const file = async ({ base }, name) =>
  new Uint8Array(await (await fetch(`${base}models/${name}`)).arrayBuffer());

export const tests = {
  async "load takes every source and gives the same model"(niwaki, env) {
    const url = `${env.base}models/${env.models[0]}`;
    const bytes = await file(env, env.models[0]);
    const padded = new Uint8Array(bytes.length + 3);
    padded.set(bytes, 3);
    const sources = {
      string: url,
      URL: new URL(url),
      Request: new Request(url),
      Response: await fetch(url),
      ArrayBuffer: bytes.slice().buffer,
      Uint8Array: bytes,
      "unaligned Uint8Array": padded.subarray(3),
      Blob: new Blob([bytes]),
      ReadableStream: new Blob([bytes]).stream(),
    };
    let expected;
    for (const [name, source] of Object.entries(sources)) {
      const model = await niwaki.load(source);
      const digests = model.digests(inputOf(model.inputs[0]));
      expected ??= digests;
      equal(digests, expected, name);
      model.dispose();
    }
    equal(bytes, await file(env, env.models[0]), "the caller's bytes");
  },

  async "pixels become elements as the model says"(niwaki, env) {
    const pixels = (width, height, seed) => ({
      width,
      height,
      data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (i * 31 + seed * 7 + (i >> 5)) % 256),
    });
    const even = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
    const models = {
      picture: ({ data }, i) => (299 * data[4 * i] + 587 * data[4 * i + 1] + 114 * data[4 * i + 2]) / 1000 / 255,
      photo({ data }, i) {
        const channel = i % 3;
        const pixel = data[4 * Math.floor(i / 3) + 2 - channel] * 0.00392156862745098;
        return (pixel - [0.4, 0.5, 0.6][channel]) / [0.5, 0.25, 1.5][channel];
      },
    };
    for (const [name, real] of Object.entries(models)) {
      const open = { load: niwaki.load, loadInWorker: niwaki.loadInWorker };
      for (const [how, load] of Object.entries(open)) {
        const model = await load(`${env.base}models/${name}.niwaki`);
        const [spec] = model.inputs;
        const side = name === "picture" ? 28 : 96;
        const picture = pixels(side, side, how.length);
        const elements = ARRAYS[spec.dtype].from({ length: spec.length }, (_, i) => {
          const x = real(picture, i);
          return spec.scale ? Math.min(Math.max(even(x / spec.scale) + spec.zeroPoint, -128), 127) : x;
        });
        const wanted = await model.digests(elements);
        equal(await model.digests(picture), wanted, `${name}, ${how}`);
        equal(await model.digests({ [spec.name]: picture }), wanted, `${name} by its name, ${how}`);
        const raw = (await model.run(elements)).raw.slice();
        equal((await model.run(picture)).raw, raw, `a run of ${name}, ${how}`);
        await fails(niwaki, "INPUT_LENGTH", () => model.run(elements.subarray(1)));
        if (typeof OffscreenCanvas === "undefined") {
          await fails(niwaki, "INPUT_LENGTH", () => model.run(pixels(side + 1, side, 1)));
        }
        const silence = { numberOfChannels: 1, sampleRate: 16000, length: 640, getChannelData: () => new Float32Array(640) };
        await fails(niwaki, "INPUT_TYPE", () => model.run(silence));
        model.dispose();
      }
    }
    // A model that says nothing of raw data takes none.
    const model = await niwaki.load(`${env.base}models/${env.models[0]}`);
    await fails(niwaki, "INPUT_NAME", () => model.run(pixels(28, 28, 1)));
  },

  async "samples become elements as the model says"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/sound.niwaki`);
    const channel = (seed) => Float32Array.from({ length: 640 }, (_, i) => ((i * seed) % 97) / 97 - 0.5);
    const channels = [channel(3), channel(5)];
    const sound = {
      numberOfChannels: 2,
      sampleRate: 16000,
      length: 640,
      getChannelData: (i) => channels[i],
    };
    const elements = channels[0].map((x, i) => x / 2 + channels[1][i] / 2);
    equal(model.digests(sound), model.digests(elements), "digests");
    await fails(niwaki, "INPUT_LENGTH", () => model.run({ ...sound, length: 641 }));
    const error = await fails(niwaki, "INPUT_TYPE", () => model.run({ ...sound, sampleRate: 44100 }));
    ok(/16000 samples a second, not 44100/.test(error.message), error.message);
  },

  async "progress is told"(niwaki, env) {
    const url = `${env.base}models/${env.models[0]}`;
    const { length } = await file(env, env.models[0]);
    const seen = [];
    (await niwaki.load(url, { onProgress: (progress) => seen.push(progress) })).dispose();
    equal(seen.at(-1), { loaded: length, total: length }, "the last one");
    ok(seen.every(({ loaded }, i) => loaded > (seen[i - 1]?.loaded ?? 0)), "it goes up");
  },

  async "a model describes itself"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/${env.models[0]}`);
    const { name, shape, dtype, length } = model.inputs[0];
    equal([name, shape, dtype, length], ["image", [1, 1, 28, 28], "float32", 784], "the input");
    equal(model.outputs[0].length, 10, "the output");
    equal(model.outputs.length, 1, "the outputs");
    ok(model.layerCount > 5 && model.arenaBytes > 1000, "numbers");
    // 320 KB of it are the stack, where the tiles hold weights and input.
    ok(model.memoryBytes < 500_000, `little memory, not ${model.memoryBytes}`);
    ok(Object.isFrozen(model) && Object.isFrozen(model.inputs[0].shape), "it cannot be changed");
    model.dispose();
  },

  async "every backend gives the same bits, and the golden ones"(niwaki, env) {
    for (const name of env.models) {
      let expected;
      for (const backend of ["relaxed", "simd128", "scalar", "auto"]) {
        if (backend === "relaxed" && !env.relaxed) {
          await fails(niwaki, "UNSUPPORTED", () => niwaki.load(`${env.base}models/${name}`, { backend }));
          continue;
        }
        const model = await niwaki.load(`${env.base}models/${name}`, { backend });
        if (backend !== "auto") equal(model.backend, backend, "the backend");
        equal(model.selfTest(), { sameBits: true, firstDifferingLayer: null }, `${name} ${backend}`);
        const digests = model.digests(inputOf(model.inputs[0]));
        equal(digests.length, model.layerCount, "a digest for each layer");
        expected ??= digests;
        equal(digests, expected, `${name} ${backend}`);
        model.dispose();
      }
      env.digests?.(name, expected);
    }
  },

  async "a run by array, by name, at once and in slices"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/${env.models[0]}`);
    const input = inputOf(model.inputs[0]);
    const first = model.run(input).raw.slice();
    model.run(inputOf(model.inputs[0], 2));
    ok(show(model.run({ image: input }).raw) === show(first), "by name");
    equal((await model.runAsync(input)).raw, first, "in slices");
    ok(model.run(input) === model.run(input), "one object for all runs");
    ok(model.run(input).raw === model.run(input).raw, "and one view");
    const out = model.run(input);
    equal(out.get(model.outputs[0].name).raw, first, "an output by name");
    const [best, second] = out.top(3);
    equal(out.top(3).length, 3, "the best three");
    ok(best.score >= second.score && best.score === Math.max(...out.scores), "the best first");
    equal(best.label, String(best.index), "no labels");
    const { scale, zeroPoint } = model.outputs[0];
    const real = (q) => (scale ? Math.fround(Math.fround(q - zeroPoint) * scale) : q);
    equal(out.scores, Float32Array.from(out.raw, real), "real values");
    await fails(niwaki, "OUTPUT_NAME", () => out.get("nobody"));
    model.dispose();
  },

  async "a profile has every layer, and names them"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/${env.models[0]}`);
    const layers = model.profile(inputOf(model.inputs[0]));
    equal(layers.length, model.layerCount, "layers");
    ok(layers.every(({ index, microseconds }, i) => index === i && microseconds >= 0), "in order");
    ok(layers.some(({ operator }) => operator === "ConvI8"), "by operator");
    equal(model.run(inputOf(model.inputs[0])).raw, model.run(inputOf(model.inputs[0])).raw, "and runs on");
    model.dispose();
  },

  async "what each layer computes, in ONNX's order, whole or in strips"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/${env.models[0]}`);
    const input = inputOf(model.inputs[0]);
    const layers = model.activations(input);
    equal(layers.length, model.layerCount, "layers");
    equal(layers.at(-1).output.raw, model.run(input).raw, "the last one is the output");
    const [maps, pool] = ["pw4_relu", "pool"].map((name) => layers.find((layer) => layer.name === name).output);
    equal(maps.spec.shape, [1, 128, 4, 4], "the shape of feature maps");
    // The mean of each channel, which is only that where channels lie one behind the other.
    const { scores } = maps;
    const means = Array.from({ length: 128 }, (_, c) => scores.subarray(16 * c, 16 * c + 16).reduce((a, b) => a + b) / 16);
    ok(new Set(means).size > 10, "channels differ");
    const most = (127 - pool.spec.zeroPoint) * pool.spec.scale;
    pool.scores.forEach((found, c) => ok(Math.abs(found - Math.min(most, means[c])) <= pool.spec.scale, `channel ${c}`));
    const kept = maps.raw.slice();
    model.run(inputOf(model.inputs[0], 2));
    equal(maps.raw, kept, "it is the caller's own");
    model.dispose();

    const [whole, strips] = await Promise.all(["whole", "strips"].map((name) => niwaki.load(`${env.base}models/${name}.niwaki`)));
    ok(strips.arenaBytes < whole.arenaBytes, "less memory");
    const raw = (each) => each.activations(input).map(({ name, output }) => [name, output.raw]);
    equal(raw(strips), raw(whole), "the same layers in strips");
    [whole, strips].forEach((each) => each.dispose());
  },

  async "a self-test names the first layer that differs"(niwaki, env) {
    const bytes = await file(env, "other-golden.niwaki");
    const model = await niwaki.load(bytes);
    const { sameBits, firstDifferingLayer } = model.selfTest();
    equal(sameBits, false, "the bits");
    equal(firstDifferingLayer.index, 2, "the layer");
    ok(firstDifferingLayer.operator, "has a name");
    model.dispose();
  },

  async "a source that is none is refused"(niwaki, env) {
    const bad = (code, source, options) => fails(niwaki, code, () => niwaki.load(source, options));
    await bad("HTTP", `${env.base}models/missing.niwaki`);
    await bad("HTTP", `${env.base}denied`);
    await bad("NOT_A_MODEL", `${env.base}page`);
    await bad("NETWORK", `${env.base}broken`);
    await bad("NETWORK", "http://127.0.0.1:1/");
    for (const source of [undefined, null, 7, {}]) await bad("NOT_A_SOURCE", source);
    const response = await fetch(`${env.base}models/${env.models[0]}`);
    await response.arrayBuffer();
    await bad("NOT_A_SOURCE", response);
    const stream = new Blob(["x"]).stream();
    stream.getReader();
    await bad("NOT_A_SOURCE", stream);
    const text = new ReadableStream({ start: (c) => c.enqueue("text") });
    await bad("NOT_A_SOURCE", text);
    const failing = new ReadableStream({ start: (c) => c.error(new Error("cable")) });
    await bad("NETWORK", failing);
    await bad("UNSUPPORTED", new Uint8Array(1), { backend: "gpu" });
  },

  async "bytes that are wrong are refused, each with its code"(niwaki, env) {
    const bytes = await file(env, env.models[0]);
    const other = await niwaki.load(bytes);
    const before = other.digests(inputOf(other.inputs[0]));
    const bad = (code, source, options) => fails(niwaki, code, () => niwaki.load(source, options));
    await bad("NOT_A_MODEL", new Uint8Array());
    await bad("NOT_A_MODEL", changed(bytes, (_, b) => (b[0] ^= 1)));
    for (const length of [9, 100, bytes.length >> 1, bytes.length - 1]) {
      await bad("TRUNCATED", bytes.slice(0, length));
      await bad("TRUNCATED", new Blob([bytes.slice(0, length)]).stream());
    }
    await bad("DAMAGED", changed(bytes, (_, b) => (b[b.length - 1] ^= 1)));
    await bad("NEWER_FORMAT", changed(bytes, (view) => view.setUint16(40, 99, true)));
    await bad("OTHER_NUMERICS", changed(bytes, (view) => view.setUint16(42, 99, true)));
    await bad("OUT_OF_MEMORY", changed(bytes, (view) => view.setUint32(48, 0xfffffff0, true)));
    await bad("INVALID", await file(env, "invalid.niwaki"));
    await bad("INTEGRITY", bytes, { integrity: `sha256-${"A".repeat(43)}=` });
    await bad("INTEGRITY", bytes, { integrity: "md5-abc" });
    equal(other.digests(inputOf(other.inputs[0])), before, "the other model");
    other.dispose();
    (await niwaki.load(bytes, { integrity: env.integrity })).dispose();
  },

  async "a load is given up"(niwaki, env) {
    const bad = (source, signal) => fails(niwaki, "ABORTED", () => niwaki.load(source, { signal }));
    await bad(`${env.base}models/${env.models[0]}`, AbortSignal.abort());
    await bad(`${env.base}endless`, AbortSignal.timeout(50));
    const never = new ReadableStream({});
    const controller = new AbortController();
    setTimeout(() => controller.abort("because"), 20);
    equal((await bad(never, controller.signal)).cause, "because", "the reason");
  },

  async "inputs that do not fit are refused, and nothing is changed"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/${env.models[0]}`);
    const [spec] = model.inputs;
    const bad = (code, input) => fails(niwaki, code, () => model.run(input));
    await bad("INPUT_TYPE", new Int8Array(spec.length));
    await bad("INPUT_TYPE", new Float64Array(spec.length));
    await bad("INPUT_TYPE", 7);
    await bad("INPUT_TYPE", null);
    await bad("INPUT_LENGTH", new Float32Array(spec.length - 1));
    await bad("INPUT_LENGTH", new Float32Array(0));
    await bad("INPUT_NAME", {});
    await bad("INPUT_NAME", { picture: inputOf(spec) });
    await bad("INPUT_NAME", { image: inputOf(spec), more: inputOf(spec) });
    await bad("INPUT_NAME", { image: [1, 2, 3] });
    equal(model.selfTest().sameBits, true, "the model");
    model.dispose();
  },

  async "a model that is gone or busy says so"(niwaki, env) {
    const url = `${env.base}models/${env.models[0]}`;
    const model = await niwaki.load(url);
    const input = inputOf(model.inputs[0]);
    const running = model.runAsync(input);
    await running;
    model.dispose();
    model.dispose();
    for (const call of ["run", "runAsync", "profile", "digests", "selfTest"]) {
      await fails(niwaki, "DISPOSED", () => model[call](input));
    }
    if (Symbol.dispose) {
      const other = await niwaki.load(url);
      other[Symbol.dispose]();
      await fails(niwaki, "DISPOSED", () => other.run(input));
    }
  },

  async "a long run is cancelled between layers, and is alone"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/${env.long}`);
    const input = inputOf(model.inputs[0]);
    const expected = model.run(input).raw.slice();
    const controller = new AbortController();
    const run = model.runAsync(input, { signal: controller.signal });
    await fails(niwaki, "BUSY", () => model.run(input));
    await fails(niwaki, "BUSY", () => model.runAsync(input));
    setTimeout(() => controller.abort(), 1);
    await fails(niwaki, "ABORTED", () => run);
    await fails(niwaki, "ABORTED", () => model.runAsync(input, { signal: AbortSignal.abort() }));
    equal(model.run(input).raw, expected, "after it");
    const other = model.runAsync(input);
    model.dispose();
    await fails(niwaki, "DISPOSED", () => other);
  },

  async "a worker gives the same, keeps a queue, and takes what is transferred"(niwaki, env) {
    const url = `${env.base}models/${env.models[0]}`;
    const here = await niwaki.load(url);
    const worker = await niwaki.loadInWorker(url);
    equal(worker.inputs, here.inputs, "the same inputs");
    const inputs = [1, 2, 3, 4, 5].map((seed) => inputOf(here.inputs[0], seed));
    const many = await Promise.all(inputs.map((input) => worker.run(input)));
    many.forEach((out, i) => {
      equal(out.raw, here.run(inputs[i]).raw, `run ${i}`);
      equal(out.top(2), here.run(inputs[i]).top(2), `best of run ${i}`);
    });
    equal(await worker.selfTest(), here.selfTest(), "the self-test");
    equal(await worker.digests(inputs[0]), here.digests(inputs[0]), "digests");
    equal((await worker.profile(inputs[0])).length, here.layerCount, "the profile");
    const given = inputs[1].slice();
    equal((await worker.run(given, { transfer: true })).raw, many[1].raw, "transferred");
    equal(given.length, 0, "what was transferred");
    await fails(niwaki, "INPUT_LENGTH", () => worker.run(new Float32Array(3)));
    await fails(niwaki, "INPUT_TYPE", () => worker.run(new Int16Array(784)));
    const waits = worker.run(inputs[0]);
    worker.dispose();
    await fails(niwaki, "DISPOSED", () => waits);
    await fails(niwaki, "DISPOSED", () => worker.run(inputs[0]));
    here.dispose();
  },

  async "a worker's run is cancelled, in the queue and at work"(niwaki, env) {
    const worker = await niwaki.loadInWorker(`${env.base}models/${env.long}`);
    const input = inputOf(worker.inputs[0]);
    const expected = (await worker.run(input)).raw;
    const [atWork, queued] = [new AbortController(), new AbortController()];
    const first = worker.run(input, { signal: atWork.signal });
    const second = worker.run(input, { signal: queued.signal });
    const third = worker.run(input);
    queued.abort();
    await fails(niwaki, "ABORTED", () => second);
    setTimeout(() => atWork.abort(), 1);
    await fails(niwaki, "ABORTED", () => first);
    equal((await third).raw, expected, "the one behind");
    worker.dispose();
  },

  async "a worker that cannot load says why"(niwaki, env) {
    await fails(niwaki, "NOT_A_MODEL", () => niwaki.loadInWorker(new Uint8Array(10)));
    await fails(niwaki, "ABORTED", () =>
      niwaki.loadInWorker(`${env.base}endless`, { signal: AbortSignal.timeout(30) }),
    );
  },

  async "memory stays where it is over 100,000 runs"(niwaki, env) {
    const model = await niwaki.load(`${env.base}models/ad01.niwaki`);
    const input = inputOf(model.inputs[0]);
    const run = (times) => {
      for (let i = 0; i < times; i++) model.run(input).top(1);
    };
    run(100);
    const [wasm, heap] = [model.memoryBytes, await env.heapBytes()];
    run(100_000);
    equal(model.memoryBytes, wasm, "WebAssembly memory");
    within(await env.heapBytes(), heap, "JavaScript heap");
    model.dispose();
  },

  async "memory stays where it is over 10,000 loads"(niwaki, env) {
    const bytes = await file(env, env.models[0]);
    let wasm;
    const cycle = async (times) => {
      for (let i = 0; i < times; i++) {
        const model = await niwaki.load(bytes);
        wasm = model.memoryBytes;
        model.dispose();
      }
    };
    await cycle(100);
    const [wasmBefore, heap] = [wasm, await env.heapBytes()];
    await cycle(10_000);
    equal(wasm, wasmBefore, "WebAssembly memory of the last model");
    within(await env.heapBytes(), heap, "JavaScript heap");
  },
};

/** Within 1 %, and what the engine's own compiler takes for code that has become hot since. */
function within(found, before, what) {
  const compiled = 64 * 1024;
  ok(found <= before * 1.01 + compiled, `${what}: ${found} bytes, and ${before} before`);
}
