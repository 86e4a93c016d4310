// Opens an example's page in Chromium, and reads what it reads:
//
//     node page.mjs FOLDER            a folder, as any server gives it
//     node page.mjs -- COMMAND...     what a server gives that is told its PORT
//
// Every output of the page has to show the digits, with no complaint on the console.

import { resolve } from "node:path";
import { argv, env } from "node:process";

import { chromium } from "../../../wasm/node_modules/playwright-core/index.mjs";
import { serve } from "../../../wasm/test/server.mjs";
import { digits, same, withServer } from "./common.mjs";

async function look(url) {
  const { expected } = await digits();
  const browser = await chromium.launch({
    executablePath: env.NIWAKI_CHROMIUM ?? "/usr/bin/chromium",
    // CI runs as root, where there is no sandbox.
    args: ["--no-sandbox"],
  });
  const complaints = [];
  try {
    const page = await browser.newPage();
    page.on("console", (message) => message.type() === "error" && complaints.push(`${message.text()} ${message.location().url}`));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("response", (response) => response.ok() || complaints.push(`${response.status()} ${response.url()}`));
    await page.goto(url);
    const outputs = page.locator("output");
    const texts = () => outputs.evaluateAll((all) => all.map(({ id, textContent }) => [id, textContent]));
    const until = Date.now() + 30_000;
    let found = await texts();
    while (Date.now() < until && complaints.length === 0) {
      if (found.length && found.every(([, text]) => text !== "…")) break;
      await page.waitForTimeout(50);
      found = await texts();
    }
    if (complaints.length) throw new Error(`the page complains:\n${complaints.join("\n")}`);
    if (!found.length) throw new Error("the page has no output");
    for (const [id, text] of found) same(id, text, expected);
  } finally {
    await browser.close();
  }
}

const [first, ...command] = argv.slice(2);
if (first === "--") {
  await withServer(command, look);
} else {
  const server = await serve({ example: resolve(first) });
  try {
    await look(`${server.base}example/index.html`);
  } finally {
    server.close();
  }
}
