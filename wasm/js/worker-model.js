// A model in a worker, seen from the thread that asked for it.

import { NiwakiError, check } from "./errors.js";
import { Output, Outputs } from "./output.js";
import { converter } from "./prepare.js";

/** Workers of models that nobody has disposed of: the collector takes no running worker. */
const lost = new FinalizationRegistry((worker) => worker.terminate());

/** The conversation with a worker; it knows no model, so that a lost one can be collected. */
class Line {
  #waiting = new Map();
  #next = 0;
  #tail = Promise.resolve();

  constructor(worker) {
    this.worker = worker;
    worker.listen(
      ({ id, result, error }) => {
        const { resolve, reject } = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (error) reject(new NiwakiError(error.code, error.message));
        else resolve(result);
      },
      (cause) => this.close("WORKER", "the worker cannot be started, or has died", cause),
    );
  }

  /** Asks for one thing behind all that has been asked for before. */
  ask(message, transfer = [], signal) {
    const answer = this.#tail.then(() => this.#send(message, transfer, signal));
    // What went wrong with one is no matter of the next.
    this.#tail = answer.catch(() => {});
    if (!signal) return answer;
    // One that waits in the queue does not wait for its turn to be given up.
    return Promise.race([answer, new Promise((_, reject) => {
      const abort = () => reject(new NiwakiError("ABORTED", "the run was aborted", { cause: signal.reason }));
      signal.addEventListener("abort", abort, { once: true });
      this.#tail.then(() => signal.removeEventListener("abort", abort));
    })]);
  }

  #send(message, transfer, signal) {
    if (this.closed) throw this.closed;
    check(signal, "the run");
    const id = this.#next++;
    const cancel = () => this.worker.post({ cancel: id });
    signal?.addEventListener("abort", cancel, { once: true });
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.worker.post({ id, ...message }, transfer);
    }).finally(() => signal?.removeEventListener("abort", cancel));
  }

  close(code, message, cause) {
    if (this.closed) return;
    this.closed = new NiwakiError(code, message, { cause });
    this.worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(this.closed);
    this.#waiting.clear();
  }
}

/** A model in a worker of its own. Calls queue up there. */
export class WorkerModel {
  #line;
  #convert;

  static async start(open, { backend, module, bytes }, signal) {
    const line = new Line(await open());
    try {
      // The caller keeps its bytes.
      const copy = bytes.slice();
      const ask = { method: "load", args: [module, copy, backend] };
      const facts = await line.ask(ask, [copy.buffer], signal);
      return new WorkerModel(line, facts, await converter(facts.inputs));
    } catch (error) {
      line.close("DISPOSED", "the model was never loaded", error);
      throw error;
    }
  }

  constructor(line, facts, convert) {
    this.#line = line;
    this.#convert = convert;
    Object.assign(this, facts);
    Object.freeze(this);
    lost.register(this, line.worker, line);
  }

  async run(given, { signal, transfer = false } = {}) {
    check(signal, "the run");
    const input = this.#convert?.(given) ?? given;
    const arrays = ArrayBuffer.isView(input) ? [input] : Object.values(input ?? {});
    const buffers = transfer ? [...new Set(arrays.map((array) => array.buffer))] : [];
    const results = await this.#line.ask({ method: "run", args: [input] }, buffers, signal);
    return new Outputs(results.map((raw, i) => new Output({ spec: this.outputs[i], raw })));
  }

  static {
    for (const method of ["selfTest", "profile", "digests"]) {
      this.prototype[method] = async function (input) {
        return this.#line.ask({ method, args: [this.#convert?.(input) ?? input] });
      };
    }
  }

  dispose() {
    lost.unregister(this.#line);
    this.#line.close("DISPOSED", "the model has been disposed of");
  }
}

if (Symbol.dispose) WorkerModel.prototype[Symbol.dispose] = WorkerModel.prototype.dispose;
