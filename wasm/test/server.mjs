// What the tests fetch: the package, the models, and servers' bad habits.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** Nothing but own files, and WebAssembly: what the package promises to be content with. */
const CSP = "default-src 'none'; connect-src 'self'; worker-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** Serves `folders` by the first part of a path; gives the address and how to stop. */
export async function serve(folders) {
  const seen = [];
  const habits = {
    "/page": (response) => response.end("<!doctype html><title>Not found</title>"),
    "/denied": (response) => response.writeHead(403).end("no"),
    // Begins, and never goes on.
    "/endless": (response) => response.writeHead(200, { "content-length": "1000000" }).write("NIWAKI"),
    // Says more than it gives.
    "/broken": (response) => {
      response.writeHead(200, { "content-length": "1000000" }).write("NIWAKI");
      setTimeout(() => response.destroy(), 20);
    },
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    seen.push(pathname);
    response.on("error", () => {});
    if (habits[pathname]) return habits[pathname](response);
    const [, first, ...rest] = pathname.split("/");
    const folder = folders[first];
    const file = folder && join(folder, normalize(`/${rest.join("/")}`));
    try {
      const bytes = await readFile(file);
      const headers = { "content-type": TYPES[extname(file)] ?? "application/octet-stream" };
      headers["content-length"] = bytes.length;
      if (pathname.includes("csp")) headers["content-security-policy"] = CSP;
      response.writeHead(200, headers).end(bytes);
    } catch {
      response.writeHead(404, { "content-type": "text/html" }).end("<h1>404</h1>");
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    base: `http://127.0.0.1:${server.address().port}/`,
    seen,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
