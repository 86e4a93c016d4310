// Runs a test binary of cargo's for WASI in Chromium, which has relaxed SIMD:
//
//     node wasi.mjs BINARY.wasm ARGUMENTS
//
// `cargo xtask test` names it as cargo's runner, for the runtime's tests of its kernels.

import { readFile } from "node:fs/promises";
import { argv, env, exit, stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { chromium } from "playwright-core";

const [binary, ...options] = argv.slice(2);

/** The page's part: WASI, and what the binary says and leaves with. */
const { outputFiles } = await build({
  stdin: {
    contents: `
      import { WASI, File, OpenFile, ConsoleStdout } from "@bjorn3/browser_wasi_shim";
      globalThis.start = async (base64, args) => {
        const said = { out: "", err: "" };
        const to = (name) => ConsoleStdout.lineBuffered((line) => (said[name] += line + "\\n"));
        const wasi = new WASI(args, [], [new OpenFile(new File([])), to("out"), to("err")]);
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
        let code = 134;
        try {
          const { instance } = await WebAssembly.instantiate(bytes, { wasi_snapshot_preview1: wasi.wasiImport });
          code = wasi.start(instance);
        } catch (error) {
          said.err += String(error) + "\\n";
        }
        return { code, ...said };
      };`,
    resolveDir: fileURLToPath(new URL("..", import.meta.url)),
  },
  bundle: true,
  write: false,
  format: "iife",
});

const browser = await chromium.launch({
  executablePath: env.NIWAKI_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
let result;
try {
  const page = await browser.newPage();
  await page.addScriptTag({ content: outputFiles[0].text });
  const base64 = (await readFile(binary)).toString("base64");
  result = await page.evaluate(([bytes, args]) => globalThis.start(bytes, args), [base64, [binary, ...options]]);
} finally {
  await browser.close();
}
stdout.write(result.out);
stderr.write(result.err);
exit(result.code);
