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

function chart(model, hidden) {
  const [width, height] = [820, 330];
  const box = { left: 58, right: width - 128, top: 26, bottom: height - 44 };
  const curves = model.get("curves").filter(curve => !hidden.has(curve.quality));
  const lines = curves.map(curve => ({ ...curve, y: smoothed(curve.y, model.get("smoothing")) }));
  const values = lines.flatMap(line => line.y).filter(value => value !== null);
  if (!values.length) return html("p", { class: "faint waiting" }, "No step to show yet.");
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
    xTicks: ticks(0, steps), yTicks: log ? logTicks(...range) : ticks(...range),
    xTitle: "step", yTitle: "training loss, nats a token",
  });
  return picture(width, height, "Training loss of each cell against the step", frame, group, ends(lines, x, y, box));
}

// Each size written at the mean end of its lines, of every quality together.
function ends(lines, x, y, box) {
  const groups = new Map();
  for (const line of lines) {
    const last = line.y.filter(value => value !== null).at(-1);
    const key = `${line.index} ${line.size}`;
    if (last !== undefined) groups.set(key, [...(groups.get(key) ?? []), { ...line, last }]);
  }
  const marks = [...groups.values()].map(group => ({
    ...group[0], mean: group.reduce((sum, line) => sum + line.last, 0) / group.length,
  }));
  const places = spread(marks.map(mark => y(mark.mean)), 14);
  return svg("g", {}, ...marks.map((mark, i) => svg("text",
    { x: box.right + 8, y: places[i] + 4, style: `fill:${textColour(mark.index)}` },
    `${short(mark.mean)} (${mark.size})`)));
}

function legend(model, hidden, redraw) {
  const names = [...new Map(model.get("curves").map(curve => [curve.quality, curve.index]))];
  return names.map(([name, index]) => html("button", {
    "aria-pressed": String(!hidden.has(name)), title: "show or hide",
    click: () => { hidden.has(name) ? hidden.delete(name) : hidden.add(name); redraw(); },
  }, html("span", { class: "swatch", style: `border-color:${colour(index)}` }), name));
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
    const draw = () => {
      const focus = [...key.children].indexOf(document.activeElement);
      key.replaceChildren(...legend(model, hidden, draw));
      if (focus >= 0) key.children[focus]?.focus();
      board.replaceChildren(chart(model, hidden));
    };
    root(el, "live").append(bar, board, key,
      html("div", { class: "row" }, labelled("smoothing", smooth), labelled("logarithmic axis", log)));
    const undo = [
      follow(model, ["curves", "smoothing", "logarithmic"], draw), ended, watched(model, el),
    ];
    return () => undo.forEach(one => one());
  },
};
