// How a metric changes with size, one line a quality: point at a measurement, or walk to it with the arrow
// keys, and its numbers are read out.

const MARKERS = [
  "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", "M-3.5,-3.5h7v7h-7z", "M0,-5l5,5l-5,5l-5,-5z", "M0,-4.5l5,8.5h-10z",
  "M0,4.5l5,-8.5h-10z", "M-1.5,-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z", "M-4,-4l8,8M-4,4l8,-8",
];
const marker = (index, x, y, attributes = {}) => svg("path", { d: MARKERS[index % MARKERS.length],
  transform: `translate(${x.toFixed(1)},${y.toFixed(1)})`, fill: colour(index), stroke: colour(index), ...attributes });
const FAR = 10;  // a zero-shot loss so many times the others is told in words: its line would squeeze them

function swatch(index) {
  return svg("svg", { viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true", class: "line" },
    svg("path", { d: "M0,6H26", stroke: colour(index), "stroke-width": 2, "stroke-dasharray": dash(index) }), marker(index, 13, 6));
}

// The ends of what is drawn, and whether the zero-shot line is.
function extent(metric, shown) {
  const points = shown.flatMap(one => one.points);
  let [low, high] = [Math.min(...points.map(p => p.low)), Math.max(...points.map(p => p.high))];
  const zero = metric.zeroShot;
  const near = zero !== null && (!metric.falling || (zero <= high * FAR && zero >= low / FAR));
  if (near) [low, high] = [Math.min(low, zero), Math.max(high, zero)];
  const log = metric.falling && low > 0 && high > 4 * low;
  // no mark lies on the frame
  if (log) return { range: [low / (high / low) ** 0.05, high * (high / low) ** 0.05], log, near };
  const room = 0.04 * (high - low);
  return { range: [low - room, high + room], log, near };
}

// One metric's chart; `hidden` holds the names of qualities that are switched off, `current` is the measurement
// that is read out, and `tell` hears which one is next.
function qualityChart(metric, hidden, current, tell, width) {
  const shown = metric.qualities.map((one, index) => ({ ...one, index })).filter(one => !hidden.has(one.name));
  const box = { left: 56, right: width - 18, top: 26, bottom: 270 };
  if (!shown.length) return picture(width, 316, metric.title, svg("text", { x: width / 2, y: 150, "text-anchor": "middle", class: "faint" }, "every quality is switched off"));
  const sizes = [...new Set(shown.flatMap(one => one.points.map(p => p.size)))].sort((a, b) => a - b);
  const { range, log, near } = extent(metric, shown);
  const x = scale([sizes[0], sizes.at(-1)], [box.left + 14, box.right - 6], true);
  const y = scale(range, [box.bottom, box.top], log);
  // the range is that of the measurements: a band without a near end is cut off at the panel's edge
  const inside = value => clamp(y(value), [box.top, box.bottom]);
  const lines = shown.map(({ index, curve, points }) => {
    const rows = curve.size.map((n, i) => [x(n), inside(curve.low[i]), inside(curve.high[i])]);
    const band = [...rows.map(([px, , high]) => [px, high]), ...rows.toReversed().map(([px, low]) => [px, low])];
    return svg("g", { class: "quality" },
      svg("path", { d: `${path(band)}Z`, fill: colour(index), opacity: 0.18 }),
      svg("path", { d: path(curve.size.map((n, i) => [x(n), inside(curve.middle[i])])), fill: "none", stroke: colour(index),
        "stroke-width": 2, "stroke-dasharray": dash(index) }),
      ...points.map(p => svg("path", { d: `M${x(p.size)},${y(p.low)}V${y(p.high)}`, stroke: colour(index) })),
      ...points.map(p => marker(index, x(p.size), y(p.mean), { class: "point" })));
  });
  const spots = shown.flatMap(one => one.points.map(p => ({ quality: one.name, size: p.size, at: [x(p.size), y(p.mean)] })));
  const now = spots.find(spot => current && spot.quality === current.quality && spot.size === current.size);
  const zero = metric.zeroShot === null ? [] : near
    ? [svg("path", { d: `M${box.left},${y(metric.zeroShot)}H${box.right}`, stroke: "var(--faint)", "stroke-dasharray": "2 3" }),
      svg("text", { x: box.right, y: y(metric.zeroShot) + (y(metric.zeroShot) > 150 ? -6 : 15), "text-anchor": "end", class: "faint" }, `zero-shot ${short(metric.zeroShot)}`)]
    : [svg("text", { x: box.right, y: box.top - 8, "text-anchor": "end", class: "faint" }, `zero-shot ${short(metric.zeroShot)}, off the chart`)];
  const chart = picture(width, 316, `${metric.title} against ${metric.unit.axis}; arrow keys walk through the measurements`,
    axes(box, x, y, { xTicks: sizes, xText: n => String(n), yTicks: log ? logTicks(...range) : ticks(...range, 8),
      xTitle: metric.unit.axis, yTitle: metric.title }),
    ...zero, ...lines, now ? svg("circle", { cx: now.at[0], cy: now.at[1], r: 9, class: "ring" }) : svg("g"));
  chart.setAttribute("tabindex", "0");
  chart.addEventListener("pointermove", event => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    const far = spots.map(spot => Math.hypot(at.x - spot.at[0], at.y - spot.at[1]));
    const best = spots[far.indexOf(Math.min(...far))];
    if (best !== now) tell(best);
  });
  chart.addEventListener("focus", () => { if (!now) tell(spots[0]); });
  chart.addEventListener("keydown", event => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    tell(walk(shown, now ?? spots[0], step));
  });
  return chart;
}

// The measurement one step along the sizes or across the qualities; at an edge it stays where it is.
function walk(shown, from, [across, down]) {
  const row = shown.findIndex(one => one.name === from.quality);
  const next = shown[clamp(row + down, [0, shown.length - 1])];
  const sizes = next.points.map(p => p.size);
  const here = sizes.findIndex(size => size >= from.size);
  const at = clamp((here < 0 ? sizes.length - 1 : here) + across, [0, sizes.length - 1]);
  return { quality: next.name, size: sizes[at] };
}

// What is read out of one measurement.
function readOut(metric, current) {
  const one = metric.qualities.find(quality => quality.name === current.quality);
  const point = one?.points.find(p => p.size === current.size);
  if (!point) return "";
  const seeds = point.seeds === 1 ? "1 seed" : `mean of ${point.seeds} seeds, ${short(point.low)} to ${short(point.high)}`;
  return `${metric.title} ${short(point.mean)} (${seeds})`;
}
