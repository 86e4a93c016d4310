// The demo site in Chromium, as a visitor uses it. `cargo xtask site` builds it into out/site.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { env } from "node:process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { serve } from "./server.mjs";

const CHROMIUM = env.NIWAKI_CHROMIUM;
const SITE = fileURLToPath(new URL("../../out/site", import.meta.url));
const WIDTHS = [360, 1200];
const WAIT = { timeout: 20_000 };
/** A 7 as a hand draws it, as parts of the sheet. */
const SEVEN = [[0.25, 0.22], [0.5, 0.2], [0.76, 0.2], [0.66, 0.4], [0.55, 0.62], [0.46, 0.85]];

describe("the demo site", { skip: CHROMIUM ? false : "NIWAKI_CHROMIUM names no browser" }, () => {
  let browser;
  let server;
  let url;
  before(async () => {
    server = await serve({ site: SITE });
    url = `${server.base}site/index.html`;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  });
  after(async () => {
    await browser?.close();
    server?.close();
  });

  /** Opens the page, does something, and wants no complaint: of the page, its policy, or a request. */
  async function visit(use, options = {}, address = url) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("requestfailed", (request) => complaints.push(`${request.url()} fails`));
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
        console.error(`violates ${violatedDirective}: ${blockedURI}`),
      );
    });
    try {
      await page.goto(address);
      await page.waitForSelector("html[data-ready]", WAIT);
      await use(page, context);
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  }

  async function draw(page, points) {
    const paper = page.locator("#paper");
    await paper.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await paper.boundingBox();
    const at = ([a, b]) => [x + a * width, y + b * height];
    await page.mouse.move(...at(points[0]));
    await page.mouse.down();
    for (const point of points) await page.mouse.move(...at(point), { steps: 5 });
    await page.mouse.up();
  }

  const press = async (page, key, times) => {
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
  };

  test("a drawn 7 is called 7, with every layer's picture and time", () =>
    visit(async (page) => {
      await draw(page, SEVEN);
      await page.waitForSelector('#digit-verdict[data-digit="7"]', WAIT);
      assert.match(await page.textContent("#digit-verdict"), /This is a 7/);
      const layers = page.locator("#digit-layers li");
      assert.equal(await layers.count(), 12);
      // A picture of one colour would be of a layer that has computed nothing.
      const colours = await page.$$eval("#digit-layers canvas", (all) =>
        all.map((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer).filter((pixel) => pixel >>> 24 === 255)).size;
        }),
      );
      assert.ok(colours.every((count) => count > 1), String(colours));
      await page.waitForFunction(() => /One run takes/.test(document.querySelector("#digit-note").textContent), null, WAIT);
      const times = await page.$$eval("#digit-layers .name > :last-child", (all) => all.map((each) => each.textContent));
      assert.ok(times.every((text) => /µs|ms/.test(text)), String(times));

      await page.click("#clear");
      await page.waitForSelector('#digit-verdict[data-digit=""]', WAIT);
    }));

  test("images of the test set are read as they are labelled", () =>
    visit(async (page) => {
      const { digits } = JSON.parse(await readFile(`${SITE}/data/facts.json`, "utf8"));
      let right = 0;
      for (const label of digits) {
        await page.click("#example");
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        right += Number((await page.getAttribute("#digit-verdict", "data-digit")) === String(label));
      }
      assert.equal(right, digits.length);
    }));

  test("a 1 is drawn by keyboard alone", () =>
    visit(async (page) => {
      await page.locator(".skip").focus();
      await page.keyboard.press("Enter");
      let focused = "";
      for (let tabs = 0; tabs < 10 && focused !== "paper"; tabs++) {
        await page.keyboard.press("Tab");
        focused = await page.evaluate(() => document.activeElement.id);
      }
      assert.equal(focused, "paper");
      await press(page, "ArrowRight", 7);
      await press(page, "Space", 1);
      await press(page, "ArrowDown", 18);
      await press(page, "Space", 1);
      await page.waitForSelector('#digit-verdict[data-digit="1"]', WAIT);
      await press(page, "Delete", 1);
      await page.waitForSelector('#digit-verdict[data-digit=""]', WAIT);
      // Every control has a name, and can be reached.
      const nameless = await page.$$eval("button, select, input, canvas, summary, a", (all) =>
        all.filter((each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length || each.closest("[aria-label]"))).map((each) => each.outerHTML),
      );
      assert.deepEqual(nameless, []);
    }));

  test("replayed recordings are called what they are", () =>
    visit(async (page) => {
      const options = await page.$$eval("#recording option", (all) => all.map(({ value, textContent }) => [value, textContent]));
      assert.equal(options.length, 12);
      for (const [value, text] of options) {
        await page.selectOption("#recording", value);
        const activity = text.split(" ")[0].toLowerCase();
        await page.waitForSelector(`#motion-verdict[data-activity="${activity}"]`, WAIT);
      }
      await page.selectOption("#recording", { label: "Walking 1" });
      const seen = new Set();
      await page.click("#replay");
      assert.equal(await page.textContent("#replay"), "Stop");
      while ((await page.textContent("#replay")) === "Stop") {
        seen.add(await page.getAttribute("#motion-verdict", "data-activity"));
        await page.waitForTimeout(100);
      }
      assert.deepEqual([...seen], ["walking"]);
    }));

  test("a phone that is waved gives an activity", () =>
    visit(async (page) => {
      await page.click("#sensors");
      // Sensors as a phone has them, at 60 Hz: nothing but noise.
      await page.evaluate(() => {
        setInterval(() => {
          const acceleration = { x: 0.01, y: -0.02, z: 0.01 };
          const rotationRate = { alpha: 0.2, beta: -0.1, gamma: 0.1 };
          dispatchEvent(new DeviceMotionEvent("devicemotion", { acceleration, rotationRate, interval: 16 }));
        }, 16);
      });
      await page.waitForFunction(() => /Standing/.test(document.querySelector("#motion-verdict").textContent), null, WAIT);
      await page.click("#sensors");
      assert.match(await page.textContent("#sensors"), /Use this device/);
    }));

  test("the bits are the same on every machine", () =>
    visit(async (page) => {
      assert.equal(await page.getAttribute("#bits-verdict", "data-same"), "true");
      assert.match(await page.textContent("#bits-verdict"), /same bits in all 21 layers/);
      const facts = JSON.parse(await readFile(`${SITE}/data/facts.json`, "utf8"));
      for (const { homes } of facts.models) {
        const last = homes.find(({ home }) => home === "host").digests.at(-1);
        const shown = await page.$$eval("#bits-tables .mono", (all) => all.map((each) => each.textContent));
        // Both backends and the host, at least.
        assert.ok(shown.filter((text) => text === last).length >= 3, last);
      }
    }));

  test("a digest of another machine that differs is seen", async () => {
    const context = await browser.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    await page.route("**/facts.json", async (route) => {
      const facts = await (await route.fetch()).json();
      facts.models[1].homes[0].digests[4] = "0000000000000000";
      await route.fulfill({ json: facts });
    });
    await page.goto(url);
    await page.waitForSelector('#bits-verdict[data-same="false"]', WAIT);
    assert.match(await page.textContent("#bits-verdict"), /layer 4 of Motion/);
    await context.close();
  });

  test("a file of one's own is described, tested and timed; a bad one refused", () =>
    visit(async (page) => {
      await page.setInputFiles("#file", `${SITE}/data/motion.niwaki`);
      await page.waitForSelector('#own-result[data-state="done"]', WAIT);
      const text = await page.textContent("#own-result");
      for (const part of ["float32 1×6×50", "badminton, running", "every layer has its golden bits", "a run"]) {
        assert.ok(text.includes(part), `no \`${part}\` in ${text}`);
      }
      await page.setInputFiles("#file", { name: "page.niwaki", mimeType: "", buffer: Buffer.from("<html>") });
      await page.waitForSelector('#own-result[data-state="refused"]', WAIT);
      assert.match(await page.textContent("#own-result"), /NOT_A_MODEL/);
      // The page goes on.
      await draw(page, SEVEN);
      await page.waitForSelector('#digit-verdict[data-digit="7"]', WAIT);
    }));

  test("figures have every engine that was measured", () =>
    visit(async (page) => {
      const text = await page.textContent("#figures");
      for (const part of ["onnxruntime-web", "litert", "tract", "kws01", "sww01"]) assert.ok(text.includes(part), part);
      assert.doesNotMatch(text, /undefined|NaN/);
    }));

  test("it is there again without a network, and without a server", async () => {
    const gone = await serve({ site: SITE });
    const again = async (page, context) => {
      await page.waitForSelector("#offline", WAIT);
      gone.close();
      await context.setOffline(true);
      await page.reload();
      await page.waitForSelector("html[data-ready]", WAIT);
      assert.equal(await page.getAttribute("#bits-verdict", "data-same"), "true");
      await draw(page, SEVEN);
      await page.waitForSelector('#digit-verdict[data-digit="7"]', WAIT);
    };
    await visit(again, {}, `${gone.base}site/index.html`);
  });

  for (const width of WIDTHS) {
    for (const colorScheme of ["light", "dark"]) {
      test(`${width} px, ${colorScheme}: nothing is wider than the page, text has contrast`, () =>
        visit(
          async (page) => {
            for (const details of await page.$$("details")) await details.evaluate((each) => (each.open = true));
            await page.setInputFiles("#file", `${SITE}/data/digits.niwaki`);
            await page.waitForSelector('#own-result[data-state="done"]', WAIT);
            const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            assert.ok(wide <= 0, `${wide} px too wide`);
            const low = await page.evaluate(contrasts);
            assert.deepEqual(low, []);
          },
          { viewport: { width, height: 800 }, colorScheme },
        ));
    }
  }
});

/** Runs in the page: texts whose contrast with their ground is below 4.5. */
function contrasts() {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${element.outerHTML.slice(0, 80)}: ${ratio.toFixed(2)}`);
  }
  return low;
}
