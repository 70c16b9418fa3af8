// What a page without a kernel needs: a model that stands still, the charts to explore, the system's theme.

// What a notebook's model is to a widget, for a page that has no kernel.
function still(state) {
  const heard = {};
  return {
    get: name => state[name],
    set: (name, value) => {
      state[name] = value;
      (heard[`change:${name}`] ?? []).forEach(draw => draw());
    },
    save_changes: () => {},
    on: (event, draw) => { (heard[event] ??= []).push(draw); },
    off: (event, draw) => { heard[event] = (heard[event] ?? []).filter(one => one !== draw); },
  };
}

function explore(el, metrics) {
  const names = [...new Set(metrics.flatMap(metric => metric.qualities.map(quality => quality.name)))];
  const hidden = new Set();
  let [shown, current] = [metrics, null];
  const board = html("div", { class: "columns board" });
  const say = html("p", { class: "say number", role: "status" });
  const buttons = names.map((name, index) => html("button", { class: "toggle", "aria-pressed": "true", click: event => {
    if (!hidden.delete(name)) hidden.add(name);
    event.currentTarget.setAttribute("aria-pressed", String(!hidden.has(name)));
    draw();
  } }, swatch(index), name));
  const pick = html("select", { class: "metric", change: event => {
    shown = event.target.value ? metrics.filter(metric => metric.name === event.target.value) : metrics;
    draw();
  } }, ...(metrics.length > 1 ? [html("option", { value: "" }, "every metric")] : []),
    ...metrics.map(metric => html("option", { value: metric.name }, metric.title)));
  const draw = () => {
    const focused = [...board.children].indexOf(document.activeElement);
    const tell = next => { current = next; draw(); };
    board.replaceChildren(...shown.map(metric => qualityChart(metric, hidden, current, tell, shown.length > 1 ? 430 : 860)));
    board.children[focused]?.focus();
    say.textContent = current === null ? "Point at a measurement, or walk through them with the arrow keys."
      : `${current.quality}, ${short(current.size)} ${metrics[0].unit.many}: ${metrics.map(metric => readOut(metric, current)).filter(Boolean).join("; ")}.`;
  };
  root(el, "quality").append(html("div", { class: "row" }, labelled("judged by", pick), ...buttons), board, say);
  draw();
}

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const mark = () => { document.documentElement.dataset.jpThemeLight = String(!dark.matches); };
  dark.addEventListener("change", mark);
  mark();
}
