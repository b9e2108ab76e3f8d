// Runs models with LiteRT.js in a worker, so that the page stays responsive. This is a classic worker, because LiteRT.js
// loads its WebAssembly with importScripts, which module workers do not have.
"use strict";

const VENDOR = new URL("vendor/", self.location).href;
const MOST_THREADS = 4; // phones have about four fast cores; threads on slow cores delay the others

let runtime = null; // a promise, after the first request
let held = null; // the model that was used last: { file, loaded }
let turn = Promise.resolve(); // requests are processed one after another

self.onmessage = ({ data }) => {
  turn = turn.then(() => answer(data));
};

async function answer({ id, task, ...request }) {
  try {
    const { reply, transfer } = await TASKS[task](request);
    self.postMessage({ id, reply }, transfer);
  } catch (error) {
    self.postMessage({ id, error: error?.message || String(error) });
  }
}

const TASKS = {
  /** Loads a model. */
  async load({ file, threads }) {
    const { threads: used } = await model(file, threads);
    return { reply: { threads: used }, transfer: [] };
  },

  /** Stylizes RGBA bytes. Replies with a picture of the same size and the milliseconds that the model took. */
  async stylize({ file, signature, side, pixels, width, height, threads }) {
    const { loaded, litert, picture, threads: used } = await model(file, threads);
    const image = new litert.Tensor(picture.toSquare(pixels, width, height, side), [1, side, side, 3]);
    const start = performance.now();
    const { stylized } = await loaded.signatures[signature].run({ image });
    const values = await stylized.data();
    const milliseconds = performance.now() - start;
    const made = picture.fromSquare(values, width, height, side);
    image.delete(); // the memory of LiteRT.js is not garbage-collected
    stylized.delete();
    return { reply: { pixels: made, milliseconds, threads: used }, transfer: [made.buffer] };
  },
};

async function model(file, threads) {
  runtime ??= start(threads);
  const { litert, picture, threads: used } = await runtime.catch((error) => {
    runtime = null;
    throw error;
  });
  if (held?.file !== file) {
    const response = await fetch(file);
    if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    held?.loaded.delete();
    held = null;
    const loaded = await litert.loadAndCompile(bytes, { accelerator: "wasm", cpuOptions: { numThreads: used } });
    held = { file, loaded };
  }
  return { loaded: held.loaded, litert, picture, threads: used };
}

async function start(threads) {
  const [litert, picture] = await Promise.all([import(`${VENDOR}litert.js`), import("./picture.js")]);
  const wanted = Math.min(threads, navigator.hardwareConcurrency || 1, MOST_THREADS);
  if (wanted > 1 && self.crossOriginIsolated) {
    try {
      await loadRuntime(litert, true);
      return { litert, picture, threads: wanted };
    } catch (error) {
      console.warn("Continues with one thread:", error);
    }
  }
  await loadRuntime(litert, false);
  return { litert, picture, threads: 1 };
}

function loadRuntime(litert, threads) {
  // In a worker, the script of the WebAssembly uses the address of the worker as its own.
  self.Module = {
    locateFile: (name) => VENDOR + name,
    mainScriptUrlOrBlob: `${VENDOR}litert_wasm_threaded_internal.js`,
  };
  return litert.loadLiteRt(VENDOR, { threads });
}
