// Pictures and sound as elements of an input, where the artifact says how (`runtime/FORMAT.md`, 8).
// Fetched for models alone that say so.

/**
 * What a run takes for what it was given: raw data become elements, all else stays. `fail` throws
 * the package's error, of which there has to be one class.
 */
export function convert(inputs, given, fail) {
  const isRaw = (data) => data !== null && typeof data === "object" && !ArrayBuffer.isView(data);
  const [first] = inputs;
  if (!isRaw(given)) return given;
  if (isPicture(given) || isSound(given)) return elements(first, given, fail);
  return Object.fromEntries(
    Object.entries(given).map(([name, data]) => {
      const spec = inputs.find((spec) => spec.name === name);
      return [name, spec && isRaw(data) ? elements(spec, data, fail) : data];
    }),
  );
}

const isSound = (data) => typeof data.getChannelData === "function";
const isPixels = ({ data, width, height }) => data?.length === 4 * width * height;
/** Pixels, or what a canvas draws. */
const isPicture = (data) =>
  isPixels(data) ||
  ["HTMLCanvasElement", "OffscreenCanvas", "HTMLImageElement", "HTMLVideoElement", "ImageBitmap", "VideoFrame"].some(
    (name) => name in globalThis && data instanceof globalThis[name],
  );

function elements(spec, source, fail) {
  const { image, audio } = spec.preprocess ?? {};
  if (image && isPicture(source)) return quantize(spec, pixels(image, spec.shape, source, fail), fail);
  if (audio && isSound(source)) return quantize(spec, samples(audio, spec, source, fail), fail);
  const wanted = image ? "a picture" : audio ? "sound" : "elements: the model does not say what to do with raw data";
  return fail("INPUT_TYPE", `input \`${spec.name}\` takes ${wanted}`);
}

/** The pixels of a picture in the size of the input, which it is stretched to. */
function rgba(source, width, height, fail) {
  if (isPixels(source) && source.width === width && source.height === height) return source.data;
  if (typeof OffscreenCanvas !== "function") {
    fail("INPUT_LENGTH", `the picture has ${source.width}x${source.height} pixels, not ${width}x${height}`);
  }
  const draw = (picture, width, height, put) => {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    if (put) context.putImageData(picture, 0, 0);
    else context.drawImage(picture, 0, 0, width, height);
    return context;
  };
  const picture = isPixels(source) ? draw(source, source.width, source.height, true).canvas : source;
  return draw(picture, width, height).getImageData(0, 0, width, height).data;
}

function pixels({ color, layout, rescale, mean = [], std = [] }, shape, source, fail) {
  const last = layout === "nhwc";
  const [height, width] = last ? shape.slice(-3) : shape.slice(-2);
  const data = rgba(source, width, height, fail);
  const order = { rgb: [0, 1, 2], bgr: [2, 1, 0], gray: [0] }[color];
  const channels = order.length;
  const count = width * height;
  const out = new Float64Array(count * channels);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < channels; channel++) {
      const at = 4 * i;
      const value =
        color === "gray"
          ? (299 * data[at] + 587 * data[at + 1] + 114 * data[at + 2]) / 1000
          : data[at + order[channel]];
      const to = last ? i * channels + channel : channel * count + i;
      out[to] = (value * rescale - (mean[channel] ?? 0)) / (std[channel] ?? 1);
    }
  }
  return out;
}

function samples({ sample_rate: rate }, { name, length }, sound, fail) {
  if (sound.sampleRate !== rate) {
    fail(
      "INPUT_TYPE",
      `input \`${name}\` takes ${rate} samples a second, not ${sound.sampleRate}: record or decode in \`new AudioContext({ sampleRate: ${rate} })\``,
    );
  }
  if (sound.length !== length) fail("INPUT_LENGTH", `input \`${name}\` has ${length} samples, not ${sound.length}`);
  const out = new Float64Array(length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    sound.getChannelData(channel).forEach((sample, i) => (out[i] += sample / sound.numberOfChannels));
  }
  return out;
}

/** The least and the largest of each integer that an input may be of. */
const RANGE = {
  int8: [Int8Array, -128, 127],
  uint8: [Uint8Array, 0, 255],
  int16: [Int16Array, -32768, 32767],
  uint16: [Uint16Array, 0, 65535],
};

/** To the nearest, and to the even one of two that are as near. */
function round(x) {
  const low = Math.floor(x);
  const above = x - low;
  return above > 0.5 || (above === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

function quantize({ dtype, scale, zeroPoint }, real, fail) {
  if (dtype === "float32") return Float32Array.from(real);
  const [Elements, low, high] = RANGE[dtype] ?? fail("INPUT_TYPE", `no raw data become ${dtype}`);
  return Elements.from(real, (x) => Math.min(Math.max(round(x / (scale || 1)) + zeroPoint, low), high));
}
