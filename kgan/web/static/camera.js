// Shows the picture of the camera in a <video> element.

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

export class Camera {
  #video;
  #stream = null;
  #facing = "environment";
  #asked = null; // an object for each time it is opened

  constructor(video) {
    this.#video = video;
  }

  /** Whether there is a camera. Browsers allow it only for pages over HTTPS or from the device itself. */
  static get available() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  /** Resolves to whether it is open: not if it was closed or opened again meanwhile. */
  async open() {
    this.close();
    const asked = (this.#asked = {});
    const video = { facingMode: this.#facing, width: { ideal: 1280 }, height: { ideal: 1280 } };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    if (this.#asked !== asked) {
      stop(stream);
      return false;
    }
    this.#stream = stream;
    this.#video.srcObject = stream;
    this.#video.classList.toggle("mirrored", this.#facing === "user");
    try {
      await this.#video.play();
    } catch (error) {
      if (this.#asked === asked) throw error;
    }
    return this.#asked === asked;
  }

  /** Switches between the back camera and the front camera. */
  turn() {
    this.#facing = this.#facing === "user" ? "environment" : "user";
    return this.open();
  }

  /** The current picture as an ImageBitmap. */
  shoot() {
    return createImageBitmap(this.#video);
  }

  close() {
    if (this.#stream) stop(this.#stream);
    this.#stream = this.#asked = null;
    this.#video.srcObject = null;
  }
}
