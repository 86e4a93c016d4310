/** Ten images of 28 by 28 bytes, as the model wants them: 0 to 1, black is 0. */
export async function loadImages(url: string | URL): Promise<Float32Array[]> {
  const response = await fetch(url);
  const bytes = new Uint8Array(await response.arrayBuffer()).slice(-7840);
  const pixels = Float32Array.from(bytes, (grey) => grey / 255);
  return Array.from({ length: 10 }, (_, i) => pixels.slice(784 * i, 784 * (i + 1)));
}
