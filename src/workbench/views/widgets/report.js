// The report's page: its figure and its tables answer when they are pointed at. Without this script the page
// shows the same numbers, standing still.

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

// A number at the beginning of a cell's text, however it is written; a text without one is compared as a text.
function worth(cell) {
  const number = parseFloat(cell.textContent.replaceAll(",", ""));
  return Number.isNaN(number) ? null : number;
}

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = html("button", { class: "sort", click: () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const numeric = head.classList.contains("number") || head.hasAttribute("data-numbers");
      const order = (one, two) => {
        if (!numeric) return (down ? -1 : 1) * one.textContent.localeCompare(two.textContent, "en", { numeric: true });
        const [a, b] = [worth(one), worth(two)];
        return a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * (a - b);
      };
      body.replaceChildren(...[...body.rows].sort((one, two) => order(one.cells[column], two.cells[column])));
      heads.forEach(other => other.setAttribute("aria-sort", other === head ? (down ? "descending" : "ascending") : "none"));
      table.classList.add("sorted");
    } }, ...head.childNodes);
    head.setAttribute("aria-sort", "none");
    head.replaceChildren(button);
  });
}

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const mark = () => { document.documentElement.dataset.jpThemeLight = String(!dark.matches); };
  dark.addEventListener("change", mark);
  mark();
}

const study = JSON.parse(document.getElementById("study").textContent);
theme();
explore(document.getElementById("explore"), study.metrics);
if (study.pairs.length) {
  const place = Math.floor(study.pairs[0].size.length / 2);
  const reached = study.pairs.findIndex(pair => pair.median[place] !== null);
  exchange.render({ model: still({ pairs: study.pairs, pair: Math.max(reached, 0), place }), el: document.getElementById("exchange") });
}
document.querySelectorAll("table.sortable").forEach(sortable);
document.documentElement.classList.add("live");
