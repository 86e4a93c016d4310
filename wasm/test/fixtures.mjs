// What both test programs need: a server, and files with something wrong.

import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile, copyFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { fileURLToPath } from "node:url";

import { serve } from "./server.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const MODELS = env.NIWAKI_TEST_MODELS;
if (!MODELS) throw new Error("set NIWAKI_TEST_MODELS to a folder, as `cargo xtask test` does");

/** Where the header has the places of the sections; see runtime/FORMAT.md. */
const SECTION_AT = { operators: 72, golden: 96 };

/** The file with its bytes changed, and the SHA-256 that makes it whole again. */
function resealed(file, change) {
  const bytes = Buffer.from(file);
  change(bytes);
  createHash("sha256").update(bytes.subarray(40)).digest().copy(bytes, 8);
  return bytes;
}

/** Starts the server on a folder of models and bad files. */
export async function start() {
  const folder = await mkdtemp(join(tmpdir(), "niwaki-web-"));
  for (const name of await readdir(MODELS)) {
    if (name.endsWith(".niwaki")) await copyFile(join(MODELS, name), join(folder, name));
  }
  for (const [name, golden] of Object.entries({ whole: "digits", strips: "digits-strips" })) {
    await copyFile(here(`../../tests/golden/format-3/${golden}.niwaki`), join(folder, `${name}.niwaki`));
  }
  const digits = await readFile(join(folder, "digits.niwaki"));
  const section = (name) => digits.readUInt32LE(SECTION_AT[name]);
  const files = {
    "other-golden": resealed(digits, (bytes) => (bytes[section("golden") + 8 + 2 * 8] ^= 1)),
    invalid: resealed(digits, (bytes) => bytes.writeUInt16LE(9999, section("operators"))),
  };
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(join(folder, `${name}.niwaki`), bytes);
  }
  const server = await serve({
    pkg: here("../pkg"),
    test: here("."),
    csp: here("."),
    "csp-pkg": here("../pkg"),
    models: folder,
    web: join(MODELS, "web"),
  });
  return {
    env: {
      base: server.base,
      models: ["digits", "kws01", "ic01", "vww01", "ad01", "sww01"].map((name) => `${name}.niwaki`),
      long: "long.niwaki",
      integrity: `sha256-${createHash("sha256").update(digits).digest("base64")}`,
    },
    server,
    async stop() {
      server.close();
      await rm(folder, { recursive: true });
    },
  };
}
