// The suite, in Node and in Chromium. `cargo xtask test` builds the package and the models for it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { env as environment, execPath, memoryUsage } from "node:process";
import { after, before, describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";

import { chromium } from "playwright-core";

import * as niwaki from "../pkg/node.js";
import * as inlined from "../pkg/inline.js";
import { start } from "./fixtures.mjs";
import { equal, inputOf, tests } from "./suite.mjs";

const CHROMIUM = environment.NIWAKI_CHROMIUM;
const fixtures = await start();
after(() => fixtures.stop());

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

async function heapBytes() {
  // Twice, with a pause: memory outside of the heap is let go by finalisers.
  for (let i = 0; i < 3; i++) {
    gc();
    await pause();
  }
  const { heapUsed, external } = memoryUsage();
  return heapUsed + external;
}

const digests = { node: {}, chromium: {} };
const note = (home) => (name, found) => (digests[home][name] = [...found].map(String));

describe("Node", () => {
  for (const [name, run] of Object.entries(tests)) {
    test(name, () => run(niwaki, { ...fixtures.env, heapBytes, digests: note("node") }));
  }

  test("a file by its address", async () => {
    const model = await niwaki.load(new URL(`file://${environment.NIWAKI_TEST_MODELS}/digits.niwaki`));
    assert.equal(model.selfTest().sameBits, true);
    await assert.rejects(niwaki.load("file:///no/such.niwaki"), { code: "NETWORK" });
  });

  test("the inlined package fetches nothing", async () => {
    const bytes = await (await fetch(`${fixtures.env.base}models/digits.niwaki`)).arrayBuffer();
    const before = fixtures.server.seen.length;
    assert.equal((await inlined.load(bytes)).selfTest().sameBits, true);
    assert.equal(fixtures.server.seen.length, before);
  });

  test("a worker that waits keeps no process alive", () => {
    const script = `
      import { loadInWorker } from ${JSON.stringify(new URL("../pkg/node.js", import.meta.url).href)};
      const model = await loadInWorker("${fixtures.env.base}models/digits.niwaki");
      await model.run(new Float32Array(784));`;
    return new Promise((resolve, reject) => {
      import("node:child_process").then(({ execFile }) =>
        execFile(execPath, ["--input-type=module", "-e", script], { timeout: 20_000 }, (error) =>
          error ? reject(error) : resolve(),
        ),
      );
    });
  });
});

describe("Chromium", { skip: CHROMIUM ? false : "NIWAKI_CHROMIUM names no browser" }, () => {
  let browser;
  let page;
  let session;
  before(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      // CI runs as root, where there is no sandbox.
      args: ["--no-sandbox", "--js-flags=--expose-gc"],
    });
    page = await browser.newPage();
    await page.goto(`${fixtures.env.base}test/page.html`);
    session = await page.context().newCDPSession(page);
    await page.exposeFunction("heapBytes", async () => {
      for (let i = 0; i < 3; i++) {
        await session.send("HeapProfiler.collectGarbage");
        await pause();
      }
      const { usedSize, backingStorageSize = 0 } = await session.send("Runtime.getHeapUsage");
      return usedSize + backingStorageSize;
    });
    await page.exposeFunction("digests", (name, found) => note("chromium")(name, found));
  });
  after(() => browser?.close());

  for (const name of Object.keys(tests)) {
    test(name, () =>
      page.evaluate(
        async ([name, env]) => {
          const [niwaki, { tests }] = await Promise.all([import("/pkg/browser.js"), import("/test/suite.mjs")]);
          const digests = (model, found) => window.digests(model, [...found].map(String));
          await tests[name](niwaki, { ...env, heapBytes: window.heapBytes, digests });
        },
        [name, fixtures.env],
      ),
    );
  }

  test("a page with a strict Content-Security-Policy: model, worker, nothing refused", async () => {
    const strict = await browser.newPage();
    const complaints = [];
    strict.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    strict.on("pageerror", (error) => complaints.push(String(error)));
    await strict.goto(`${fixtures.env.base}csp/csp.html`);
    await strict.waitForSelector("[data-result]", { state: "attached", timeout: 20_000 });
    assert.deepEqual(complaints, []);
    assert.equal(await strict.getAttribute("[data-result]", "data-result"), "true true refused");
    await strict.close();
  });

  test("the main thread is free while a large file is loaded", async () => {
    const [least, megabytes] = await page.evaluate(async (base) => {
      const { load } = await import("/pkg/browser.js");
      const bytes = await (await fetch(`${base}models/long.niwaki`)).arrayBuffer();
      await load(bytes.slice(0));
      // The least: what others do on this machine at that moment is not ours.
      let least = Infinity;
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        await load(bytes);
        least = Math.min(least, performance.now() - start);
      }
      return [least, bytes.byteLength / 1e6];
    }, fixtures.env.base);
    assert.ok(least < 16 * megabytes, `${least} ms for ${megabytes} MB`);
  });

  test("every model has the same digests as in Node", () => {
    assert.equal(Object.keys(digests.chromium).length, fixtures.env.models.length);
    equal(digests.chromium, digests.node, "digests");
  });
});

describe("packages for one model", () => {
  const open = (name) => import(`${environment.NIWAKI_TEST_MODELS}/web/${name}/index.js`);

  for (const name of ["digits", "kws01"]) {
    test(`${name} runs as in the whole package`, async () => {
      const { load } = await open(name);
      const [mine, whole] = [await load(), await niwaki.load(`${fixtures.env.base}models/${name}.niwaki`)];
      equal(mine.selfTest(), { sameBits: true, firstDifferingLayer: null }, "the self-test");
      const input = inputOf(mine.inputs[0]);
      equal(mine.digests(input), whole.digests(input), "digests");
      equal(mine.run(input).top(3), whole.run(input).top(3), "the best");
    });

    test(`${name} tests itself in Chromium`, { skip: !CHROMIUM }, async () => {
      const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
      try {
        const page = await browser.newPage();
        await page.goto(`${fixtures.env.base}web/${name}/selftest.html`);
        await page.waitForSelector("[data-same-bits]", { timeout: 20_000 });
        assert.equal(await page.getAttribute("#result", "data-same-bits"), "true");
      } finally {
        await browser.close();
      }
    });
  }

  test("a binary for one model refuses another, by code", async () => {
    const { open: start } = await import(`${environment.NIWAKI_TEST_MODELS}/web/kws01/runtime.js`);
    const at = (path) => new URL(`file://${environment.NIWAKI_TEST_MODELS}/${path}`);
    const binaries = { simd128: at("web/kws01/simd128.wasm"), scalar: at("web/kws01/scalar.wasm") };
    await assert.rejects(start({ ...binaries, model: at("ic01.niwaki") }), (error) => {
      assert.equal(error.code, "INVALID");
      return /operator code \d+ is not in this program's operator set/.test(error.message);
    });
  });
});

describe("types and manifest", () => {
  const WASM = fileURLToPath(new URL("..", import.meta.url));
  const run = (program, ...options) => {
    const path = join(WASM, "node_modules/.bin", program);
    try {
      return execFileSync(execPath, [path, ...options], { cwd: WASM, encoding: "utf8", stdio: "pipe" });
    } catch ({ stdout, stderr }) {
      throw new Error(`${program} complains:\n${stdout}${stderr}`);
    }
  };

  test("tsc --strict", () => run("tsc", "--project", "test/tsconfig.json"));
  for (const name of ["digits", "kws01"]) {
    const folder = `${environment.NIWAKI_TEST_MODELS}/web/${name}`;
    test(`types of the package for ${name}`, () =>
      run("tsc", "--strict", "--noEmit", "--target", "es2022", "--lib", "esnext,dom", "--types", "", `${folder}/index.d.ts`));
    test(`publint of the package for ${name}`, () => run("publint", "--strict", folder));
  }
  test("publint", () => run("publint", "--strict", "pkg"));
  test("are the types wrong?", () =>
    {
    const files = ["./simd128.wasm", "./scalar.wasm", "./package.json"];
    run("attw", "--pack", "pkg", "--profile", "esm-only", "--exclude-entrypoints", ...files);
  });
});
