// Small things that every panel needs.

/** An element: attributes and properties by name, then children. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const count = (value) => number.format(value);

/** Bytes in the unit that suits them, to three digits. */
export function bytes(value) {
  if (value < 1000) return `${value} bytes`;
  return value < 1e6 ? `${(value / 1e3).toPrecision(3)} KB` : `${(value / 1e6).toPrecision(3)} MB`;
}

export const percent = (share) => `${share >= 0.9995 ? 100 : (share * 100).toFixed(1)} %`;

/** Microseconds in the unit that suits them. */
export function time(microseconds) {
  if (microseconds < 1) return "< 1 µs";
  if (microseconds < 1000) return `${microseconds.toFixed(microseconds < 10 ? 1 : 0)} µs`;
  return `${(microseconds / 1000).toFixed(microseconds < 10_000 ? 2 : 0)} ms`;
}

/** A bar that fills by its share of 1. */
export function track(share = 0) {
  const fill = el("span");
  fill.style.setProperty("--share", share);
  return el("div", { class: "track", "aria-hidden": "true" }, fill);
}

/** A list of bars, one for each label; gives what shows scores. */
export function bars(list, labels) {
  const rows = labels.map((label) => {
    const value = el("span", {}, "–");
    const bar = track();
    const row = el("li", {}, el("span", {}, label), bar, value);
    return { row, value, fill: bar.firstChild };
  });
  list.replaceChildren(...rows.map(({ row }) => row));
  return (scores) => {
    const best = scores ? scores.indexOf(Math.max(...scores)) : -1;
    rows.forEach(({ row, value, fill }, i) => {
      row.classList.toggle("best", i === best);
      value.textContent = scores ? percent(scores[i]) : "–";
      fill.style.setProperty("--share", scores ? scores[i] : 0);
    });
  };
}

/** Says something where a screen reader is told of it; only when it is new. */
export function say(element, strong, rest = "", hint = "") {
  const text = `${strong}|${rest}|${hint}`;
  if (element.dataset.said === text) return;
  element.dataset.said = text;
  element.replaceChildren(el("strong", {}, strong), rest);
  if (hint) element.append(el("span", { class: "hint" }, hint));
}

/** The colours of the theme by their names in style.css. */
export function colours(...names) {
  const style = getComputedStyle(document.documentElement);
  return names.map((name) => style.getPropertyValue(`--${name}`).trim());
}

/** Calls back when day becomes night, or the other way. */
export const onTheme = (listener) =>
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener);

export const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
