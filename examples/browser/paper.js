// A sheet to draw one digit on, by pointer or by keys, and its pixels as MNIST has them.

import { byId, colours, onTheme } from "./ui.js";

const SIDE = 28;
/** MNIST's digits fill 20 pixels of 28, around the centre of their mass. */
const DIGIT = 20;
const PEN = 2.3;
/** A dot is not blown up to a digit. */
const SMALLEST = 0.25;
const STEP = 0.03;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Paper {
  #canvas = byId("paper");
  /** Lines of points from 0 to 1. */
  #strokes = [];
  #image;
  #pen = { x: 0.3, y: 0.2, down: false, shown: false };
  #held = new Set();
  #changed;

  /** `changed` is called behind each change. */
  constructor(changed) {
    this.#changed = changed;
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      this.#pen.down = false;
      this.#pen.shown = false;
      this.#begin(this.#at(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      // All points since the last frame, so that fast lines stay round.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) this.#strokes.at(-1).push(this.#at(each));
      this.#draw();
    });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", ({ key }) => this.#held.delete(key));
    canvas.addEventListener("focus", () => {
      this.#pen.shown = canvas.matches(":focus-visible");
      this.#draw(false);
    });
    canvas.addEventListener("blur", () => {
      this.#held.clear();
      this.#pen.down = false;
      this.#pen.shown = false;
      this.#draw(false);
    });
    onTheme(() => this.#draw(false));
    this.#draw(false);
  }

  #at({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return { x: (clientX - left) / width, y: (clientY - top) / height };
  }

  #begin({ x, y }) {
    this.#image = undefined;
    this.#strokes.push([{ x, y }]);
    this.#draw();
  }

  #key(event) {
    const pen = this.#pen;
    const { key } = event;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key in ARROWS) {
      // Two arrows together make a slope.
      this.#held.add(key);
      pen.shown = true;
      for (const held of this.#held) {
        pen.x = Math.min(1, Math.max(0, pen.x + ARROWS[held][0] * STEP));
        pen.y = Math.min(1, Math.max(0, pen.y + ARROWS[held][1] * STEP));
      }
      if (pen.down) this.#strokes.at(-1).push({ x: pen.x, y: pen.y });
      this.#draw(pen.down);
    } else if (key === " ") {
      pen.down = !pen.down;
      pen.shown = true;
      if (pen.down) this.#begin(pen);
      else this.#draw(false);
    } else if (key === "Delete" || key === "Backspace") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
  }

  clear() {
    this.#strokes = [];
    this.#image = undefined;
    this.#pen.down = false;
    this.#draw();
  }

  /** Shows pixels of 0 to 255 instead of a drawing. */
  show(image) {
    this.#strokes = [];
    this.#image = image;
    this.#pen.down = false;
    this.#draw();
  }

  #draw(changed = true) {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    const [paper, ink, line, moss] = colours("paper", "ink", "line", "moss");
    context.fillStyle = paper;
    context.fillRect(0, 0, width, height);
    // The box that a digit is fitted into anyway: an aid for the eye.
    context.strokeStyle = line;
    context.lineWidth = 2;
    const margin = (width * (SIDE - DIGIT)) / 2 / SIDE;
    context.strokeRect(margin, margin, width - 2 * margin, height - 2 * margin);
    if (this.#image) {
      const cell = width / SIDE;
      context.fillStyle = ink;
      this.#image.forEach((value, i) => {
        context.globalAlpha = value / 255;
        context.fillRect((i % SIDE) * cell, Math.floor(i / SIDE) * cell, cell + 0.5, cell + 0.5);
      });
      context.globalAlpha = 1;
    }
    stroke(context, this.#strokes, ink, width / 14, (point) => [point.x * width, point.y * height]);
    if (this.#pen.shown) {
      context.beginPath();
      context.arc(this.#pen.x * width, this.#pen.y * height, width / 28, 0, 2 * Math.PI);
      context.strokeStyle = context.fillStyle = moss;
      context.lineWidth = 4;
      context.stroke();
      if (this.#pen.down) context.fill();
    }
    if (changed) this.#changed();
  }

  /** What the network reads, 784 values from 0 to 1; nothing when the sheet is empty. */
  pixels() {
    if (this.#image) return Float32Array.from(this.#image, (value) => value / 255);
    const points = this.#strokes.flat();
    if (!points.length) return undefined;
    const side = (axis) => {
      const values = points.map((point) => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    };
    const [[left, right], [top, bottom]] = [side("x"), side("y")];
    // The pen is as thick as in MNIST, however large one draws.
    const scale = (DIGIT - PEN) / Math.max(right - left, bottom - top, SMALLEST);
    let shift = [SIDE / 2 - (scale * (left + right)) / 2, SIDE / 2 - (scale * (top + bottom)) / 2];
    const place = ({ x, y }) => [x * scale + shift[0], y * scale + shift[1]];
    const first = render(this.#strokes, place);
    let [mass, x, y] = [0, 0, 0];
    first.forEach((value, i) => {
      mass += value;
      x += value * ((i % SIDE) + 0.5);
      y += value * (Math.floor(i / SIDE) + 0.5);
    });
    shift = [shift[0] + SIDE / 2 - x / mass, shift[1] + SIDE / 2 - y / mass];
    return render(this.#strokes, place);
  }
}

function stroke(context, strokes, colour, width, place) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...place(points[0]));
    // A line to itself is a dot.
    for (const point of points) context.lineTo(...place(point));
    context.stroke();
  }
}

function render(strokes, place) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  stroke(context, strokes, "#fff", PEN, place);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3] / 255);
}
