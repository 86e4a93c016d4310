// The suite, in Node and in Chromium. `cargo xtask test` builds the package and the models for it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env as environment, execPath, memoryUsage } from "node:process";
import { after, before, describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";

import { chromium } from "playwright-core";

import * as niwaki from "../pkg/node.js";
import * as inlined from "../pkg/inline.js";
import { runs } from "../js/backends.js";
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
    test(name, () => run(niwaki, { ...fixtures.env, heapBytes, digests: note("node"), relaxed: runs("relaxed") }));
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
        // A Chromium of today has it, whatever the machine.
        [name, { ...fixtures.env, relaxed: true }],
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

  test("what a canvas draws is a picture", async () => {
    const found = await page.evaluate(async (base) => {
      const { load } = await import("/pkg/browser.js");
      const model = await load(`${base}models/photo.niwaki`);
      const draw = (canvas) => {
        Object.assign(canvas, { width: 96, height: 96 });
        const context = canvas.getContext("2d");
        for (let i = 0; i < 96; i += 4) {
          context.fillStyle = `rgb(${i * 2}, ${200 - i}, ${i})`;
          context.fillRect(i, 0, 4, 96 - i);
        }
        return canvas;
      };
      const canvas = draw(document.createElement("canvas"));
      const image = new Image();
      image.src = canvas.toDataURL();
      await image.decode();
      const context = canvas.getContext("2d");
      const wanted = String(model.digests(context.getImageData(0, 0, 96, 96)));
      const pictures = {
        canvas,
        offscreen: draw(new OffscreenCanvas(96, 96)),
        bitmap: await createImageBitmap(canvas),
        image,
        frame: new VideoFrame(canvas, { timestamp: 0 }),
      };
      const same = Object.entries(pictures).map(([name, picture]) => [name, String(model.digests(picture)) === wanted]);
      pictures.frame.close();
      // Of another size, they are stretched.
      const large = new OffscreenCanvas(192, 192);
      large.getContext("2d").fillRect(0, 0, 192, 192);
      const black = model.run(large).raw.slice();
      const small = model.run(large.getContext("2d").getImageData(0, 0, 96, 96)).raw.slice();
      const pixels = model.run(large.getContext("2d").getImageData(0, 0, 192, 192)).raw.slice();
      const sound = await load(`${base}models/sound.niwaki`);
      const buffer = new AudioBuffer({ length: 640, sampleRate: 16000 });
      buffer.getChannelData(0).fill(0.25);
      const heard = String(sound.digests(buffer)) === String(sound.digests(new Float32Array(640).fill(0.25)));
      return { ...Object.fromEntries(same), stretched: String(black) === String(small) && String(pixels) === String(small), heard };
    }, fixtures.env.base);
    assert.deepEqual(found, {
      canvas: true,
      offscreen: true,
      bitmap: true,
      image: true,
      frame: true,
      stretched: true,
      heard: true,
    });
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
  test("a package takes raw data, where its model says how", async () => {
    const { load } = await open("photo");
    const [mine, whole] = [await load(), await niwaki.load(`${fixtures.env.base}models/photo.niwaki`)];
    const data = Uint8ClampedArray.from({ length: 4 * 96 * 96 }, (_, i) => (i * 31) % 256);
    const picture = { data, width: 96, height: 96 };
    equal(mine.digests(picture), whole.digests(picture), "digests");
    await assert.rejects(async () => mine.run({ ...picture, width: 95 }), { code: "INPUT_NAME" });
  });

  test("a package for one model refuses all other files, by code", async () => {
    const models = environment.NIWAKI_TEST_MODELS;
    const folder = await mkdtemp(join(tmpdir(), "niwaki-"));
    try {
      await cp(join(models, "web/kws01"), folder, { recursive: true });
      const { load } = await import(`file://${folder}/index.js`);
      const file = join(folder, "kws01.niwaki");
      const own = await readFile(file);
      const damaged = Uint8Array.from(own);
      damaged[damaged.length >> 1] ^= 1;
      const others = [
        await readFile(join(models, "ic01.niwaki")),
        damaged,
        own.subarray(0, 1000),
        new Uint8Array(),
        "<!doctype html>",
      ];
      for (const other of others) {
        await writeFile(file, other);
        await assert.rejects(load(), (error) => {
          assert.equal(error.code, "INVALID");
          return /not the file that the package was made for, or it is damaged/.test(error.message);
        });
      }
      await writeFile(file, own);
      assert.equal((await load()).selfTest().sameBits, true);
    } finally {
      await rm(folder, { recursive: true });
    }
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
  for (const name of ["digits", "kws01", "photo"]) {
    const folder = `${environment.NIWAKI_TEST_MODELS}/web/${name}`;
    test(`types of the package for ${name}`, () =>
      run("tsc", "--strict", "--noEmit", "--target", "es2022", "--lib", "esnext,dom", "--types", "", `${folder}/index.d.ts`));
    test(`publint of the package for ${name}`, () => run("publint", "--strict", folder));
  }
  test("publint", () => run("publint", "--strict", "pkg"));
  test("are the types wrong?", () =>
    {
    const files = ["./relaxed.wasm", "./simd128.wasm", "./scalar.wasm", "./package.json"];
    run("attw", "--pack", "pkg", "--profile", "esm-only", "--exclude-entrypoints", ...files);
  });
});
