// Sends requests to the worker and returns promises of its replies.

export class Stylizer {
  #worker = new Worker("worker.js");
  #waiting = new Map();
  #next = 0;
  #threads;

  /** Uses at most `threads` threads. */
  constructor(threads = Infinity) {
    this.#threads = threads;
    this.#worker.onmessage = ({ data: { id, reply, error } }) => this.#settle(id, reply, error);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      for (const id of [...this.#waiting.keys()]) this.#settle(id, null, event.message || "the worker cannot start");
    };
  }

  /** Fetches and compiles a model. */
  load(model) {
    return this.#ask({ task: "load", file: model.file });
  }

  /** Stylizes an ImageData. Resolves to { picture: ImageData, milliseconds, threads }. */
  async stylize(content, model, side) {
    const { width, height, data } = content;
    const shape = { side, width, height, signature: model.signatures[side] };
    const { pixels, ...rest } = await this.#ask({ task: "stylize", file: model.file, pixels: data, ...shape });
    return { picture: new ImageData(pixels, width, height), ...rest };
  }

  #ask(request) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, threads: this.#threads, ...request });
    });
  }

  #settle(id, reply, error) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(reply);
  }
}
