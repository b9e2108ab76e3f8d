// Shows the picture of the camera in a <video> element.

export class Camera {
  #video;
  #stream = null;
  #facing = "environment";

  constructor(video) {
    this.#video = video;
  }

  /** Whether there is a camera. Browsers allow it only for pages over HTTPS or from the device itself. */
  static get available() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  async open() {
    this.close();
    const video = { facingMode: this.#facing, width: { ideal: 1280 }, height: { ideal: 1280 } };
    this.#stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.#video.srcObject = this.#stream;
    this.#video.classList.toggle("mirrored", this.#facing === "user");
    await this.#video.play();
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
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }
}
