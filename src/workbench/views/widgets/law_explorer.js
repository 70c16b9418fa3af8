// A law over size and share, moved by hand. Its formula and the constants of the fit and of its resamples came
// once; every number here is computed from them in the page, so it answers with a busy kernel and with none.

const OPERATORS = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "^": (a, b) => a ** b,
};
const STEPS = 48;

// The law of a formula that came as a tree: a function of the parameters p, the size n and the share q.
function lawOf(tree) {
  if (typeof tree === "number") return () => tree;
  if (tree === "n") return (p, n) => n;
  if (tree === "share") return (p, n, q) => q;
  if (typeof tree === "string") return p => p[tree];
  const [operate, left, right] = [OPERATORS[tree[0]], lawOf(tree[1]), lawOf(tree[2])];
  return (p, n, q) => operate(left(p, n, q), right(p, n, q));
}

// What the page computes with: the law, and the parameters of the fit and of every resample.
function stateOf({ formula, resamples, ...rest }) {
  const names = Object.keys(resamples);
  const rows = resamples[names[0]].map((_, i) => Object.fromEntries(names.map(name => [name, resamples[name][i]])));
  return { ...rest, law: lawOf(formula), resamples: rows };
}

// The fewest examples of a share with a loss of at most `target`, by bisection in the logarithm.
function fewest(law, p, share, target, [low, high]) {
  if (law(p, low, share) <= target) return low;
  if (law(p, high, share) > target) return Infinity;
  let [a, b] = [Math.log(low), Math.log(high)];
  for (let i = 0; i < STEPS; i++) {
    const middle = (a + b) / 2;
    if (law(p, Math.exp(middle), share) > target) a = middle;
    else b = middle;
  }
  return Math.exp(b);
}

// Order statistics, never an average with infinity; the first value is the fit and no resample.
function interval(values, [low, high]) {
  const drawn = values.slice(1).sort((a, b) => a - b);
  const at = p => drawn[(p < 0.5 ? Math.floor : Math.ceil)(p * (drawn.length - 1))];
  return [at(low), at(0.5), at(high)];
}

function answer(state, size, share) {
  const { law, resamples, sizes, tails } = state;
  const losses = resamples.map(p => law(p, size, share));
  const needed = resamples.map(p => fewest(law, p, share, law(p, size, 1), sizes));
  const rates = needed.map(count => count / size);
  const drawn = needed.slice(1);
  return {
    loss: losses[0], lossBand: interval(losses, tails), needed: needed[0], rate: interval(rates, tails),
    never: drawn.filter(count => count === Infinity).length / drawn.length,
  };
}

const band = ([low, , high]) => `${short(low)} to ${short(high)}`;

function sentence(state, found, size, share) {
  const percent = `${Math.round(100 * share)}%`;
  const loss = `${Math.round(size).toLocaleString("en")} examples of which ${percent} are right: loss ` +
    `${short(found.loss)} (${band(found.lossBand)}).`;
  const most = short(state.sizes[1]);
  const sure = found.never >= state.tails[1] - state.tails[0] && state.sizes[1] >= 2 * size;
  const rate = found.rate[1] === Infinity
    ? `${sure ? "No amount tried" : "Can't tell yet whether any amount tried"} (up to ${most}) does the work of as many ` +
      `clean ones${sure ? ` (probability ${Math.round(100 * found.never)}%)` : ""}.`
    : `One clean example does the work of ${short(found.rate[1])} of these (${band(found.rate)}).`;
  return `${loss} ${rate}`;
}

function contourMap(model, state, size, share, found) {
  const box = { left: 52, right: 396, top: 26, bottom: 280 };
  const x = scale(state.sizes, [box.left, box.right], true);
  const y = scale([state.shares[0], 1], [box.bottom, box.top]);
  const shares = Array.from({ length: 41 }, (_, i) => state.shares[0] + ((1 - state.shares[0]) * i) / 40);
  const line = target => shares
    .map(q => [fewest(state.law, state.resamples[0], q, target, state.sizes), q])
    .filter(([n]) => n > state.sizes[0] && n !== Infinity)
    .map(([n, q]) => [x(n), y(q)]);
  const [p] = state.resamples;
  const [best, worst] = [state.law(p, state.sizes[1], 1), state.law(p, state.sizes[0], state.shares[0])];
  const levels = Array.from({ length: 9 }, (_, i) => best * (worst / best) ** ((i + 0.5) / 9));
  const group = svg("g", { fill: "none" });
  for (const level of levels) {
    const points = line(level);
    if (points.length < 2) continue;
    group.append(svg("path", { d: path(points), stroke: "var(--faint)", "stroke-width": 0.8, opacity: 0.7 }));
    const [px, py] = points[Math.floor(points.length / 2)];
    group.append(svg("text", { x: px + 3, y: py, class: "faint", "font-size": 10 }, short(level)));
  }
  const target = line(state.law(p, size, 1));
  group.append(svg("path", { d: path(target), stroke: colour(0), "stroke-width": 2.5, class: "iso" }));
  const marks = state.measured.map(one =>
    svg("circle", { cx: x(one.size), cy: y(one.share), r: 3, fill: "var(--faint)" },
      svg("title", {}, `measured: ${short(one.mean)}`)));
  const end = found.needed === Infinity ? box.right : x(found.needed);
  const arrow = svg("g", { stroke: colour(1), "stroke-width": 2.5, fill: "none" },
    svg("path", { d: `M${x(size)},${y(share)}H${end}`, "stroke-dasharray": found.needed === Infinity ? "4 4" : "" }),
    svg("path", { d: `M${end - 7},${y(share) - 5}l7,5l-7,5` }));
  const handle = svg("circle", { cx: x(size), cy: y(share), r: 9, class: "handle" });
  const frame = axes(box, x, y, {
    xTicks: logTicks(...state.sizes, 7), yTicks: ticks(state.shares[0], 1, 5), xTitle: "training examples",
    yTitle: "share right; lines of equal loss", yText: q => `${Math.round(100 * q)}%`,
  });
  const chart = picture(420, 326, "Lines of equal loss over size and share", frame, group, ...marks, arrow, handle);
  const drag = event => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    move(model, state, x.invert(point.x), y.invert(point.y));
  };
  chart.addEventListener("pointerdown", event => { chart.dataset.held = "1"; drag(event); });
  return { chart, drag };
}

function lossCurves(state, size, share) {
  const box = { left: 52, right: 396, top: 26, bottom: 280 };
  const [from, to] = state.sizes.map(Math.log);
  const sizes = Array.from({ length: 25 }, (_, i) => Math.exp(from + ((to - from) * i) / 24));
  const bands = [[1, 0], [share, 1]].map(([q, index]) => ({
    q, index, rows: sizes.map(n => [
      n, ...interval(state.resamples.map(p => state.law(p, n, q)), state.tails), state.law(state.resamples[0], n, q),
    ]),
  }));
  const values = [...bands.flatMap(one => one.rows.flatMap(row => [row[1], row[3]])), ...state.measured.map(m => m.mean)];
  const range = [Math.min(...values), Math.max(...values)];
  const x = scale(state.sizes, [box.left, box.right], true);
  const y = scale(range, [box.bottom, box.top], true);
  const parts = bands.map(({ q, index, rows }) => svg("g", {},
    svg("path", {
      d: `${path([...rows.map(row => [x(row[0]), y(row[3])]), ...rows.toReversed().map(row => [x(row[0]), y(row[1])])])}Z`,
      fill: colour(index), opacity: 0.2,
    }),
    svg("path", { d: path(rows.map(row => [x(row[0]), y(row[4])])), stroke: colour(index), fill: "none",
      "stroke-width": 2, "stroke-dasharray": dash(index), class: "loss" }),
    svg("text", { x: box.right + 4, y: y(rows.at(-1)[4]) + 4 }, `${Math.round(100 * q)}%`)));
  const near = state.measured.filter(one => one.share === 1 || Math.abs(one.share - share) < 0.03);
  const marks = near.map(one => svg("circle", {
    cx: x(one.size), cy: y(one.mean), r: 3.5, fill: colour(one.share === 1 ? 0 : 1) }, svg("title", {}, "measured")));
  const now = svg("path", { d: `M${x(size)},${box.top}V${box.bottom}`, stroke: "var(--faint)", "stroke-dasharray": "2 3" });
  return picture(430, 326, "Loss against size for clean data and for the share chosen", axes(box, x, y, {
    xTicks: logTicks(...state.sizes, 7), yTicks: logTicks(...range), xTitle: "training examples",
    yTitle: `held-out loss; bands: ${state.level} of the resamples`,
  }), now, ...parts, ...marks);
}

function move(model, state, size, share) {
  model.set("size", Math.round(clamp(size, state.sizes)));
  model.set("share", Math.round(100 * clamp(share, [state.shares[0], 1])) / 100);
  model.save_changes();
}

export default {
  render({ model, el }) {
    const state = stateOf(model.get("fit"));
    const board = html("div", { class: "columns board" });
    const say = html("p", { class: "say number", role: "status" });
    const x = scale(state.sizes, [0, 100], true);
    const size = html("input", { type: "range", class: "size", min: 0, max: 100, step: 1,
      input: event => move(model, state, x.invert(Number(event.target.value)), model.get("share")) });
    const share = html("input", { type: "range", class: "share", min: 100 * state.shares[0], max: 100, step: 1,
      input: event => move(model, state, model.get("size"), Number(event.target.value) / 100) });
    let held = null;
    const draw = () => {
      const [n, q] = [model.get("size"), model.get("share")];
      const found = answer(state, n, q);
      const map = contourMap(model, state, n, q, found);
      board.replaceChildren(map.chart, lossCurves(state, n, q));
      held = held && map.drag;
      map.chart.addEventListener("pointerdown", () => { held = map.drag; });
      say.textContent = sentence(state, found, n, q);
      say.dataset.rate = found.rate[1];
      if (document.activeElement !== size) size.value = x(n);
      share.value = 100 * q;
      size.setAttribute("aria-valuetext", `${n} examples`);
      share.setAttribute("aria-valuetext", `${Math.round(100 * q)}% right`);
    };
    const dragging = event => held?.(event);
    const release = () => { held = null; };
    document.addEventListener("pointermove", dragging);
    document.addEventListener("pointerup", release);
    root(el, "law").append(html("div", { class: "row" }, labelled("examples", size), labelled("share right", share)), say, board,
      html("p", { class: "faint" }, state.words));
    const undo = follow(model, ["size", "share"], draw);
    return () => {
      undo();
      document.removeEventListener("pointermove", dragging);
      document.removeEventListener("pointerup", release);
    };
  },
};
