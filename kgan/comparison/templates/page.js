"use strict";

// The page keeps only which place was preferred, 1 or 2. The key that names the sides is decoded after the last vote.
(() => {
  const element = (id) => document.getElementById(id);
  const sealed = element("sealed");
  const COUNT = Number(sealed.dataset.count);
  const KEY = `kgan compare ${sealed.dataset.identity}`;
  const PARTS = ["photo", "1", "2"];
  const CHOICES = ["first", "second", "none"];
  const KEYS = { ArrowLeft: "first", ArrowRight: "second", ArrowDown: "none" };
  const Z = 1.959963984540054; // 97.5% quantile of the normal distribution, for 95% intervals

  const stage = element("stage");
  const frames = [...stage.querySelectorAll(".frame")];
  const images = frames.map((frame) => frame.querySelector("img"));

  // --- votes, which the browser keeps ---------------------------------------------------------------------------------

  let kept = restored();
  let begun = false;

  function fresh() {
    const bytes = [...crypto.getRandomValues(new Uint8Array(8))];
    return { ballot: bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(""), voter: "", votes: [], shown: false };
  }

  function restored() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      const fits = found.votes.length <= COUNT && found.votes.every((vote) => CHOICES.includes(vote));
      if (fits && typeof found.ballot === "string" && typeof found.voter === "string") {
        return { ...found, shown: Boolean(found.shown) && found.votes.length === COUNT };
      }
    } catch {
      // nothing is kept yet, or the browser keeps nothing
    }
    return fresh();
  }

  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      element("unkept").hidden = false;
    }
  }

  // --- what is shown --------------------------------------------------------------------------------------------------

  function update() {
    const done = kept.votes.length === COUNT;
    const now = kept.shown ? "result" : done ? "end" : begun ? "vote" : "start";
    for (const name of ["start", "vote", "end", "result"]) {
      element(name).hidden = name !== now;
    }
    if (now === "start") {
      element("voter").value = kept.voter;
      element("begin").querySelector("button").textContent =
        kept.votes.length ? `Go on with photo ${kept.votes.length + 1} of ${COUNT}` : "Begin";
    } else if (now === "vote") {
      present();
    } else {
      if (now === "result") {
        showResult();
      }
      element(now).querySelector("h1").focus();
    }
  }

  // With the identity of the page, so that no browser shows a picture of an older page that was at the same address.
  const address = (place, part) =>
    `pictures/${String(place + 1).padStart(4, "0")}-${part}.jpg?${sealed.dataset.identity}`;

  let turn = 0;
  let ready = false;

  /** Shows the photo that is next, as soon as its three pictures are there. */
  async function present() {
    const mine = ++turn;
    const place = kept.votes.length;
    allow(false);
    zoom(false);
    element("fault").hidden = true;
    element("place").textContent = `Photo ${place + 1} of ${COUNT}`;
    element("progress").value = place;
    stage.toggleAttribute("data-loading", true);
    images.forEach((image, k) => { image.src = address(place, PARTS[k]); });
    try {
      await Promise.all(images.map((image) => image.decode()));
    } catch {
      if (mine === turn) {
        element("fault").textContent = "A picture cannot be loaded. Is the folder “pictures” beside this page?";
        element("fault").hidden = false;
        element("undo").disabled = place === 0;
      }
      return;
    }
    if (mine === turn) {
      arrange();
      stage.toggleAttribute("data-loading", false);
      allow(true);
      if (place + 1 < COUNT) {
        PARTS.forEach((part) => { new Image().src = address(place + 1, part); });
      }
    }
  }

  function allow(now) {
    ready = now;
    document.querySelectorAll("#choices button, #zoom").forEach((button) => {
      button.setAttribute("aria-disabled", String(!now)); // not disabled, which would take the focus away
    });
    element("undo").disabled = kept.votes.length === 0;
  }

  /** Places the three pictures so that the results are largest. */
  function arrange() {
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    const { naturalWidth, naturalHeight } = images[0];
    const fit = (w, h) => Math.min(w / naturalWidth, h / naturalHeight);
    const layouts = {
      rows: fit(width / 2, 0.6 * height - 24),
      columns: fit(width / 3, height - 24),
      stack: fit(width - 52, height / 3),
    };
    stage.dataset.layout = Object.keys(layouts).reduce((one, other) => (layouts[other] > layouts[one] ? other : one));
  }

  // --- voting ---------------------------------------------------------------------------------------------------------

  function vote(choice) {
    if (ready) {
      kept.votes.push(choice);
      keep();
      update();
    }
  }

  function undo() {
    if (kept.votes.length && !kept.shown && (begun || kept.votes.length === COUNT)) {
      kept.votes.pop();
      begun = true;
      keep();
      update();
    }
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (typing || event.ctrlKey || event.altKey || event.metaKey || kept.shown) {
      return;
    }
    const voting = !element("vote").hidden;
    if (event.key === "Backspace") {
      undo();
    } else if (!voting) {
      return;
    } else if (event.shiftKey && event.key.startsWith("Arrow")) {
      pan(event.key);
    } else if (event.key in KEYS) {
      if (!event.repeat) {
        vote(KEYS[event.key]);
      }
    } else if (event.key.toLowerCase() === "z" && !event.repeat) {
      zoom(!zoomed());
    } else if (event.key === "Escape") {
      zoom(false);
    } else {
      return;
    }
    event.preventDefault();
  });

  element("choices").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) {
      vote(button.dataset.choice);
    }
  });
  element("undo").addEventListener("click", undo);
  element("back").addEventListener("click", undo);
  element("zoom").addEventListener("click", () => zoom(!zoomed()));
  element("begin").addEventListener("submit", (event) => {
    event.preventDefault();
    kept.voter = element("voter").value.trim();
    begun = true;
    keep();
    update();
  });
  element("reveal").addEventListener("click", () => {
    kept.shown = true;
    keep();
    update();
  });
  element("again").addEventListener("click", () => {
    if (confirm("This deletes the votes that this browser keeps. Have you saved them?")) {
      kept = fresh();
      begun = false;
      keep();
      update();
    }
  });

  // The page is open twice, and the other one kept a vote, which this one must not write over.
  addEventListener("storage", (event) => {
    if (event.key === KEY) {
      kept = restored();
      update();
    }
  });

  // --- zoom: all three pictures show the same place -------------------------------------------------------------------

  const zoomed = () => "zoomed" in stage.dataset;
  let center = [0.5, 0.5]; // fractions of the width and the height of the pictures
  let leader = null; // the frame that a finger, a wheel or a mouse moves; the others follow

  /** The scale of a picture that fits into its frame. Small pictures are not enlarged. */
  const fitting = (frame, image) =>
    Math.min(1, frame.clientWidth / image.naturalWidth, frame.clientHeight / image.naturalHeight);

  /** Shows a pixel of the pictures as one of the page, or twice as large if it was shown so already. */
  function zoom(on, at = [0.5, 0.5]) {
    if (on && !ready) {
      return;
    }
    const scale = Math.min(...frames.slice(1).map((frame, k) => fitting(frame, images[k + 1]))) < 1 ? 1 : 2;
    stage.toggleAttribute("data-zoomed", on);
    element("zoom").setAttribute("aria-pressed", String(on));
    element("zoom").textContent = on ? `${100 * scale}%` : "Zoom";
    images.forEach((image) => {
      image.style.width = on ? `${image.naturalWidth * scale}px` : "";
      image.style.height = on ? `${image.naturalHeight * scale}px` : "";
    });
    if (on) {
      center = at;
      frames.forEach(follow);
    }
  }

  function follow(frame) {
    frame.scrollLeft = center[0] * frame.scrollWidth - frame.clientWidth / 2;
    frame.scrollTop = center[1] * frame.scrollHeight - frame.clientHeight / 2;
  }

  /** Takes the place that a frame shows, and shows it in the others. */
  function lead(frame) {
    center = [
      (frame.scrollLeft + frame.clientWidth / 2) / frame.scrollWidth,
      (frame.scrollTop + frame.clientHeight / 2) / frame.scrollHeight,
    ];
    frames.filter((other) => other !== frame).forEach(follow);
  }

  function pan(key) {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (zoomed()) {
      frames[1].scrollBy(80 * x, 80 * y);
      lead(frames[1]);
    }
  }

  /** The place of a click as fractions of the picture. */
  function pointed(frame, image, event) {
    const box = frame.getBoundingClientRect();
    const scale = fitting(frame, image);
    const along = (at, room, side) => Math.min(1, Math.max(0, (at - (room - side * scale) / 2) / (side * scale)));
    return [
      along(event.clientX - box.left, box.width, image.naturalWidth),
      along(event.clientY - box.top, box.height, image.naturalHeight),
    ];
  }

  frames.forEach((frame, k) => {
    let grip = null; // where the mouse holds the picture
    let moved = false;
    frame.addEventListener("wheel", () => { leader = frame; }, { passive: true });
    frame.addEventListener("scroll", () => {
      if (leader === frame && zoomed()) {
        lead(frame);
      }
    });
    frame.addEventListener("pointerdown", (event) => {
      leader = frame;
      moved = false;
      grip = event.pointerType === "mouse" && event.button === 0 ? [event.clientX, event.clientY] : null;
    });
    frame.addEventListener("pointermove", (event) => {
      const [x, y] = grip ? [grip[0] - event.clientX, grip[1] - event.clientY] : [0, 0];
      if (zoomed() && (moved || Math.hypot(x, y) > 4)) {
        moved = true;
        frame.setPointerCapture(event.pointerId);
        frame.scrollBy(x, y);
        grip = [event.clientX, event.clientY];
      }
    });
    frame.addEventListener("pointerup", () => { grip = null; });
    frame.addEventListener("pointercancel", () => { grip = null; });
    frame.addEventListener("click", (event) => {
      if (!moved) {
        zoom(!zoomed(), pointed(frame, images[k], event));
      }
    });
  });

  addEventListener("resize", () => {
    if (ready && !element("vote").hidden) {
      arrange();
      frames.forEach(follow);
    }
  });

  // --- the result -----------------------------------------------------------------------------------------------------

  function opened() {
    const bytes = Uint8Array.from(atob(sealed.textContent.trim()), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  /** "a", "b" or "none", from the place that was preferred and the side that was first. */
  const meant = (choice, first) => (choice === "none" ? "none" : (choice === "first") === (first === "a") ? "a" : "b");

  /** As `kgan.comparison.preference.wilson_interval`. */
  function wilson(wins, count) {
    if (count === 0) {
      return [0, 1];
    }
    const middle = (wins + (Z * Z) / 2) / (count + Z * Z);
    const half = (Z / (count + Z * Z)) * Math.sqrt((wins * (count - wins)) / count + (Z * Z) / 4);
    return [wins === 0 ? 0 : middle - half, wins === count ? 1 : middle + half];
  }

  /** As `kgan.comparison.preference.sign_test`, with logarithms, because 1/2^n has no double for n above 1074. */
  function signTest(wins, losses) {
    const count = wins + losses;
    let [term, tail] = [-count * Math.LN2, 0];
    for (let k = 0; k <= Math.min(wins, losses); k++) {
      tail += Math.exp(term);
      term += Math.log((count - k) / (k + 1));
    }
    return Math.min(1, 2 * tail);
  }

  const percent = (share) => `${Math.floor(100 * share + 0.5)}%`;
  const probability = (p) => (p < 0.001 ? "p < 0.001" : `p = ${(Math.floor(1000 * p + 0.5) / 1000).toFixed(3)}`);
  const photos = (count) => (count === 1 ? "1 photo" : `${count} photos`);

  /** Puts elements with these tags and texts into another one. */
  function filled(parent, children) {
    const made = children.map(([tag, text]) => Object.assign(document.createElement(tag), { textContent: text }));
    parent.replaceChildren(...made);
    return parent;
  }

  function rows(key) {
    return key.photos.map(({ photo, first }, place) => ({ photo, choice: meant(kept.votes[place], first), first }));
  }

  function showResult() {
    const key = opened();
    const votes = rows(key);
    const count = (choice) => votes.filter((vote) => vote.choice === choice).length;
    const [a, b, none] = [count("a"), count("b"), count("none")];
    const [low, high] = wilson(a, a + b);
    [...element("bar").children].forEach((part, k) => { part.style.flexGrow = [a, none, b][k]; });
    const counts = [["dt", key.a], ["dd", a], ["dt", "no preference"], ["dd", none], ["dt", key.b], ["dd", b]];
    filled(element("counts"), counts);
    element("share").textContent = a + b === 0
      ? "You preferred neither in any photo."
      : `${key.a} won ${percent(a / (a + b))} of the ${photos(a + b)} with a preference; ` +
        `95% interval ${percent(low)} to ${percent(high)}.`;
    const p = signTest(a, b);
    element("test").textContent = `Sign test: ${probability(p)}. ` + (p < 0.05
      ? "So large a difference is rare if both are equally good."
      : "Such a difference is not rare if both are equally good: more votes are needed to tell.");
    const words = { a: key.a, b: key.b, none: "no preference" };
    element("votes").replaceChildren(...votes.map(({ photo, choice }) =>
      filled(document.createElement("tr"), [["td", photo], ["td", words[choice]]])));
  }

  element("save").addEventListener("click", () => {
    const key = opened();
    const { a, b, question } = key;
    const held = {
      format: "kgan votes 1", comparison: sealed.dataset.identity, ballot: kept.ballot, voter: kept.voter,
      question, a, b, votes: rows(key),
    };
    const link = document.createElement("a");
    const name = kept.voter.replace(/[^\p{L}\p{N}]+/gu, "-") || kept.ballot.slice(0, 6);
    link.download = `votes-${name}.json`;
    link.href = URL.createObjectURL(new Blob([`${JSON.stringify(held, null, 1)}\n`], { type: "application/json" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });

  update();
})();
