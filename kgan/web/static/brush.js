// A brush that paints where the style goes, by pointer or keyboard. Its mask belongs to one photo.

const LONGEST = 1024; // longer side of the mask in pixels
const HARD = 0.6; // part of a dab's radius in which it is full
const SPACING = 0.25; // distance of dabs along a stroke, as a part of the radius
const FINE_STEP = 0.01; // of the arrow keys with Shift, as a part of the picture
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Brush {
  #surface;
  #ring;
  #changed;
  #shape = { width: 1, height: 1 }; // of the mask
  #canvas = null; // the mask in its alpha; null while the style is everywhere
  #small = document.createElement("canvas"); // the mask at the size of the picture
  #place = { x: 0.5, y: 0.5 }; // of the ring, as parts of the picture
  #stroke = null; // id of the pointer that paints
  #mode = "off";
  #size = 20;

  /**
   * `surface` lies over the picture and takes the strokes; `ring` is inside and shows the brush. `changed` is called
   * after each change of the mask.
   */
  constructor(surface, ring, changed) {
    this.#surface = surface;
    this.#ring = ring;
    this.#changed = changed;
    surface.onpointerdown = (event) => this.#begin(event);
    surface.onpointermove = (event) => this.#move(event);
    surface.onpointerup = surface.onpointercancel = () => (this.#stroke = null);
    surface.onkeydown = (event) => this.#press(event);
  }

  /** "off", "paint" or "erase". The first stroke of "paint" begins on no style, that of "erase" on style everywhere. */
  set mode(mode) {
    this.#mode = mode;
    this.#surface.hidden = mode === "off";
    this.#showRing();
  }

  /** Diameter in percent of the picture's shorter side. */
  set size(percent) {
    this.#size = percent;
    this.#showRing();
  }

  /** Whether something was painted. */
  get used() {
    return this.#canvas !== null;
  }

  /** Style everywhere again. */
  clear() {
    this.#canvas = null;
    this.#changed();
  }

  /** Begins a new mask for a photo of this size. */
  begin(width, height) {
    const scale = LONGEST / Math.max(width, height);
    this.#shape = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
    this.#place = { x: 0.5, y: 0.5 };
    this.#canvas = null;
  }

  /** The mask at the size of a picture: RGBA bytes whose alpha is the part of the style. Null for style everywhere. */
  mask(width, height) {
    if (!this.used) return null;
    Object.assign(this.#small, { width, height });
    const context = this.#small.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.#canvas, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }

  #begin(event) {
    if (this.#stroke !== null || event.button !== 0) return; // a second finger
    event.preventDefault();
    this.#surface.focus({ preventScroll: true });
    this.#surface.setPointerCapture(event.pointerId);
    this.#stroke = event.pointerId;
    this.#place = this.#where(event);
    this.#paint(this.#place, this.#place);
  }

  #move(event) {
    if (this.#stroke !== null && event.pointerId !== this.#stroke) return;
    const before = this.#place;
    this.#place = this.#where(event);
    if (this.#stroke === null) this.#showRing();
    else this.#paint(before, this.#place);
  }

  #press(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const { width, height } = this.#shape;
      const step = event.shiftKey ? FINE_STEP * Math.max(width, height) : this.#radius / 2;
      this.#place = {
        x: Math.min(1, Math.max(0, this.#place.x + (arrow[0] * step) / width)),
        y: Math.min(1, Math.max(0, this.#place.y + (arrow[1] * step) / height)),
      };
      this.#showRing();
    } else if (event.key === " " || event.key === "Enter") {
      this.#paint(this.#place, this.#place);
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Radius in pixels of the mask. */
  get #radius() {
    return (this.#size / 200) * Math.min(this.#shape.width, this.#shape.height);
  }

  #where(event) {
    const box = this.#surface.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  /** Dabs from one place to another. */
  #paint(from, to) {
    const { width, height } = this.#shape;
    const context = this.#begun().getContext("2d");
    context.globalCompositeOperation = this.#mode === "erase" ? "destination-out" : "source-over";
    const distance = Math.hypot((to.x - from.x) * width, (to.y - from.y) * height);
    const count = Math.max(1, Math.ceil(distance / (SPACING * this.#radius)));
    for (let dab = 1; dab <= count; dab++) {
      const part = dab / count;
      this.#dab(context, (from.x + part * (to.x - from.x)) * width, (from.y + part * (to.y - from.y)) * height);
    }
    this.#showRing();
    this.#changed();
  }

  #dab(context, x, y) {
    const radius = this.#radius;
    const shade = context.createRadialGradient(x, y, HARD * radius, x, y, radius);
    shade.addColorStop(0, "rgb(255 255 255)");
    shade.addColorStop(1, "rgb(255 255 255 / 0)");
    context.fillStyle = shade;
    context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
  }

  /** The mask, which begins with the first stroke. */
  #begun() {
    if (!this.#canvas) {
      this.#canvas = Object.assign(document.createElement("canvas"), this.#shape);
      const context = this.#canvas.getContext("2d");
      context.fillStyle = "white";
      if (this.#mode === "erase") context.fillRect(0, 0, this.#shape.width, this.#shape.height);
    }
    return this.#canvas;
  }

  #showRing() {
    const { width, height } = this.#shape;
    this.#ring.style.left = `${100 * this.#place.x}%`;
    this.#ring.style.top = `${100 * this.#place.y}%`;
    this.#ring.style.width = `${(200 * this.#radius) / width}%`;
    this.#ring.style.height = `${(200 * this.#radius) / height}%`;
  }
}
