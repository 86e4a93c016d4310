// The digests of every layer here, beside those of the machines that the build had.

import { load } from "./niwaki/browser.js";
import { byId, count, el, frame, say, time } from "./ui.js";

const HOMES = {
  host: "A processor, by Rust",
  node: "Node, by WebAssembly",
  "qemu:cortex-m4": "Cortex-M4, emulated",
};
const BACKENDS = { simd128: "This browser, SIMD", scalar: "This browser, scalar" };
const hex = (digest) => digest.toString(16).padStart(16, "0");
const cost = ({ value, unit }) => (unit === "us" ? time(value) : `${count(value)} instructions`);

/** Computes all, and shows it. `models` have a title, a URL, the facts of the build, and its input. */
export async function bits(models) {
  const verdict = byId("bits-verdict");
  let layers = 0;
  const engines = new Set();
  let wrong = "";
  const cards = [];
  for (const { title, url, homes, input } of models) {
    const rows = [];
    let names;
    for (const [backend, name] of Object.entries(BACKENDS)) {
      // One at a time, with a frame between them: the page stays quick.
      await frame();
      const model = await load(url, { backend });
      names = model.activations(input).map(({ operator }) => operator);
      rows.push({ name, digests: [...model.digests(input)].map(hex), here: true });
      model.dispose();
    }
    for (const { home, status, digests, cost, reason } of homes) {
      rows.push({ name: HOMES[home] ?? home, digests: status === "ok" ? digests : undefined, cost, reason });
    }
    const [first] = rows;
    layers += first.digests.length;
    for (const row of rows.filter(({ digests }) => digests)) {
      engines.add(row.name);
      row.differs = first.digests.findIndex((digest, i) => digest !== row.digests[i]);
      if (row.digests.length !== first.digests.length) row.differs = 0;
      if (row.differs >= 0) wrong ||= `${row.name}: layer ${row.differs} of ${title}`;
    }
    cards.push(card(title, rows, names));
  }
  byId("bits-tables").replaceChildren(...cards);
  verdict.dataset.same = !wrong;
  if (wrong) say(verdict, "Different bits.", "", `The first difference is ${wrong}. Please report it.`);
  else say(verdict, "The same bits", ` in all ${layers} layers, in ${engines.size} engines.`);
}

function card(title, rows, names) {
  const table = el(
    "table",
    {},
    el("caption", {}, title),
    el("thead", {}, el("tr", {}, ...["Where", "Digest of the output"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows.map(line)),
  );
  const all = el("tbody", {}, ...names.map((name, i) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "mono" }, rows[0].digests[i]))));
  const details = el("details", {}, el("summary", {}, "Every layer"), el("table", {}, all));
  return el("div", { class: "card" }, table, details);
}

function line({ name, digests, here, differs, cost: spent, reason }) {
  const head = el("th", { scope: "row" }, name);
  const cell = el("td");
  if (spent) head.append(el("small", {}, `${cost(spent)} a run`));
  if (!digests) {
    cell.append("Not run by this build.", el("small", {}, reason ?? ""));
  } else {
    const digest = digests.at(-1);
    // It may be broken in the middle, and nowhere else.
    cell.append(el("span", { class: "mono digest" }, digest.slice(0, 8), el("wbr"), digest.slice(8)));
    const text = differs < 0 ? `${digests.length} of ${digests.length} layers equal` : `differs from layer ${differs} on`;
    cell.append(el("small", differs < 0 ? {} : { class: "wrong" }, text));
  }
  return el("tr", here ? { class: "here" } : {}, head, cell);
}
