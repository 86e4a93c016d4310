// Keeps the page for when there is no network: all files of one build, each held against its hash.

// VERSION and FILES, a hash for each path: the build writes them.
importScripts("files.js");

const NAME = `niwaki-${VERSION}`;

async function fill() {
  const cache = await caches.open(NAME);
  const keep = async ([path, integrity]) => {
    const request = new Request(path, { integrity, cache: "no-cache" });
    const response = await fetch(request);
    if (!response.ok) throw new Error(`${path} answers with status ${response.status}`);
    await cache.put(path, response);
  };
  await Promise.all(Object.entries(FILES).map(keep));
  await skipWaiting();
}

async function tidy() {
  const old = (await caches.keys()).filter((name) => name.startsWith("niwaki-") && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

async function answer(request) {
  const cache = await caches.open(NAME);
  const path = request.mode === "navigate" ? "index.html" : request;
  return (await cache.match(path, { ignoreSearch: true })) ?? fetch(request);
}

addEventListener("install", (event) => event.waitUntil(fill()));
addEventListener("activate", (event) => event.waitUntil(tidy()));
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(registration.scope)) event.respondWith(answer(request));
});
