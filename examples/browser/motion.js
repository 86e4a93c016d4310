// Replay a recorded motion, or wave the phone, and see the activity.

import { Layers } from "./layers.js";
import { CHANNELS, Trace } from "./trace.js";
import { bars, byId, el, say } from "./ui.js";

const STEP_MS = 100;
const SHOWN = 100;
const DEGREE = Math.PI / 180;
/** A device without sensors says nothing, or says it once without values. */
const PATIENCE_MS = 2500;

/** The panel, over the model and recordings: `{ label, series }`, six channels of a hundred steps. */
export function motion(model, recordings) {
  const { length: inputLength, shape } = model.inputs[0];
  const steps = shape[2];
  const { labels } = model.outputs[0];
  const verdict = byId("motion-verdict");
  const replay = byId("replay");
  const sensors = byId("sensors");
  const choice = byId("recording");
  const show = bars(byId("motion-scores"), labels);
  const layers = new Layers(byId("motion-layers"), model);
  const trace = new Trace();
  /** Ends what is going on. */
  let stop = () => {};

  choice.replaceChildren(
    ...recordings.map(({ label, number }, i) => el("option", { value: i }, `${capital(label)} ${number}`)),
  );

  /** The window that begins with step `first` of the channels. */
  function classify(series, first) {
    const input = new Float32Array(inputLength);
    series.forEach((channel, c) => input.set(channel.slice(first, first + steps), c * steps));
    const out = model.run(input);
    const [{ label, score }] = out.top(1);
    show([...out.scores]);
    verdict.dataset.activity = label;
    say(verdict, capital(label), score < 0.6 ? ", perhaps." : ".");
    trace.show(series, [first, steps]);
    layers.show(input);
    return input;
  }

  function running(button, text, end) {
    stop();
    button.dataset.idle ??= button.textContent;
    button.textContent = text;
    stop = () => {
      end();
      button.textContent = button.dataset.idle;
      stop = () => {};
    };
  }

  replay.addEventListener("click", () => {
    if (replay.textContent === "Stop") return stop();
    const { series } = recordings[choice.value];
    let first = 0;
    let input = classify(series, first);
    // In its own time: ten steps a second.
    const timer = setInterval(() => {
      first += 1;
      input = classify(series, first);
      if (first + steps < SHOWN) return;
      stop();
      layers.measure(input);
    }, STEP_MS);
    running(replay, "Stop", () => clearInterval(timer));
  });

  choice.addEventListener("change", () => {
    stop();
    layers.measure(classify(recordings[choice.value].series, 0));
  });

  sensors.addEventListener("click", async () => {
    if (sensors.textContent === "Stop") return stop();
    stop();
    if (!globalThis.DeviceMotionEvent || !isSecureContext) {
      return say(verdict, "", "No motion sensors here.", "Open this page on a phone, over https.");
    }
    try {
      // iOS asks the person, and wants to be asked from a click.
      const answer = await DeviceMotionEvent.requestPermission?.();
      if (answer === "denied") throw new Error("denied");
    } catch {
      return say(verdict, "", "The sensors were not allowed.", "Allow them in the browser’s settings for this page.");
    }
    listen();
  });

  function listen() {
    const series = Array.from({ length: CHANNELS }, () => []);
    let sums = new Float64Array(CHANNELS);
    let events = 0;
    let heard = false;
    const hear = ({ acceleration: a, rotationRate: r }) => {
      if (a?.x == null || r?.alpha == null) return;
      heard = true;
      // Rates come in degrees, around x, y and z.
      const values = [a.x, a.y, a.z, r.beta * DEGREE, r.gamma * DEGREE, r.alpha * DEGREE];
      values.forEach((value, c) => (sums[c] += value));
      events += 1;
    };
    addEventListener("devicemotion", hear);
    // Sensors are faster than the recordings: a step is the mean of what has come.
    const timer = setInterval(() => {
      if (!events) return;
      series.forEach((channel, c) => {
        channel.push(sums[c] / events);
        if (channel.length > SHOWN) channel.shift();
      });
      sums = new Float64Array(CHANNELS);
      events = 0;
      const have = series[0].length;
      if (have >= steps) classify(series, have - steps);
      else {
        trace.show(series, [0, steps]);
        say(verdict, "", `Listening … ${Math.ceil((steps - have) / 10)} s`);
      }
    }, STEP_MS);
    const patience = setTimeout(() => {
      if (heard) return;
      stop();
      say(verdict, "", "No motion sensors here.", "Open this page on a phone.");
    }, PATIENCE_MS);
    say(verdict, "", "Listening …");
    running(sensors, "Stop", () => {
      removeEventListener("devicemotion", hear);
      clearInterval(timer);
      clearTimeout(patience);
    });
  }

  classify(recordings[0].series, 0);
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);
