// Helpers that all widgets share. A string becomes text of the page and never HTML, so a record that holds
// a script is shown as it is written.

function make(space, name, attributes, children) {
  const node = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// JupyterLab would take a control's keys for shortcuts: an arrow that moves a slider would leave the cell, too.
const CONTROLS = ["button", "input", "select"];
const html = (name, attributes = {}, ...children) => {
  const keys = CONTROLS.includes(name) ? { "data-lm-suppress-shortcuts": "true" } : {};
  return make(null, name, { ...keys, ...attributes }, children);
};
const svg = (name, attributes = {}, ...children) =>
  make("http://www.w3.org/2000/svg", name, attributes, children);

const COLOURS = 7;
const colour = index => `var(--workbench-${((index % COLOURS) + COLOURS) % COLOURS})`;
// The same for words, which need more contrast than a line.
const textColour = index => `var(--workbench-text-${((index % COLOURS) + COLOURS) % COLOURS})`;
const DASHES = ["", "6 3", "2 2", "8 3 2 3", "1 3", "10 4", "4 1"];
const dash = index => DASHES[index % DASHES.length];

// The nearest value that lies between two ends.
const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);

// A function from values to places; of logarithms where `log` is true.
function scale([low, high], [from, to], log = false) {
  const f = log ? Math.log : value => value;
  const span = f(high) - f(low) || 1;
  const place = value => from + ((f(value) - f(low)) / span) * (to - from);
  place.invert = at => {
    const value = f(low) + ((at - from) / (to - from)) * span;
    return log ? Math.exp(value) : value;
  };
  return place;
}

// Round values between two ends, about `count` of them.
function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(value => value >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high * (1 + 1e-9); value += step) found.push(value);
  return found;
}

// 1, 2 and 5 times powers of ten between two ends, thinned to at most `most`.
function logTicks(low, high, most = 6) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const factor of [1, 2, 5]) found.push(factor * 10 ** power);
  const inside = found.filter(value => value >= low * 0.999 && value <= high * 1.001);
  if (inside.length < 3) return ticks(low, high, 4);
  return inside.filter((_, index) => index % Math.ceil(inside.length / most) === 0);
}

// A number as short as it can be said: 0.0123, 1.5, 2,048.
function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "missing";
  if (!Number.isFinite(value)) return "not reached";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(size >= 100 ? 3 : 2 + (size >= 0.1))));
}

const path = points => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

// The frame of a chart: two axes with ticks and titles. `box` has left, right, top, bottom.
function axes(box, x, y, { xTicks, yTicks, xTitle, yTitle, xText = short, yText = short }) {
  const group = svg("g", { class: "axes" });
  const line = d => group.append(svg("path", { d, class: "axis" }));
  const text = (content, attributes) => group.append(svg("text", attributes, content));
  line(`M${box.left},${box.top}V${box.bottom}H${box.right}`);
  for (const value of xTicks) {
    line(`M${x(value)},${box.bottom}v4`);
    text(xText(value), { x: x(value), y: box.bottom + 17, "text-anchor": "middle" });
  }
  for (const value of yTicks) {
    line(`M${box.left},${y(value)}h-4`);
    text(yText(value), { x: box.left - 7, y: y(value) + 4, "text-anchor": "end" });
  }
  text(xTitle, { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" });
  text(yTitle, { x: box.left - 2, y: box.top - 8, "text-anchor": "start" });
  return group;
}

function picture(width, height, label, ...children) {
  const attributes = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label };
  return svg("svg", { ...attributes, style: `max-width:${width}px` }, ...children);
}

// Run `draw` now and whenever one of the traits changes; returns what undoes it.
function follow(model, traits, draw) {
  const events = traits.map(name => `change:${name}`);
  for (const event of events) model.on(event, draw);
  draw();
  return () => events.forEach(event => model.off(event, draw));
}

function set(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

// A labelled control: the label names it for the eye and for a screen reader.
const labelled = (words, control, ...after) => html("label", { class: "control" }, words, control, ...after);

// Give a widget's element our look.
function root(el, name) {
  el.classList.add("workbench", `workbench-${name}`);
  return el;
}

// A piece of a quality's line, to stand beside its name.
const lineSample = index => svg("svg", { viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true", class: "line" },
  svg("path", { d: "M0,6H26", stroke: colour(index), "stroke-width": 2, "stroke-dasharray": dash(index) }));

// Move marks apart where two would overlap; `places` are heights, the result has the same order. None lies below
// `bottom`, where there is one and room for all.
function spread(places, gap, bottom = Infinity) {
  const order = places.map((_, index) => index).sort((a, b) => places[a] - places[b]);
  const moved = [...places];
  order.slice(1).forEach((index, rank) => {
    moved[index] = Math.max(moved[index], moved[order[rank]] + gap);
  });
  [...order].reverse().forEach((index, rank) => {
    moved[index] = Math.min(moved[index], bottom - rank * gap);
  });
  return moved;
}
