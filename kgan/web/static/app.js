// The user interface of the page.

import { Brush } from "./brush.js";
import { Camera } from "./camera.js";
import { Live } from "./live.js";
import { keep, workOffline } from "./offline.js";
import { fitted, mixed } from "./picture.js";
import { Stylizer } from "./stylizer.js";

const USUAL_SIZE = 384; // default for the longer side; if the model does not have it, the next smaller size
const LARGEST = 2048; // longer side in pixels to which photos are reduced, so that a large one does not fill the memory

const part = (id) => document.getElementById(id);
const camera = new Camera(document.querySelector("video"));
const live = new Live(part("live"), frame);
const brush = new Brush(part("brush"), part("ring"), masked);

let stylizer = null;
let models = [];
let photo = null; // { bitmap, name }
let newest = null; // the file that was given last
let shown = null; // { content, stylized, name, told }: ImageData of one size, the name of its file, what the page says
let painting = false;
let stale = false; // whether an option changed while painting

// --- messages --------------------------------------------------------------------------------------------------------

function say(text) {
  part("status").textContent = text;
}

/** What the shown picture is. */
function sayShown() {
  say(shown?.told ?? "");
}

function complain(text) {
  part("error").textContent = text;
  part("error").hidden = !text;
}

function show(name) {
  for (const id of ["empty", "compare", "camera"]) part(id).hidden = id !== name;
  part("tools").hidden = name !== "compare";
  part("save").disabled = name !== "compare";
}

function working(yes) {
  part("busy").hidden = !yes;
  part("stage").setAttribute("aria-busy", yes);
}

// --- options ---------------------------------------------------------------------------------------------------------

function chosen(name) {
  return document.querySelector(`input[name="${name}"]:checked`)?.value;
}

function style() {
  return models[Number(chosen("style"))];
}

/** A row of radio buttons; each choice is [value, text]. */
function offer(id, name, choices, selected) {
  const rows = choices.map(([value, text]) => {
    const input = Object.assign(document.createElement("input"), { type: "radio", name, value });
    input.checked = value === selected;
    const label = document.createElement("label");
    label.append(input, Object.assign(document.createElement("span"), { textContent: text }));
    return label;
  });
  part(id).replaceChildren(...rows);
}

function offerSizes() {
  const sizes = Object.keys(style().signatures).map(Number);
  const before = Number(chosen("size"));
  const usual = sizes.findLast((size) => size <= USUAL_SIZE) ?? sizes[0];
  const selected = sizes.includes(before) ? before : usual;
  offer("sizes", "size", sizes.map((size) => [String(size), `${size} px`]), String(selected));
}

// --- painting --------------------------------------------------------------------------------------------------------

/** A picture at the size of the model's input, on white, as ImageData. */
function content(source, sourceWidth, sourceHeight) {
  const { width, height } = fitted(sourceWidth, sourceHeight, Number(chosen("size")));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Stylizes the photo with the current options. If an option changes meanwhile, the photo is stylized again. */
async function paint() {
  stale = true;
  if (!photo || !stylizer || painting) return;
  painting = true;
  working(true);
  try {
    while (stale) {
      stale = false;
      const picture = content(photo.bitmap, photo.bitmap.width, photo.bitmap.height);
      const side = Number(chosen("size"));
      say("Painting …");
      const name = `${photo.name}-${style().name}.png`;
      const made = await stylizer.stylize(picture, style(), side);
      const told = `${picture.width} × ${picture.height} pixels in ${(made.milliseconds / 1000).toFixed(2)} s`;
      shown = { content: picture, stylized: made.picture, name, told };
      complain("");
      draw();
      sayShown();
      if (part("camera").hidden) show("compare");
    }
  } catch (error) {
    say("");
    complain(`This picture could not be painted: ${error.message}`);
  } finally {
    painting = false;
    working(false);
  }
}

/** The stylized picture at the chosen strength, where the mask lets it be, as ImageData. */
function blended(before, stylized, mask = null) {
  const strength = Number(part("strength").value) / 100;
  return new ImageData(mixed(before.data, stylized.data, strength, mask), before.width, before.height);
}

function draw() {
  const { content: before, stylized } = shown;
  const after = blended(before, stylized, brush.mask(before.width, before.height));
  for (const [id, picture] of [["before", before], ["after", after]]) {
    const canvas = part(id);
    Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }
  part("compare").style.setProperty("--shape", before.width / before.height);
}

// --- brush -----------------------------------------------------------------------------------------------------------

const MODES = [["off", "Compare"], ["paint", "Paint"], ["erase", "Erase"]];

function hold() {
  const mode = chosen("mode");
  brush.mode = mode;
  part("brush-size-row").hidden = mode === "off";
  showClear();
  say({ off: shown.told, paint: "Paint where the style goes.", erase: "Erase the style." }[mode]);
}

function showClear() {
  part("clear").hidden = !brush.used;
  part("brush-row").hidden = part("brush-size-row").hidden && !brush.used;
}

let waiting = false; // for the next picture of the screen

function masked() {
  showClear();
  if (waiting || !shown) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

// --- saving ----------------------------------------------------------------------------------------------------------

function save() {
  draw(); // a stroke may not be on the screen yet
  const { name } = shown; // another picture may be painted by then
  part("after").toBlob((blob) => download(blob, name), "image/png");
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// --- input -----------------------------------------------------------------------------------------------------------

function take(bitmap, name) {
  if (!part("camera").hidden) closeCamera();
  photo?.bitmap.close();
  photo = { bitmap, name };
  brush.begin(bitmap.width, bitmap.height);
  showClear();
  complain("");
  return paint();
}

async function takeFile(file) {
  if (!file) return;
  newest = file;
  try {
    const bitmap = await reduced(await createImageBitmap(file));
    if (newest === file) await take(bitmap, file.name.replace(/\.[^.]*$/, ""));
    else bitmap.close();
  } catch {
    if (newest === file) complain(`${file.name} cannot be read as a picture by this browser. Choose a JPEG, PNG or WebP.`);
  }
}

function takeChosen(event) {
  const [file] = event.target.files;
  event.target.value = ""; // so that the same file can be chosen again
  takeFile(file);
}

/** Takes a file that was dropped or pasted. Browsers would open a dropped file instead of the page. */
function takeGiven(event, files) {
  if (!files?.length) return;
  event.preventDefault();
  takeFile(files[0]);
}

async function reduced(bitmap) {
  if (Math.max(bitmap.width, bitmap.height) <= LARGEST) return bitmap;
  const { width, height } = fitted(bitmap.width, bitmap.height, LARGEST);
  const small = await createImageBitmap(bitmap, { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
  bitmap.close();
  return small;
}

async function openCamera() {
  if (!Camera.available) {
    part("capture").click();
    return;
  }
  try {
    complain("");
    if (!(await camera.open())) return;
    show("camera");
    part("shoot").focus();
  } catch (error) {
    closeCamera();
    const refused = error.name === "NotAllowedError";
    complain(`${refused ? "The camera was not allowed." : "No camera was found."} Choose a picture instead.`);
  }
}

function closeCamera() {
  const focused = part("camera").contains(document.activeElement);
  stopLive();
  camera.close();
  show(shown ? "compare" : "empty");
  if (focused) part("open-camera").focus(); // the button that had it is hidden
}

async function shoot() {
  stopLive();
  const bitmap = await camera.shoot();
  closeCamera();
  await take(bitmap, "photo");
}

// --- live camera -----------------------------------------------------------------------------------------------------

/** The camera's newest picture, stylized with the current options. */
async function frame() {
  const video = document.querySelector("video");
  if (!video.videoWidth || !stylizer) return null;
  const picture = content(video, video.videoWidth, video.videoHeight);
  const made = await stylizer.stylize(picture, style(), Number(chosen("size")));
  return blended(picture, made.picture);
}

async function goLive() {
  if (live.running) {
    stopLive();
    return;
  }
  press("go-live", true);
  part("status").ariaLive = "off"; // a screen reader would read each number of frames
  part("record").hidden = !Live.recordable;
  complain("");
  try {
    await live.start((frames) => say(`${frames.toFixed(frames < 9.5 ? 1 : 0)} frames/s`));
  } catch (error) {
    stopLive();
    complain(`The camera could not be painted: ${error.message}`);
  }
}

function stopLive() {
  if (live.running) sayShown();
  live.stop();
  part("status").ariaLive = "polite";
  press("go-live", false);
  part("record").hidden = true;
}

function record() {
  if (live.recording) {
    live.endRecording();
  } else {
    const name = `film-${style().name}.webm`;
    live.record((blob) => {
      press("record", false);
      download(blob, name);
    });
    press("record", true);
  }
}

function press(id, yes) {
  part(id).setAttribute("aria-pressed", yes);
}

// --- start -----------------------------------------------------------------------------------------------------------

function listen() {
  part("open-camera").onclick = openCamera;
  part("choose").onclick = () => part("file").click();
  part("file").onchange = takeChosen;
  part("capture").onchange = takeChosen;
  document.ondragover = (event) => event.preventDefault();
  document.ondrop = (event) => takeGiven(event, event.dataTransfer.files);
  document.onpaste = (event) => takeGiven(event, event.clipboardData.files);
  document.onkeydown = (event) => {
    if (event.key === "Escape" && !part("camera").hidden) closeCamera();
  };
  part("shoot").onclick = shoot;
  part("close").onclick = closeCamera;
  part("go-live").onclick = goLive;
  part("record").onclick = record;
  part("turn").onclick = () => camera.turn().catch(openCamera);
  part("save").onclick = save;
  part("split").oninput = (event) => part("compare").style.setProperty("--split", event.target.value);
  part("strength").oninput = (event) => {
    part("strength-shown").textContent = `${event.target.value} %`;
    if (shown) draw();
  };
  part("modes").onchange = hold;
  part("brush-size").oninput = (event) => {
    part("brush-size-shown").textContent = `${event.target.value} %`;
    brush.size = Number(event.target.value);
  };
  part("clear").onclick = () => {
    brush.clear();
    document.querySelector('input[name="mode"]:checked').focus(); // the button has gone
  };
  part("styles").onchange = () => {
    offerSizes();
    paint();
  };
  part("sizes").onchange = paint;
  part("controls").onsubmit = (event) => event.preventDefault();
}

/** Whether the browser has WebAssembly with SIMD: a module with a function of one SIMD instruction is valid. */
function canCompute() {
  const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  return Boolean(globalThis.WebAssembly?.validate(Uint8Array.from(simd)));
}

async function start() {
  listen();
  offer("modes", "mode", MODES, "off");
  working(true);
  try {
    if (!canCompute()) throw new Error("it needs WebAssembly with SIMD; update this browser or take another one");
    ({ models } = await (await fetch("models.json")).json());
    if (!models.length) throw new Error("there is no style here; start it with kgan web MODEL");
    offer("styles", "style", models.map((model, index) => [String(index), model.title]), "0");
    offerSizes();
    part("controls").hidden = false;
    part("open-camera").disabled = part("choose").disabled = false;
    await workOffline();
    const ready = new Stylizer(Number(new URLSearchParams(location.search).get("threads")) || undefined);
    const { threads } = await ready.load(style());
    document.documentElement.dataset.threads = threads;
    stylizer = ready;
    say("Ready.");
    working(false);
    paint();
    await keep(models.map((model) => model.file));
    document.documentElement.dataset.kept = "yes";
  } catch (error) {
    say("");
    complain(`The page cannot work: ${error.message}`);
    working(false);
  }
}

start();
