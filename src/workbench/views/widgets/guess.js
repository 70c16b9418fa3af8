// Predict, then reveal: drag a line to where you think a quality lies, then see what was measured over it. The
// truth came with the question; what is guessed is a trait and goes nowhere else.

const WIDTH = 640;
const NUDGE = { ArrowUp: -6, ArrowRight: -6, ArrowDown: 6, ArrowLeft: 6, PageUp: -40, PageDown: 40, Home: 1000, End: -1000 };

function placesOf({ sizes, range, log }) {
  const box = { left: 56, right: WIDTH - 118, top: 26, bottom: 270 };
  return {
    box, x: scale([sizes[0], sizes.at(-1)], [box.left + 16, box.right - 16], true),
    y: scale(range, [box.bottom, box.top], log),
  };
}

function lineOf(sizes, values, { x, y }, attributes) {
  return svg("path", { d: path(sizes.map((size, i) => [x(size), y(values[i])])), fill: "none", "stroke-width": 2, ...attributes });
}

function dots(sizes, values, { x, y }, index) {
  return values.map((value, i) => (index
    ? svg("rect", { x: x(sizes[i]) - 4, y: y(value) - 4, width: 8, height: 8, fill: colour(index), class: "truth" })
    : svg("circle", { cx: x(sizes[i]), cy: y(value), r: 4, fill: colour(index) })));
}

// The name of each line at its end, moved apart where two would overlap.
function ends(lines, { box, y }) {
  const heights = spread(lines.map(([, values]) => y(values.at(-1)) + 4), 15);
  return lines.map(([name], i) => svg("text", { x: box.right + 2, y: heights[i] }, name));
}

function verdict({ sizes, truth, names, metric, unit }, guess, moved) {
  const at = i => `${short(sizes[i])} ${unit.many}`;
  const last = sizes.length - 1;
  const found = `Measured of ${names[1]}: ${metric} ${exactly(truth[0])} at ${at(0)}, ${exactly(truth[last])} at ${at(last)}.`;
  if (!moved) return found;
  const off = truth.map((value, i) => Math.abs(value - guess[i]));
  const most = off.indexOf(Math.max(...off));
  const mean = off.reduce((sum, one) => sum + one, 0) / off.length;
  return `${found} Your guess was ${exactly(mean)} off on average, most at ${at(most)}: you said ${exactly(guess[most])}, `
    + `measured was ${exactly(truth[most])}.`;
}

export default {
  render({ model, el }) {
    const question = model.get("question");
    const { sizes, reference, truth, names, metric, unit, range, log } = question;
    const places = placesOf(question);
    const { box, x, y } = places;
    const board = html("div", { class: "board" });
    const say = html("p", { class: "say number", role: "status" });
    const others = () => model.get("others") ?? {};  // of a class; a page without a kernel has none
    const moved = () => model.get("guess").some((value, i) => value !== reference[i]);
    const put = (place, height) => {
      const guess = [...model.get("guess")];
      guess[place] = Number(y.invert(clamp(height, [box.top, box.bottom])).toPrecision(3));
      set(model, "guess", guess);
    };
    const tell = html("button", { class: "primary tell", click: () => { set(model, "told", true); again.focus(); } });
    const again = html("button", { class: "again", click: () => {
      set(model, "guess", [...reference]);
      set(model, "told", false);
      board.querySelector("[role=slider]").focus();
    } }, "Guess again");

    const line = lineOf(sizes, reference, places, { stroke: "var(--ink)", "stroke-dasharray": "5 4", class: "guess" });
    const handles = sizes.map((size, i) => svg("circle", { cx: x(size), r: 9, class: "handle", role: "slider", tabindex: 0,
      "aria-label": `your guess at ${short(size)} ${unit.many}`, "aria-orientation": "vertical",
      "aria-valuemin": range[0], "aria-valuemax": range[1], keydown: event => {
        const step = NUDGE[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        put(i, y(model.get("guess")[i]) + step);
      } }));
    let held = false;
    // where the pointer is, one column after the other: a stroke across the chart draws the whole line
    const drag = event => {
      if (!held) return;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
      const far = sizes.map(size => Math.abs(x(size) - at.x));
      put(far.indexOf(Math.min(...far)), at.y);
    };
    const release = () => { held = false; };
    const frame = axes(box, x, y, { xTicks: sizes, xText: size => String(size), yTicks: log ? logTicks(...range) : ticks(...range, 6),
      xTitle: unit.axis, yTitle: metric });
    let chart = null;
    const move = () => {
      const guess = model.get("guess");
      line.setAttribute("d", path(sizes.map((size, i) => [x(size), y(guess[i])])));
      handles.forEach((handle, i) => {
        handle.setAttribute("cy", y(guess[i]));
        handle.setAttribute("aria-valuenow", guess[i]);
        handle.setAttribute("aria-valuetext", `${metric} ${exactly(guess[i])}`);
      });
      tell.textContent = moved() ? "Show what was measured" : "Show it without a guess";
    };
    const draw = () => {
      const told = model.get("told");
      const known = [[names[0], reference], ...(told ? [[names[1], truth]] : []), ...(!told || moved() ? [["your guess", model.get("guess")]] : [])];
      chart = picture(WIDTH, 316, `${metric} against ${unit.axis}: ${names[0]}, and your guess of ${names[1]}`, frame,
        lineOf(sizes, reference, places, { stroke: colour(0) }), ...dots(sizes, reference, places, 0),
        ...(told ? (others().guesses ?? []).map(one =>
          lineOf(sizes, one.map(value => clamp(value, range)), places, { stroke: "var(--faint)", "stroke-width": 1, "stroke-opacity": 0.5, class: "other" })) : []),
        ...(told ? [lineOf(sizes, truth, places, { stroke: colour(1), class: "truth" }), ...dots(sizes, truth, places, 1)] : []),
        ...(!told || moved() ? [line] : []), ...(told ? ends(known, places) : [...ends(known.slice(0, 1), places), ...handles]));
      chart.setAttribute("role", "group");
      if (!told) chart.addEventListener("pointerdown", event => { held = true; drag(event); });
      chart.style.touchAction = told ? "auto" : "none";
      board.replaceChildren(chart);
      move();
      say.textContent = told ? [verdict(question, model.get("guess"), moved()), others().words].filter(Boolean).join(" ")
        : `Here is ${names[0]}. Where does ${names[1]} lie? Drag the circles there, or reach them with the Tab key and move them with the arrow keys.`;
      [tell.hidden, again.hidden] = [told, !told];
    };
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", release);
    document.addEventListener("pointercancel", release);
    root(el, "guess").append(say, board, html("div", { class: "row" }, tell, again));
    const undo = [follow(model, ["told", "others"], draw), follow(model, ["guess"], move)];
    return () => {
      undo.forEach(one => one());
      document.removeEventListener("pointermove", drag);
      document.removeEventListener("pointerup", release);
      document.removeEventListener("pointercancel", release);
    };
  },
};
