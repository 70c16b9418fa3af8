// Loss curves of a stack that trains, with a button that stops it. Smoothing, the logarithmic axis and
// which qualities are shown are decided here: they answer with a busy kernel, too.

function smoothed(values, amount) {
  let mean = null;
  return values.map(value => {
    if (value === null) return null;
    mean = mean === null ? value : amount * mean + (1 - amount) * value;
    return mean;
  });
}

function chart(model, hidden, width) {
  const height = 330;
  const box = { left: 48, right: width - 148, top: 26, bottom: height - 44 };
  const curves = model.get("curves").filter(curve => !hidden.has(curve.quality));
  const lines = curves.map(curve => ({ ...curve, y: smoothed(curve.y, model.get("smoothing")) }));
  const values = lines.flatMap(line => line.y).filter(value => value !== null);
  if (!values.length) return html("p", { class: "faint waiting" }, model.get("curves").length
    ? "Every line is hidden: the buttons below show them again."
    : `No step yet. ${model.get("status").words ?? ""}`);
  const log = model.get("logarithmic") && Math.min(...values) > 0;
  const range = [log ? Math.min(...values) : 0, Math.max(...values)];
  const steps = Math.max(...lines.flatMap(line => line.x), model.get("status").steps, 2);
  const x = scale([0, steps], [box.left, box.right]);
  const y = scale(range, [box.bottom, box.top], log);
  const group = svg("g", { fill: "none" });
  for (const line of lines) {
    const points = line.x.map((step, i) => [step, line.y[i]]).filter(([, value]) => value !== null);
    const name = `${line.quality}, ${line.size} ${line.unit}, seed ${line.seed}`;
    const look = { stroke: colour(line.index), "stroke-dasharray": dash(line.index), "stroke-width": line.width };
    const d = path(points.map(([step, value]) => [x(step), y(value)]));
    group.append(svg("path", { d, class: "curve", opacity: 0.8, ...look }, svg("title", {}, name)));
  }
  const frame = axes(box, x, y, {
    xTicks: ticks(0, steps, width < 500 ? 3 : 5), yTicks: log ? logTicks(...range) : ticks(...range),
    xTitle: "step", yTitle: "training loss, nats a token",
  });
  return picture(width, height, "Training loss of each cell against the step", frame, group, ends(lines, x, y, box));
}

// Each size written where its lines end now, at their mean, of each quality by itself.
function ends(lines, x, y, box) {
  const groups = new Map();
  for (const line of lines) {
    const at = line.y.findLastIndex(value => value !== null);
    const key = `${line.index} ${line.size}`;
    if (at >= 0) groups.set(key, [...(groups.get(key) ?? []), { ...line, last: line.y[at], step: line.x[at] }]);
  }
  const marks = [...groups.values()].map(group => ({
    ...group[0], mean: group.reduce((sum, line) => sum + line.last, 0) / group.length,
  }));
  const left = x(Math.max(...marks.map(mark => mark.step))) + 6;
  const places = spread(marks.map(mark => y(mark.mean)), 14, box.bottom - 6);
  return svg("g", { class: "ends" }, ...marks.flatMap((mark, i) => [
    svg("path", { d: `M${left},${places[i]}h14`, stroke: colour(mark.index), "stroke-width": mark.width,
      "stroke-dasharray": dash(mark.index) }),
    svg("text", { x: left + 18, y: places[i] + 4 }, `${Number(mark.mean.toPrecision(2))}, ${mark.size.toLocaleString("en")} ${mark.unit}`),
  ]));
}

// What thin and thick mean.
function widths(curves) {
  const sizes = [...new Set(curves.map(curve => curve.size))].sort((a, b) => a - b);
  if (!sizes.length) return "";
  const told = sizes.length < 2 ? "" : `The thicker a line, the more data: ${sizes.map(size => size.toLocaleString("en")).join(", ")} ${curves[0].unit}. `;
  return `${told}One line a model; models that differ in their seed alone look alike. At each end stands the mean loss.`;
}

function legend(model, hidden, redraw) {
  const names = [...new Map(model.get("curves").map(curve => [curve.quality, curve.index]))];
  return names.map(([name, index]) => html("button", {
    "aria-pressed": String(!hidden.has(name)), title: "show or hide", class: "toggle",
    click: () => { hidden.has(name) ? hidden.delete(name) : hidden.add(name); redraw(); },
  }, lineSample(index), name));
}

export default {
  render({ model, el }) {
    const hidden = new Set();
    const [bar, ended] = jobBar(model);
    const board = html("div", { class: "board" });
    const key = html("div", { class: "row legend" });
    const smooth = html("input", {
      type: "range", class: "smooth", min: 0, max: 0.95, step: 0.05, value: model.get("smoothing"),
      input: event => { set(model, "smoothing", Number(event.target.value)); },
    });
    const log = html("input", {
      type: "checkbox", checked: model.get("logarithmic"),
      change: event => { set(model, "logarithmic", event.target.checked); },
    });
    const said = html("p", { class: "faint reading" });
    const [answers, answered] = saidView(model);
    let drawn = 0;
    const draw = () => {
      const focus = [...key.children].indexOf(document.activeElement);
      key.replaceChildren(...legend(model, hidden, draw));
      if (focus >= 0) key.children[focus]?.focus();
      said.textContent = widths(model.get("curves"));
      drawn = clamp(board.clientWidth || 820, [340, 820]);
      board.replaceChildren(chart(model, hidden, drawn));
    };
    root(el, "live").append(bar, html("div", { class: "columns" }, html("div", {}, board, key, said,
      html("div", { class: "row" }, labelled("smoothing", smooth), labelled("logarithmic axis", log))), answers));
    // drawn as wide as there is room, so that its text keeps its size
    const resized = new ResizeObserver(() => {
      if (clamp(board.clientWidth || 820, [340, 820]) !== drawn) draw();
    });
    resized.observe(board);
    const undo = [
      follow(model, ["curves", "smoothing", "logarithmic"], draw), ended, answered, watched(model, el),
      follow(model, ["status"], () => { if (!model.get("curves").length) draw(); }), () => resized.disconnect(),
    ];
    return () => undo.forEach(one => one());
  },
};
