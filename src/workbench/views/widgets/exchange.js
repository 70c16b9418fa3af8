// The exchange rate of two qualities: slide along the reference size, or drag the circle to a size or a score,
// and see which sizes are equal. All curves and sentences came once; moving needs no kernel.

function pieces(xs, lows, highs) {
  return xs.map((x, i) => [x, lows[i], highs[i]]).filter(([, low, high]) => low !== null && high !== null);
}

function area(rows, x, y, index) {
  if (rows.length < 2) return svg("g");
  const d = path([...rows.map(([n, , high]) => [x(n), y(high)]), ...rows.toReversed().map(([n, low]) => [x(n), y(low)])]);
  return svg("path", { d: `${d}Z`, fill: colour(index), opacity: 0.2 });
}

function lossPanel(pair, at) {
  const box = { left: 54, right: 392, top: 26, bottom: 270 };
  const lines = [pair.reference, pair.other];
  const values = lines.flatMap(line => [...line.low, ...line.high, ...line.middle]);
  const range = [Math.min(...values), Math.max(...values)];
  const log = pair.falling && range[0] > 0;
  const sizes = [Math.min(...lines.map(line => line.size[0])), Math.max(...lines.map(line => line.size.at(-1)))];
  const x = scale(sizes, [box.left, box.right], true);
  const y = scale(range, [box.bottom, box.top], log);
  const parts = lines.map((line, index) => svg("g", {},
    area(pieces(line.size, line.low, line.high), x, y, index),
    svg("path", { d: path(line.size.map((n, i) => [x(n), y(line.middle[i])])), fill: "none", stroke: colour(index),
      "stroke-width": 2, "stroke-dasharray": dash(index) })));
  const n = pair.size[at], target = pair.target[at], rate = pair.median[at];
  const end = rate === null ? box.right : x(n * rate);
  const mark = svg("g", { stroke: "var(--ink)", fill: "none", "stroke-width": 1.5 },
    svg("path", { d: `M${x(n)},${box.bottom}V${y(target)}H${end}`, "stroke-dasharray": "3 3" }),
    rate === null ? svg("path", { d: `M${end - 7},${y(target) - 5}l7,5l-7,5` }) : svg("path", { d: `M${end},${y(target)}V${box.bottom}` }),
    svg("circle", { cx: x(n), cy: y(target), r: 7, class: "handle" }));
  const chart = picture(410, 316, `${pair.metric} of both qualities against size`, axes(box, x, y, {
    xTicks: logTicks(...sizes, 7), yTicks: log ? logTicks(...range) : ticks(...range),
    xTitle: pair.unit.axis, yTitle: pair.metric,
  }), ...parts, mark);
  return { chart, spots: pair.size.map((size, i) => [x(size), y(pair.target[i])]) };
}

function ratePanel(pair, at) {
  const box = { left: 54, right: 392, top: 26, bottom: 270 };
  const known = [...pair.low, ...pair.median, ...pair.high].filter(value => value !== null && value > 0);
  const range = [Math.min(1, ...known), Math.max(2, ...known) * 1.4];
  const x = scale([pair.size[0], pair.size.at(-1)], [box.left, box.right], true);
  const y = scale(range, [box.bottom, box.top], true);
  const top = pair.high.map((high, i) => (high === null && pair.low[i] !== null ? range[1] : high));
  const never = pair.size.filter((_, i) => pair.never[i]);
  const shadow = never.length ? svg("g", {},
    svg("rect", { x: x(never[0]), y: box.top, width: x(never.at(-1)) - x(never[0]), height: box.bottom - box.top,
      fill: "var(--faint)", opacity: 0.15 }),
    svg("text", { x: Math.min(x(never[0]) + 6, box.right - 165), y: box.top + 16, class: "faint" }, "no amount tried is enough")) : svg("g");
  const line = pair.size.map((n, i) => [n, pair.median[i]]).filter(([, rate]) => rate !== null);
  const n = pair.size[at], rate = pair.median[at];
  const mark = rate === null ? svg("path", { d: `M${x(n)},${box.top}V${box.bottom}`, stroke: colour(1), "stroke-width": 2 })
    : svg("circle", { cx: x(n), cy: y(rate), r: 7, class: "handle" });
  const chart = picture(410, 316, "The exchange rate against the reference size", axes(box, x, y, {
    xTicks: logTicks(pair.size[0], pair.size.at(-1), 7), yTicks: logTicks(...range),
    xTitle: `${pair.unit.many} of ${pair.names[0]}`, yTitle: `${pair.unit.many} of ${pair.names[1]} for one`,
  }), shadow, area(pieces(pair.size, pair.low, top), x, y, 1),
    svg("path", { d: path(line.map(([size, one]) => [x(size), y(one)])), class: "rate", fill: "none", stroke: colour(1), "stroke-width": 2 }),
    svg("path", { d: `M${box.left},${y(1)}H${box.right}`, stroke: "var(--faint)", "stroke-dasharray": "2 3" }), mark);
  return { chart, spots: pair.size.map(size => [x(size), null]) };
}

// The place whose spot is nearest to the pointer; a spot without a height is as near at every height.
function nearest({ chart, spots }, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
  const far = spots.map(([x, y]) => Math.hypot(at.x - x, y === null ? 0 : at.y - y));
  return far.indexOf(Math.min(...far));
}

// A piece of a quality's line, to stand beside its name.
const sample = index => svg("svg", { viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true", class: "line" },
  svg("path", { d: "M0,6H26", stroke: colour(index), "stroke-width": 2, "stroke-dasharray": dash(index) }));

function reading(pair, at) {
  const [low, high] = [pair.targetLow[at], pair.targetHigh[at]].map(short);
  return `With ${short(Math.round(pair.size[at]))} ${pair.names[0]} ${pair.unit.many}: ${pair.metric} ${short(pair.target[at])} `
    + `(95% interval ${low} to ${high}).`;
}

const exchange = {
  render({ model, el }) {
    const pairs = model.get("pairs");
    const board = html("div", { class: "columns board" });
    const key = html("div", { class: "row" });
    const read = html("p", { class: "reading number faint" });
    const say = html("p", { class: "say number", role: "status" });
    const pick = html("select", { change: event => set(model, "pair", Number(event.target.value)) },
      ...pairs.map((pair, index) => html("option", { value: index, selected: index === model.get("pair") }, `${pair.names[1]}, by ${pair.metric}`)));
    const slider = html("input", { type: "range", class: "size", min: 0, step: 1, max: pairs[0].size.length - 1,
      value: model.get("place"), input: event => set(model, "place", Number(event.target.value)) });
    let panels = [], held = null;
    const draw = () => {
      const pair = pairs[model.get("pair")];
      const at = Math.min(model.get("place"), pair.size.length - 1);
      slider.max = pair.size.length - 1;
      slider.value = at;
      slider.setAttribute("aria-valuetext", `${Math.round(pair.size[at])} ${pair.unit.many} of ${pair.names[0]}`);
      panels = [lossPanel(pair, at), ratePanel(pair, at)];
      board.replaceChildren(...panels.map(panel => panel.chart));
      key.replaceChildren(...pair.names.map((name, index) => html("span", { class: "toggle" }, sample(index), name)));
      read.textContent = reading(pair, at);
      say.textContent = pair.sentence[at];
    };
    const drag = event => { if (held !== null) set(model, "place", nearest(panels[held], event)); };
    const release = () => { held = null; };
    board.addEventListener("pointerdown", event => {
      const on = panels.findIndex(panel => panel.chart.contains(event.target));
      held = on < 0 ? null : on;
      drag(event);
    });
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", release);
    root(el, "exchange").append(html("div", { class: "row" }, labelled("compare with", pick),
      labelled(`${pairs[0].unit.many} of ${pairs[0].names[0]}`, slider)), read, say, key, board);
    const undo = follow(model, ["pair", "place"], draw);
    return () => {
      undo();
      document.removeEventListener("pointermove", drag);
      document.removeEventListener("pointerup", release);
    };
  },
};

export default exchange;
