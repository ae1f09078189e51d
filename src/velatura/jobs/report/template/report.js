"use strict";

(() => {
  const $ = (id) => document.getElementById(id);
  const NUM_COLORS = 7;
  const SVG = "http://www.w3.org/2000/svg";

  /* An element with attributes and children; text is text. */
  function make(name, attributes = {}, ...children) {
    return filled(document.createElement(name), attributes, children);
  }

  function draw(name, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, name), attributes, children);
  }

  function filled(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  /* Numbers as people write them. */
  function short(value) {
    if (value === null) return "–";
    const size = Math.abs(value);
    if (value !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2).replace("e+", "e");
    return String(Number(value.toPrecision(4)));
  }

  /* Two pictures, one over the other, with a seam that moves. */

  function comparison(pictures) {
    const isOfAll = "ofAll" in pictures.dataset;
    const figures = [...(isOfAll ? document.querySelectorAll("[data-result]") : pictures.children)];
    const images = figures.map((figure) => figure.querySelector("img"));
    const names = figures.map((figure) => (isOfAll ? figure.dataset.result : figure.dataset.name));
    const [first, second] = pictures.dataset.compare.split(" ").map(Number);
    const stage = make("div", { class: "stage" });
    const seam = make("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": "Seam between the two pictures" });
    const sides = [["left", "Left", first], ["right", "Right", second]].map(([side, word, chosen]) => ({
      image: make("img", { class: side, alt: "" }),
      label: make("b", { class: `of-${side}`, "aria-hidden": "true" }),
      select: choice(`${word} picture`, names, chosen),
    }));

    function move(percent) {
      seam.value = percent;
      stage.style.setProperty("--seam", `${seam.value}%`);
      const [left, right] = sides.map((side) => names[side.select.value]);
      seam.setAttribute("aria-valuetext", `${seam.value} % ${left}, ${100 - seam.value} % ${right}`);
    }

    function show() {
      for (const side of sides) {
        side.image.src = images[side.select.value].src;
        side.label.textContent = names[side.select.value];
      }
      /* The right one gives the stage its shape; one of another shape leaves a margin. */
      const shape = images[sides[1].select.value];
      const [width, height] = ["width", "height"].map((name) => Number(shape.getAttribute(name)));
      stage.style.aspectRatio = `${width} / ${height}`;
      stage.style.maxWidth = choose.style.maxWidth = `min(100%, ${((80 * width) / height).toFixed(2)}vh)`;
      move(seam.value);
    }

    function follow(event) {
      const { left, width } = stage.getBoundingClientRect();
      move(Math.round(Math.min(1, Math.max(0, (event.clientX - left) / width)) * 100));
    }

    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
      seam.focus({ preventScroll: true });
      follow(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) follow(event);
    });
    seam.addEventListener("input", () => move(seam.value));
    stage.append(sides[0].image, sides[1].image, make("div", { class: "seam" }), sides[0].label, sides[1].label, seam);
    const choose = make("div", { class: "choose" });
    for (const side of sides) side.select.addEventListener("change", show);
    if (names.length > 2) choose.append(labelled("Left", sides[0].select), labelled("Right", sides[1].select, "end"));
    pictures.before(make("div", { class: "compare" }, choose, stage));
    show();
  }

  function choice(name, options, chosen) {
    const select = make("select", { "aria-label": name });
    options.forEach((option, place) => select.append(make("option", { value: place }, option)));
    select.value = chosen;
    return select;
  }

  function labelled(text, control, kind = "") {
    return make("label", { class: kind }, text, control);
  }

  /* Curves over steps. */

  function chart(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const names = [...new Set(data.curves.map((curve) => curve.name))];
    data.curves.forEach((curve) => {
      curve.color = `curve-${names.indexOf(curve.name) % NUM_COLORS}`;
      curve.label = curve.held ? `${curve.name}, held out` : curve.name;
      curve.shown = curve.points.some(([, value]) => value !== 0);
    });
    const steps = [...new Set(data.curves.flatMap((curve) => curve.points.map(([x]) => x)))].sort((a, b) => a - b);
    const canLog = data.curves.some((curve) => curve.points.some(([, value]) => value > 0));
    const state = { log: canLog, at: null, width: 0 };
    const plot = make("div", { class: "plot", tabindex: 0, role: "img", "aria-label": `${data.title}. Left and right arrow keys read the values.` });
    const reading = make("div", { class: "reading", hidden: "" });
    const legend = make("div", { class: "legend", role: "group", "aria-label": "Curves" });

    for (const curve of data.curves) {
      const button = make("button", { type: "button", class: curve.color, "aria-pressed": curve.shown }, make("i", curve.held ? { class: "held" } : {}), curve.label);
      button.addEventListener("click", () => {
        curve.shown = !curve.shown;
        button.setAttribute("aria-pressed", curve.shown);
        redraw();
      });
      legend.append(button);
    }
    if (canLog) {
      const axis = make("input", { type: "checkbox", checked: "" });
      axis.addEventListener("change", () => {
        state.log = axis.checked;
        redraw();
      });
      legend.append(make("label", {}, axis, "Logarithmic axis"));
    }

    function redraw() {
      state.width = plot.clientWidth;
      const view = viewOf(data, steps, state);
      plot.replaceChildren(drawn(data, view, state), reading);
      state.view = view;
      read(state.at);
    }

    function read(step) {
      state.at = step;
      const cursor = plot.querySelector(".cursor");
      reading.hidden = step === null;
      cursor.style.display = step === null ? "none" : "";
      if (step === null) return;
      const x = state.view.x(step);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      const rows = data.curves.filter((curve) => curve.shown).map((curve) => [curve, nearest(curve.points, step)]);
      const body = make("tbody");
      for (const [curve, point] of rows) {
        if (point && point[0] === step) body.append(make("tr", {}, make("th", {}, make("i", { class: curve.color }), curve.label), make("td", {}, short(point[1]))));
      }
      reading.replaceChildren(`step ${step}`, make("table", {}, body));
      const room = reading.offsetWidth + 12;
      reading.style.left = `${x + room > state.width ? Math.max(0, x - room) : x + 12}px`;
    }

    function readAt(event) {
      const { left } = plot.getBoundingClientRect();
      const wanted = state.view.step(event.clientX - left);
      read(steps.reduce((best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best), steps[0]));
    }

    plot.addEventListener("pointermove", readAt);
    plot.addEventListener("pointerdown", readAt);
    plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && read(null));
    plot.addEventListener("blur", () => read(null));
    plot.addEventListener("keydown", (event) => {
      const last = steps.length - 1;
      const place = state.at === null ? -1 : steps.indexOf(state.at);
      const places = { ArrowRight: Math.min(last, place + 1), ArrowLeft: Math.max(0, place < 0 ? last : place - 1), Home: 0, End: last };
      if (event.key === "Escape") read(null);
      if (!(event.key in places)) return;
      event.preventDefault();
      read(steps[places[event.key]]);
      const values = [...reading.querySelectorAll("tr")].map((row) => `${row.cells[0].textContent} ${row.cells[1].textContent}`);
      $("announcement").textContent = `Step ${state.at}: ${values.join(", ")}`;
    });
    figure.querySelector("figcaption").after(legend, plot);
    new ResizeObserver(() => plot.clientWidth !== state.width && redraw()).observe(plot);
    redraw();
  }

  function nearest(points, step) {
    return points.reduce((best, point) => (!best || Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best), null);
  }

  /* Where steps and values stand on the paper. */
  function viewOf(data, steps, { log, width }) {
    const height = Math.max(220, Math.min(360, width * 0.5));
    const box = { left: 56, right: width - 12, top: data.marks.length ? 24 : 10, bottom: height - 30 };
    const values = data.curves.filter((curve) => curve.shown).flatMap((curve) => curve.points.map(([, value]) => value)).filter((value) => value !== null && (!log || value > 0));
    let [low, high] = values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : [log ? 1 : 0, 1];
    const scale = log ? Math.log10 : (value) => value;
    if (!log) low = Math.min(0, low);
    if (high === low) [low, high] = log ? [low / 2, high * 2] : [low - 1, high + 1];
    const pad = (scale(high) - scale(low)) * 0.04;
    const [bottom, top] = [scale(low) - (log ? pad : 0), scale(high) + pad];
    const [begin, end] = [steps[0], steps[steps.length - 1]];
    const span = end - begin || 1;
    return {
      ...box, width, height, low, high, begin, end,
      x: (step) => box.left + ((step - begin) / span) * (box.right - box.left),
      y: (value) => box.bottom - ((scale(value) - bottom) / (top - bottom)) * (box.bottom - box.top),
      step: (x) => begin + ((x - box.left) / (box.right - box.left)) * span,
    };
  }

  function drawn(data, view, { log }) {
    const svg = draw("svg", { viewBox: `0 0 ${view.width} ${view.height}`, height: view.height, "aria-hidden": "true" });
    for (const value of log ? logTicks(view.low, view.high) : ticks(view.low, view.high, 5)) {
      const y = view.y(value);
      if (y < view.top - 1 || y > view.bottom + 1) continue;
      svg.append(draw("line", { class: "grid", x1: view.left, x2: view.right, y1: y, y2: y }), draw("text", { x: view.left - 8, y: y + 4, "text-anchor": "end" }, short(value)));
    }
    for (const step of ticks(view.begin, view.end, view.width / 90)) {
      if (step % 1 !== 0) continue;
      svg.append(draw("text", { x: view.x(step), y: view.height - 10, "text-anchor": "middle" }, String(step)));
    }
    let free = 0;
    for (const [step, label] of data.marks) {
      const x = view.x(step);
      svg.append(draw("line", { class: "mark", x1: x, x2: x, y1: view.top, y2: view.bottom }));
      if (x < free || x + label.length * 7 > view.width) continue;
      svg.append(draw("text", { x: x + 3, y: 13 }, label));
      free = x + label.length * 7 + 10;
    }
    for (const curve of [...data.curves].reverse()) {
      if (!curve.shown) continue;
      const kind = `${curve.color} ${curve.held ? "held" : ""} ${curve.name === "loss" ? "sum" : ""}`;
      const points = curve.points.map(([x, y]) => (y === null || (log && y <= 0) ? null : [view.x(x), view.y(y)]));
      svg.append(draw("path", { class: kind, d: pathOf(points) }));
      if (curve.held || points.filter(Boolean).length < 2) {
        for (const point of points.filter(Boolean)) svg.append(draw("circle", { class: curve.color, cx: point[0], cy: point[1], r: 3 }));
      }
    }
    svg.append(draw("line", { class: "cursor", x1: 0, x2: 0, y1: view.top, y2: view.bottom }));
    return svg;
  }

  /* A value that was not finite leaves a gap. */
  function pathOf(points) {
    let path = "";
    let isOpen = false;
    for (const point of points) {
      if (point) path += `${isOpen ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      isOpen = Boolean(point);
    }
    return path;
  }

  function ticks(low, high, count) {
    const rough = (high - low) / Math.max(1, count);
    if (!(rough > 0)) return [low];
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
    const found = [];
    for (let n = Math.ceil(low / step); n * step <= high + step * 1e-9; n++) found.push(Number((n * step).toPrecision(12)));
    return found;
  }

  function logTicks(low, high) {
    const decades = Math.log10(high) - Math.log10(low);
    const factors = decades < 1 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 2.5 ? [1, 2, 5] : [1];
    const every = Math.max(1, Math.ceil(decades / 7));
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      if (power % every === 0) found.push(...factors.map((factor) => Number((factor * 10 ** power).toPrecision(6))));
    }
    return found;
  }

  /* Tables that are sorted by the column whose head is pressed. */

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", direction);
        const rows = [...table.tBodies[0].rows].sort((one, other) => compared(one, other, column));
        table.tBodies[0].append(...(direction === "ascending" ? rows : rows.reverse()));
      });
    });
  }

  function compared(one, other, column) {
    const [a, b] = [one, other].map((row) => row.cells[column].textContent);
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  }

  function copier(button) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      $("announcement").textContent = button.textContent;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  function enlarge(image) {
    const large = $("large").querySelector("img");
    large.src = image.src;
    large.alt = image.alt;
    $("large-name").textContent = image.alt;
    $("large").showModal();
  }

  document.querySelectorAll("[data-compare]").forEach(comparison);
  document.querySelectorAll("figure.chart").forEach(chart);
  document.querySelectorAll("table[data-sortable]").forEach(sortable);
  document.querySelectorAll(".copy").forEach(copier);
  document.querySelectorAll(".enlarge").forEach((button) => button.addEventListener("click", () => enlarge(button.firstElementChild)));
  $("large").addEventListener("click", (event) => event.target === $("large") && $("large").close());
})();
