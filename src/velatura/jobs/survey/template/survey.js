"use strict";

(() => {
  const survey = JSON.parse(document.getElementById("survey").textContent);
  const FORMAT = "velatura survey answers 1";
  const KEY = `velatura-survey-${survey.id}`;
  const SECONDS_A_CHOICE = 8;
  const MOST_ENLARGED = 1.5;
  const CHOSEN_MS = 180;
  const EDGE = 8;
  const LONG_QUESTION = 50;
  const SIDES = ["left", "right"];

  const $ = (id) => document.getElementById(id);

  /* What each rater is shown: the same numbers as velatura.jobs.survey.plan draws. */

  function hash(text) {
    let state = 0x811c9dc5;
    for (let at = 0; at < text.length; at++) {
      state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
    }
    return state >>> 0;
  }

  function drawsOf(text) {
    let state = hash(text);
    return (limit) => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) * limit) / 4294967296);
    };
  }

  function planOf(rater) {
    const below = drawsOf(`${survey.seed}/${rater}`);
    const order = [...survey.pairs];
    for (let last = order.length - 1; last > 0; last--) {
      const other = below(last + 1);
      [order[last], order[other]] = [order[other], order[last]];
    }
    const trials = order.map((pair) => {
      const [one, other] = pair.pictures;
      const [left, right] = below(2) ? [other, one] : [one, other];
      return { kind: "pair", left, right, asked: null, pair };
    });
    for (const trial of trials.slice(0, survey.repeat)) {
      trials.push({ ...trial, kind: "repeat", left: trial.right, right: trial.left });
    }
    const checks = [];
    for (let number = 0; number < survey.checks; number++) {
      const begin = Math.floor((trials.length * number) / survey.checks);
      const end = Math.floor((trials.length * (number + 1)) / survey.checks);
      const place = 1 + begin + below(end - begin);
      const shown = trials[below(place)];
      checks.push([place, { ...shown, kind: "check", asked: SIDES[below(2)] }]);
    }
    for (const [place, check] of checks.reverse()) trials.splice(place, 0, check);
    return trials;
  }

  /* What is remembered, here and in the browser. */

  let state;
  let trials;

  function newRater() {
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    const rater = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return { rater, answers: [], spent: 0, finished: null, saved: false };
  }

  function remember() {
    try {
      localStorage.setItem(KEY, JSON.stringify(state));
      return true;
    } catch {
      return false;
    }
  }

  function recalled() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      const sound = found && /^[0-9a-f]{16}$/.test(found.rater) && Array.isArray(found.answers);
      return sound ? found : null;
    } catch {
      return null;
    }
  }

  function take(found) {
    state = found;
    trials = planOf(state.rater);
  }

  /* How long a pair was looked at: only while it is in sight. */

  let shownSince = null;

  function stopClock() {
    if (shownSince !== null) state.spent += performance.now() - shownSince;
    shownSince = null;
  }

  function startClock() {
    if (shownSince === null && !$("trial").hidden && !document.hidden) shownSince = performance.now();
  }

  /* Screens. */

  function show(screen) {
    for (const main of document.querySelectorAll("main")) main.hidden = main.id !== screen;
    scrollTo(0, 0);
  }

  function showStart() {
    show("start");
    const minutes = Math.max(1, Math.round((trials.length * SECONDS_A_CHOICE) / 60));
    $("count").textContent = trials.length;
    $("minutes").textContent = minutes === 1 ? "a minute" : `${minutes} minutes`;
    $("checked").hidden = survey.checks === 0;
    $("forgetful").hidden = remember();
    $("begin").focus();
  }

  function showPaused() {
    clearTimeout(goingOn);
    accepting = false;
    stopClock();
    const kept = remember();
    show("paused");
    $("paused-words").textContent =
      `You have made ${state.answers.length} of ${trials.length} choices. ` +
      (kept
        ? "They are kept in this browser: you can close the page and open it again later."
        : "This browser keeps nothing for this page: leave it open, or they are lost.");
    $("resume").focus();
  }

  function showEnd() {
    show("end");
    state.finished ??= new Date().toISOString();
    remember();
    $("answers").value = exported();
    $("said").textContent = "";
    $("save").focus();
  }

  let accepting = false;
  let goingOn;

  async function showTrial() {
    accepting = false;
    if (state.answers.length >= trials.length) return showEnd();
    const trial = trials[state.answers.length];
    show("trial");
    $("undo").disabled = state.answers.length === 0;
    $("place").textContent = `${state.answers.length + 1} of ${trials.length}`;
    $("progress").max = trials.length;
    $("progress").value = state.answers.length;
    const asked = questionOf(trial);
    $("asked").textContent = asked;
    $("question").classList.toggle("long", asked.length > LONG_QUESTION);
    showContext(trial);
    $("choices").classList.add("waiting");
    const images = SIDES.map((side) => {
      $(side).classList.remove("chosen");
      const image = $(side).querySelector("img");
      image.src = survey.pictures[trial[side]];
      return image;
    });
    await Promise.allSettled(images.map((image) => image.decode()));
    if (trial !== trials[state.answers.length] || $("trial").hidden) return;
    arrange();
    $("choices").classList.remove("waiting");
    $("announcement").textContent = `${$("place").textContent}. ${asked}`;
    accepting = true;
    startClock();
  }

  function questionOf(trial) {
    if (trial.kind !== "check") return survey.question;
    return `This is a check: please choose picture ${trial.asked === "left" ? 1 : 2}`;
  }

  function showContext(trial) {
    for (const what of ["content", "style"]) {
      const uri = survey.pictures[trial.pair[what]];
      $(what).hidden = !uri;
      if (uri) $(what).querySelector("img").src = uri;
    }
    $("context").hidden = $("content").hidden && $("style").hidden;
  }

  /* Side by side or one above the other, whichever shows the pictures larger. */
  function arrange() {
    const images = SIDES.map((side) => $(side).querySelector("img"));
    const wide = Math.max(...images.map((image) => image.naturalWidth));
    const high = Math.max(...images.map((image) => image.naturalHeight));
    const width = $("stage").clientWidth - 2 * EDGE;
    const height = $("stage").clientHeight - $("question").offsetHeight - 2 * EDGE;
    if (!wide || !high || width <= 0) return;
    const gap = parseFloat(getComputedStyle($("choices")).columnGap);
    const row = Math.min((width - gap) / 2 / wide, height / high);
    const column = Math.min(width / wide, (height - gap) / 2 / high);
    $("choices").classList.toggle("column", column > row);
    const scale = Math.min(Math.max(row, column), MOST_ENLARGED);
    for (const image of images) {
      image.width = Math.max(1, Math.floor(image.naturalWidth * scale));
      image.height = Math.max(1, Math.floor(image.naturalHeight * scale));
    }
  }

  /* Answering. */

  function choose(side) {
    if (!accepting || $("large").open) return;
    accepting = false;
    stopClock();
    state.answers.push({ choice: side, ms: Math.round(state.spent) });
    state.spent = 0;
    remember();
    $(side).classList.add("chosen");
    goingOn = setTimeout(showTrial, CHOSEN_MS);
  }

  function undo() {
    if (state.answers.length === 0 || $("large").open || (!accepting && !$("trial").hidden)) return;
    shownSince = null;
    state.answers.pop();
    Object.assign(state, { spent: 0, finished: null, saved: false });
    remember();
    showTrial();
  }

  function exported() {
    const answers = state.answers.map(({ choice, ms }, at) => {
      const { kind, left, right, asked } = trials[at];
      return { kind, left, right, asked, choice, ms };
    });
    const checks = answers.filter((answer) => answer.kind === "check");
    const passed = checks.filter((check) => check.choice === check.asked).length;
    const content = {
      format: FORMAT,
      survey: survey.id,
      sealed: survey.sealed,
      rater: state.rater,
      finished: state.finished,
      answers,
      checks: { shown: checks.length, passed },
    };
    const text = JSON.stringify(content);
    const digits = ["0", "1"].map((lane) => hash(lane + text).toString(16).padStart(8, "0"));
    return JSON.stringify({ ...content, digest: digits.join("") }, null, 1) + "\n";
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
    link.download = `answers-${state.rater}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    handedIn(`Saved as ${link.download}, where your browser keeps downloads.`);
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(exported());
    } catch {
      $("answers").closest("details").open = true;
      $("answers").focus();
      $("answers").select();
      $("said").textContent = "This browser does not let the page copy. The text is selected: copy it yourself.";
      return;
    }
    handedIn("Copied. Paste it into a message, whole.");
  }

  function handedIn(words) {
    state.saved = true;
    remember();
    $("said").textContent = words;
  }

  function nextRater() {
    const question = "These answers have not been saved, and would be lost. Begin for another person all the same?";
    if (!state.saved && !confirm(question)) return;
    take(newRater());
    showStart();
  }

  function enlarge(what) {
    const image = $("large").querySelector("img");
    image.src = $(what).querySelector("img").src;
    $("large-name").textContent = $(what).textContent;
    $("large").showModal();
  }

  /* What people do. */

  const keys = {
    1: () => choose("left"),
    2: () => choose("right"),
    ArrowLeft: () => choose("left"),
    ArrowRight: () => choose("right"),
    Backspace: undo,
    u: undo,
    p: showPaused,
  };

  addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const plain = !(event.repeat || event.ctrlKey || event.altKey || event.metaKey);
    if ($("trial").hidden || $("large").open || !plain || !Object.hasOwn(keys, key)) return;
    event.preventDefault();
    keys[key]();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? stopClock() : accepting && startClock()));
  addEventListener("pagehide", () => {
    stopClock();
    if (state.answers.length) remember();
  });
  new ResizeObserver(arrange).observe($("stage"));

  for (const side of SIDES) $(side).addEventListener("click", () => choose(side));
  for (const what of ["content", "style"]) $(what).addEventListener("click", () => enlarge(what));
  $("begin").addEventListener("click", showTrial);
  $("resume").addEventListener("click", showTrial);
  $("pause").addEventListener("click", showPaused);
  $("undo").addEventListener("click", undo);
  $("back").addEventListener("click", undo);
  $("save").addEventListener("click", save);
  $("copy").addEventListener("click", copy);
  $("next-rater").addEventListener("click", nextRater);

  for (const place of document.querySelectorAll("[data-text]")) {
    place.textContent = survey[place.dataset.text];
  }
  take(recalled() ?? newRater());
  if (state.answers.length >= trials.length) showEnd();
  else if (state.answers.length) showPaused();
  else showStart();
})();
