// Stylizes the pictures of the camera one after another, shows them on a canvas and records them.

const SMOOTHING = 0.8; // weight of the former frames in the shown number of frames a second

export class Live {
  #canvas;
  #stylize;
  #run = null; // an object for each start, so that a former loop ends even if the next has begun
  #recorder = null;

  /** `stylize` is called again and again; it resolves to the ImageData to show, or to null if there is none yet. */
  constructor(canvas, stylize) {
    this.#canvas = canvas;
    this.#stylize = stylize;
  }

  get running() {
    return this.#run !== null;
  }

  get recording() {
    return this.#recorder !== null;
  }

  /** Whether this browser can record WebM. */
  static get recordable() {
    return Boolean(globalThis.MediaRecorder?.isTypeSupported("video/webm"));
  }

  /**
   * Shows stylized frames until `stop`. Each frame is the newest of the camera, so that a slow device shows fewer frames
   * and none of them late. `count` is called with the number of frames a second.
   */
  async start(count) {
    const run = (this.#run = {});
    let milliseconds = null;
    try {
      while (this.#run === run) {
        const before = performance.now();
        const picture = await this.#stylize();
        if (this.#run !== run) break;
        if (picture) {
          this.#show(picture);
          const taken = performance.now() - before;
          milliseconds = milliseconds === null ? taken : SMOOTHING * milliseconds + (1 - SMOOTHING) * taken;
          count(1000 / milliseconds);
        }
        await new Promise(requestAnimationFrame); // the page can draw, and rests while it is hidden
      }
    } finally {
      if (this.#run === run) this.stop();
    }
  }

  stop() {
    this.#run = null;
    this.#recorder?.stop();
    this.#canvas.hidden = true;
  }

  /** Records what is shown from now on, until `endRecording`, `stop`, or a picture of another size. */
  record(save) {
    const recorder = new MediaRecorder(this.#canvas.captureStream(), { mimeType: "video/webm" });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      this.#recorder = null;
      save(new Blob(parts, { type: "video/webm" }));
    };
    recorder.start(1000);
    this.#recorder = recorder;
  }

  /** Ends the recording, whose film goes to the function that `record` was given. */
  endRecording() {
    this.#recorder?.stop();
  }

  #show(picture) {
    const { width, height } = picture;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.endRecording(); // few players show a film whose size changes
      Object.assign(this.#canvas, { width, height });
    }
    this.#canvas.getContext("2d").putImageData(picture, 0, 0);
    this.#canvas.hidden = false;
  }
}
