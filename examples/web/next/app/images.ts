/** Ten images of 28 by 28 bytes, black is 0. */
export async function loadImages(url: string): Promise<Uint8Array<ArrayBuffer>[]> {
  const response = await fetch(url);
  const bytes = new Uint8Array(await response.arrayBuffer()).slice(-7840);
  return Array.from({ length: 10 }, (_, i) => bytes.slice(784 * i, 784 * (i + 1)));
}

/** An image as the model wants it: 0 to 1. */
export function normalise(image: Uint8Array): Float32Array {
  return Float32Array.from(image, (grey) => grey / 255);
}
