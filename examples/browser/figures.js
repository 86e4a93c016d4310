// What the project measures: downloads and times, beside those of others.

import { byId, bytes, count, el, time, track } from "./ui.js";

/** Rows of bars against the largest of each group. */
function compare(groups) {
  return el(
    "ul",
    { class: "compare" },
    ...groups.map(({ title, rows }) => {
      const most = Math.max(...rows.map(({ value }) => value));
      const lines = rows.map(({ name, value, text, mine }) =>
        el("div", { class: mine ? "line mine" : "line" }, el("span", {}, name), el("span", {}, text), track(value / most)),
      );
      return el("li", {}, title, ...lines);
    }),
  );
}

export function figures({ sizes, peers, bench, models }) {
  const size = (name) => sizes.find((each) => each.name === name).brotli;
  const download = (name, wasm, js, mine) => [
    { name: `${name}, WebAssembly`, value: wasm, text: bytes(wasm), mine },
    { name: `${name}, JavaScript`, value: js, text: bytes(js), mine },
  ];
  const [peer] = peers;
  const part = (kind) => peer.files.find((file) => file.kind === kind).brotli;
  const ours = download("niwaki", size("niwaki/simd128.wasm"), size("niwaki: JavaScript of a page"), true);
  const theirs = download(peer.name, part("wasm"), part("js"), false);
  byId("sizes").replaceChildren(
    compare([
      { title: "An engine, compressed by brotli", rows: [...ours, ...theirs].filter((_, i) => i % 2 === 0) },
      { title: "Its JavaScript, compressed by brotli", rows: [...ours, ...theirs].filter((_, i) => i % 2 === 1) },
      {
        title: "The models of this page, as they are",
        rows: models.map(({ title, bytes: value }) => ({ name: title, value, text: bytes(value), mine: true })),
      },
    ]),
  );

  const rows = (home, model) => bench.rows.filter((row) => row.home === home && row.model === model);
  const names = [...new Set(bench.rows.map(({ model }) => model))];
  byId("times").replaceChildren(
    compare(
      names.map((model) => ({
        title: model,
        rows: rows("node", model).map(({ engine, microseconds }) => ({
          name: engine,
          value: microseconds,
          text: time(microseconds),
          mine: engine === "niwaki",
        })),
      })),
    ),
  );

  const engines = [...new Set(bench.rows.filter(({ home }) => home === "host").map(({ engine }) => engine))];
  const head = ["", ...engines].map((text) => el("th", { scope: "col", class: text ? "number" : undefined }, text || "µs"));
  const body = names.map((model) => {
    const cells = engines.map((engine) => {
      const row = rows("host", model).find((each) => each.engine === engine);
      return el("td", { class: "number" }, row ? count(row.microseconds) : "–");
    });
    return el("tr", {}, el("th", { scope: "row" }, model), ...cells);
  });
  byId("host-times").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));

  const { cpu, threads, engines: versions } = bench.machine;
  byId("figures-note").textContent =
    `The int8 models of MLPerf Tiny, one thread, all engines in turn in one run, the least time of each: on ${cpu} with ${threads} threads; ${versions.join(", ")}. They are the project’s own measurements, made again with cargo xtask bench --peers; yours will differ.`;
}
