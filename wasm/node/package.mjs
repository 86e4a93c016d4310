// The built package, as a program in Node opens it.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Opens the package in a folder and returns its exports. */
export async function openPackage(folder) {
  const niwaki = await import(pathToFileURL(join(folder, "niwaki.js")));
  // The default export fetches the module by URL, which Node does not do for files.
  niwaki.initSync({ module: await readFile(join(folder, "niwaki_bg.wasm")) });
  return niwaki;
}
