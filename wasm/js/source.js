// The bytes of a model, from wherever they are.

import { NiwakiError, check, fail } from "./errors.js";

/** All of a stream; `total` is how many bytes there should be, where that is known. */
async function drain(stream, total, { signal, onProgress }) {
  if (stream.locked) fail("NOT_A_SOURCE", "the stream has been read already");
  const reader = stream.getReader();
  const stop = () => reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", stop, { once: true });
  const chunks = [];
  let loaded = 0;
  try {
    for (;;) {
      check(signal, "the load");
      const { done, value } = await reader.read();
      check(signal, "the load");
      if (done) break;
      if (!(value instanceof Uint8Array)) fail("NOT_A_SOURCE", "the stream is not one of bytes");
      chunks.push(value);
      loaded += value.length;
      onProgress?.({ loaded, total });
    }
  } catch (error) {
    stop();
    throw wrap(error, signal, "the stream broke off");
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  if (chunks.length === 1) return chunks[0];
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function wrap(error, signal, sentence) {
  if (error instanceof NiwakiError) return error;
  const [code, message] = signal?.aborted ? ["ABORTED", "the load was aborted"] : ["NETWORK", sentence];
  return new NiwakiError(code, message, { cause: error });
}

async function ofResponse(response, options) {
  const { ok, status, url, headers, body, bodyUsed } = response;
  if (bodyUsed) fail("NOT_A_SOURCE", "the response has been read already");
  if (!ok) {
    body?.cancel().catch(() => {});
    fail("HTTP", `${url || "the server"} answers with status ${status}`);
  }
  // A length that is of the compressed bytes says nothing of ours.
  const length = headers.get("content-encoding") ? null : headers.get("content-length");
  const bytes = body ? await drain(body, length === null ? null : +length, options) : new Uint8Array();
  // `<!DOCTYPE html>`: what a server of single-page applications gives for any address.
  if (bytes[0] === 0x3c) fail("NOT_A_MODEL", `${url || "the response"} is a page, not a model`);
  return bytes;
}

/** The bytes behind `source`; see `Source` in `niwaki.d.ts`. */
export async function read(source, options, platform) {
  const { signal, onProgress } = options;
  check(signal, "the load");
  const whole = (bytes) => {
    onProgress?.({ loaded: bytes.length, total: bytes.length });
    return bytes;
  };
  if (source instanceof ArrayBuffer) return whole(new Uint8Array(source));
  if (ArrayBuffer.isView(source)) {
    return whole(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
  }
  if (source instanceof Blob) return drain(source.stream(), source.size, options);
  if (source instanceof ReadableStream) return drain(source, null, options);
  if (source instanceof Response) return ofResponse(source, options);
  if (typeof source === "string" || source instanceof URL || source instanceof Request) {
    let response;
    try {
      response = await platform.fetch(source, { signal });
    } catch (error) {
      throw wrap(error, signal, `${source.url ?? source} cannot be fetched`);
    }
    return ofResponse(response, options);
  }
  return fail("NOT_A_SOURCE", "this is no source of a model");
}

/** Throws when the bytes have not the hash that `integrity` names: `sha256-` and base64. */
export async function verify(bytes, integrity) {
  const [, bits, hash] = /^sha(256|384|512)-([A-Za-z0-9+/]+={0,2})$/.exec(integrity) ?? [];
  if (!bits) fail("INTEGRITY", `\`${integrity}\` is no hash like sha256-…`);
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) fail("UNSUPPORTED", "a page needs https for hashes");
  const digest = new Uint8Array(await subtle.digest(`SHA-${bits}`, bytes));
  const found = btoa(String.fromCharCode(...digest));
  if (found !== hash) fail("INTEGRITY", `the file has the hash sha${bits}-${found}, not ${integrity}`);
}
