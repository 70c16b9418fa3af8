// Lay the sixteen levels by hand: drag the lines over the weights, and the error follows. The best levels that there
// are came along; they and their error are shown on demand.

const WIDTH = 760;
const BOX = { left: 20, right: 740, top: 20, bottom: 250 };
const COARSE = 7;  // bins of the picture are so many of the error's
const NUDGE = { ArrowLeft: -0.005, ArrowDown: -0.005, ArrowRight: 0.005, ArrowUp: 0.005, PageDown: -0.05, PageUp: 0.05 };
const APART = 0.002;  // levels keep their order
const exactly = error => `${(100 * error).toFixed(2)}%`;

// The error of weights that take their nearest level, as a share of the weights' own length.
function errorOf(counts, levels) {
  let [wrong, whole, near] = [0, 0, 0];
  counts.forEach((count, i) => {
    const value = -1 + (2 * i) / (counts.length - 1);
    while (near + 1 < levels.length && Math.abs(levels[near + 1] - value) < Math.abs(levels[near] - value)) near += 1;
    wrong += count * (value - levels[near]) ** 2;
    whole += count * value ** 2;
  });
  return Math.sqrt(wrong / whole);
}

// The histogram's outline; what is higher than the panel, the weights at the very ends, is cut off at its top.
function outline(counts, x) {
  const bins = [];
  for (let at = 0; at < counts.length; at += COARSE) {
    const some = counts.slice(at, at + COARSE);
    bins.push([at, Math.min(at + COARSE, counts.length), some.reduce((sum, one) => sum + one, 0) / some.length]);
  }
  const top = 1.05 * Math.max(...bins.slice(2, -2).map(([, , height]) => height));
  const y = scale([0, top], [BOX.bottom, BOX.top]);
  const value = at => clamp(-1 + (2 * (at - 0.5)) / (counts.length - 1), [-1, 1]);
  return path([[x(-1), BOX.bottom], ...bins.flatMap(([from, to, height]) =>
    [[x(value(from)), clamp(y(height), [BOX.top, BOX.bottom])], [x(value(to)), clamp(y(height), [BOX.top, BOX.bottom])]]), [x(1), BOX.bottom]]);
}

// A row of ticks below the chart, with its name: what others have laid.
function tickRow(levels, x, height, words, index) {
  return svg("g", { class: "truth" }, ...levels.map(level => svg("path", { d: `M${x(level)},${height}v12`, stroke: colour(index), "stroke-width": 2 })),
    svg("text", { x: BOX.left, y: height + 26 }, words));
}

export default {
  render({ model, el }) {
    const counts = model.get("counts"), known = model.get("known"), best = model.get("best");
    const [beaten] = Object.keys(known).slice(-1);
    const x = scale([-1, 1], [BOX.left, BOX.right]);
    const say = html("p", { class: "say number", role: "status" });
    // what is laid by hand counts as a try; what a button lays doesn't
    const lay = (levels, byHand) => {
      const error = errorOf(counts, levels), own = model.get("own");
      if (byHand && (own.error === undefined || error < own.error)) model.set("own", { levels, error });
      set(model, "levels", levels);
    };
    const move = (i, value) => {
      const levels = [...model.get("levels")];
      const room = [i ? levels[i - 1] + APART : -1, i + 1 < levels.length ? levels[i + 1] - APART : 1];
      levels[i] = Number(clamp(value, room).toFixed(4));
      lay(levels, true);
    };
    const buttons = Object.keys(known).map(name => html("button", { class: "known", click: () => lay([...known[name]], false) }, name));
    const tell = html("button", { class: "primary tell", click: () => { set(model, "told", true); hide.focus(); } }, "Show the best");
    const hide = html("button", { class: "again", click: () => { set(model, "told", false); tell.focus(); } }, "Hide the best");
    const handles = model.get("levels").map((_, i) => svg("g", { class: "level", role: "slider", tabindex: 0,
      "data-lm-suppress-shortcuts": "true", "aria-label": `level ${i + 1} of ${model.get("levels").length}`, "aria-valuemin": -1, "aria-valuemax": 1,
      keydown: event => {
        const step = NUDGE[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        move(i, model.get("levels")[i] + step);
      } }, svg("path", { d: `M0,${BOX.top}V${BOX.bottom}` }), svg("circle", { cx: 0, cy: BOX.bottom + (i % 2 ? 28 : 8), r: 8, class: "handle" })));
    const rows = svg("g", {});
    const chart = picture(WIDTH, 330, "a histogram of the weights, and the levels as lines to drag",
      svg("path", { d: outline(counts, x), class: "weights" }), svg("path", { d: `M${BOX.left},${BOX.bottom}H${BOX.right}`, class: "axis" }), rows, ...handles,
      ...[-1, -0.5, 0, 0.5, 1].map(value => svg("text", { x: x(value), y: BOX.top - 6, "text-anchor": "middle" }, String(value))),
      svg("text", { x: BOX.right, y: 318, "text-anchor": "end", class: "faint" }, "weight over its block's largest magnitude"));
    chart.setAttribute("role", "group");
    let held = null;
    const where = event => new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    const grip = event => {
      const far = model.get("levels").map((level, i) => Math.hypot(x(level) - where(event).x,
        where(event).y > BOX.bottom ? 0.5 * (BOX.bottom + (i % 2 ? 28 : 8) - where(event).y) : 0));
      const nearest = far.indexOf(Math.min(...far));
      if (far[nearest] > 24) return;
      held = nearest;
      event.preventDefault();
      handles[held].focus();
    };
    const drag = event => { if (held !== null) move(held, x.invert(where(event).x)); };
    const release = () => { held = null; };
    chart.addEventListener("pointerdown", grip);
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", release);
    document.addEventListener("pointercancel", release);
    const draw = () => {
      const levels = model.get("levels"), told = model.get("told"), own = model.get("own");
      handles.forEach((handle, i) => {
        handle.setAttribute("transform", `translate(${x(levels[i]).toFixed(2)},0)`);
        handle.setAttribute("aria-valuenow", levels[i]);
      });
      const yours = own.error === undefined ? "" : ` Your best so far: ${exactly(own.error)}.`;
      say.textContent = `With these levels the error is ${exactly(errorOf(counts, levels))} of the weights.${yours}` + (told
        ? ` ${beaten}: ${exactly(errorOf(counts, known[beaten]))}. The best levels there are: ${exactly(best.error)}.` : "");
      rows.replaceChildren(...(told ? [tickRow(best.levels, x, 292, "the best levels", 2)] : []));
      [tell.hidden, hide.hidden] = [told, !told];
    };
    root(el, "levels").append(say, html("div", { class: "board" }, chart), html("div", { class: "row" }, ...buttons, tell, hide));
    const undo = follow(model, ["levels", "told"], draw);
    return () => {
      undo();
      document.removeEventListener("pointermove", drag);
      document.removeEventListener("pointerup", release);
      document.removeEventListener("pointercancel", release);
    };
  },
};
