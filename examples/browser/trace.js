// Six channels over ten seconds, drawn: accelerometer above, gyroscope below, and the window that
// the network sees.

import { byId, colours, el, onTheme } from "./ui.js";

export const CHANNELS = 6;
const SHOWN = 100;
/** Room above the lines for what they are, in pixels. */
const LABEL = 20;
/** By axis: a colour of the theme and a dash, so that neither alone tells them apart. */
const AXES = [
  { name: "x", colour: "moss", dash: [] },
  { name: "y", colour: "bark", dash: [6, 4] },
  { name: "z", colour: "soft", dash: [2, 3] },
];
const SENSORS = [
  { name: "Accelerometer", unit: "m/s²" },
  { name: "Gyroscope", unit: "rad/s" },
];
/** A sensor is drawn to the smallest of these that it stays below. */
const RANGES = [2, 5, 10, 20, 40];
const SVG = "http://www.w3.org/2000/svg";

export class Trace {
  #canvas = byId("trace");
  #series = [];
  #window;

  constructor() {
    byId("legend").replaceChildren(...AXES.map(legend));
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    onTheme(() => {
      byId("legend").replaceChildren(...AXES.map(legend));
      this.#draw();
    });
  }

  /** Shows channels of at most a hundred steps, and the window, as first step and length. */
  show(series, window) {
    this.#series = series;
    this.#window = window;
    this.#draw();
  }

  #draw() {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientWidth < 480 ? 200 : 240];
    if (!width) return;
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    // Setting it clears, and tells the observer only when it is new.
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const [soft, line, wash] = colours("soft", "line", "wash");
    const x = (step) => (step / (SHOWN - 1)) * width;
    if (this.#window) {
      const [first, length] = this.#window;
      context.fillStyle = wash;
      context.beginPath();
      context.roundRect(x(first), 0, x(length - 1), height, 8);
      context.fill();
    }
    SENSORS.forEach(({ name, unit }, sensor) => {
      const channels = AXES.map((_, axis) => this.#series[sensor * 3 + axis] ?? []);
      const most = Math.max(...channels.flat().map(Math.abs), 0);
      const range = RANGES.find((each) => most <= each) ?? RANGES.at(-1);
      const half = height / 4;
      const middle = half + sensor * (height / 2);
      context.setLineDash([]);
      context.lineWidth = 1;
      context.strokeStyle = line;
      context.beginPath();
      context.moveTo(0, middle);
      context.lineTo(width, middle);
      context.stroke();
      AXES.forEach(({ colour, dash }, axis) => {
        context.beginPath();
        channels[axis].forEach((value, step) => {
          const share = Math.max(-1, Math.min(1, value / range));
          context.lineTo(x(step), middle - share * (half - LABEL));
        });
        [context.strokeStyle] = colours(colour);
        context.lineWidth = 1.75;
        context.setLineDash(dash);
        context.stroke();
      });
      context.fillStyle = soft;
      context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
      context.fillText(`${name}, ±${range} ${unit}`, 8, middle - half + 14);
    });
  }
}

function legend({ name, colour, dash }) {
  const svg = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "line");
  const [stroke] = colours(colour);
  const attributes = { x1: 0, x2: 24, y1: 4, y2: 4, stroke, "stroke-width": 2, "stroke-dasharray": dash.join(" ") };
  for (const [key, value] of Object.entries(attributes)) line.setAttribute(key, value);
  svg.setAttribute("viewBox", "0 0 24 8");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  return el("li", {}, svg, `${name} axis`);
}
