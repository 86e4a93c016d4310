// What the checks share: the answer, and a program to be asked.

import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";

const FILE = new URL("../digits.pgm", import.meta.url);
const COUNT = 10;
const BYTES = 28 * 28;

/** The ten images, and the digits that people have read there: they stand in the file's comment. */
export async function digits() {
  const file = await readFile(FILE);
  const expected = /^P5\n# ([\d ]+)\n/.exec(file.toString("latin1"))[1];
  const pixels = file.subarray(-COUNT * BYTES);
  const images = Array.from({ length: COUNT }, (_, i) => pixels.subarray(BYTES * i, BYTES * (i + 1)));
  return { images, expected };
}

/** Throws when what was found is not the digits. */
export function same(what, found, expected) {
  if (found !== expected) throw new Error(`${what}: "${found}" instead of "${expected}"`);
  console.log(`${what}: ${found}`);
}

/** A port that nobody listens at. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a server, whose command says `PORT`, calls `use` with its address, and ends it. */
export async function withServer([program, ...options], use) {
  const port = await freePort();
  const base = `http://localhost:${port}/`;
  const server = spawn(
    program,
    options.map((option) => option.replace("PORT", port)),
    { detached: true, stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (text) => (said += text));
  const ended = new Promise((_, reject) => {
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`the server has ended with code ${code}`)));
  });
  const answers = async () => {
    for (let tries = 0; tries < 600; tries++) {
      if (await fetch(base).catch(() => null)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the server does not answer for a minute");
  };
  try {
    await Promise.race([answers(), ended]);
    return await Promise.race([use(base), ended]);
  } catch (error) {
    throw new Error(`with ${program} ${options.join(" ")}, which says\n${said}`, { cause: error });
  } finally {
    ended.catch(() => {});
    // The group, as some start others. One that has ended already is fine.
    if (server.pid && server.exitCode === null) process.kill(-server.pid, "SIGTERM");
  }
}
