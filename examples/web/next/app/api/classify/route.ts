import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { load } from "niwaki";

import { normalise } from "../../images";

// Once for all requests.
const model = readFile(join(process.cwd(), "public/digits.niwaki")).then((bytes) => load(bytes));

/** Takes the 784 bytes of an image, and gives its digit. */
export async function POST(request: Request): Promise<Response> {
  const image = new Uint8Array(await request.arrayBuffer());
  if (image.length !== 784) return new Response("784 bytes, please", { status: 400 });
  return new Response((await model).run(normalise(image)).top(1)[0].label);
}
