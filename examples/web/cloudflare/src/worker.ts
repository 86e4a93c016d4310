import { load } from "niwaki";
import type { Model } from "niwaki";

import digits from "../public/digits.niwaki";

let model: Promise<Model> | undefined;

export default {
  /** Takes the 784 bytes of an image of 28 by 28, black is 0, and gives the best three digits. */
  async fetch(request: Request): Promise<Response> {
    if (request.method !== "POST") return new Response("POST an image", { status: 405 });
    const grey = new Uint8Array(await request.arrayBuffer());
    if (grey.length !== 784) return new Response("784 bytes, please", { status: 400 });
    // Once for all requests that this instance of the worker serves.
    model ??= load(digits);
    const out = (await model).run(Float32Array.from(grey, (value) => value / 255));
    return Response.json(out.top(3));
  },
};
