// Quality x size as a table of buttons: coloured by the metric, filled in as cells end, opened by a click or
// with Enter. The numbers stand in the cells, so that nothing hangs on colour.

// Cividis (Nuñez, Anderton and Renslow 2018), which looks alike with and without colour blindness.
const CIVIDIS = [[0, 34, 78], [67, 78, 108], [125, 124, 120], [188, 174, 108], [254, 232, 56]];

function shade(share) {
  const at = clamp(share, [0, 1]) * (CIVIDIS.length - 1);
  const below = Math.min(Math.floor(at), CIVIDIS.length - 2);
  const mixed = CIVIDIS[below].map((one, i) => one + (at - below) * (CIVIDIS[below + 1][i] - one));
  // the one of black and white that can be read better; on any colour one of them has a contrast of 4.5 (WCAG 2)
  const [r, g, b] = mixed.map(one => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
  return { background: `rgb(${mixed.map(Math.round)})`, ink: 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff" };
}

// As many decimals for all cells as tell the nearest of them apart.
function decimals([low, high]) {
  const span = high - low || Math.abs(high) || 1;
  return clamp(2 - Math.floor(Math.log10(span)), [0, 6]);
}

function cellButton(model, cell, [low, high], open) {
  const { better } = model.get("grid");
  const share = high > low ? (cell.mean - low) / (high - low) : 0.5;
  const number = value => (value === null ? short(value) : value.toFixed(decimals([low, high])));
  const look = cell.mean === null ? null : shade(better === "low" ? 1 - share : share);
  const style = look ? `background:${look.background};color:${look.ink}` : "";
  const seeds = `${cell.done} of ${cell.planned} seeds`;
  const state = cell.training ? "training" : cell.done ? "" : "to come";
  const label = `${cell.quality}, ${cell.size} ${model.get("grid").many}: ${short(cell.mean)}, ${seeds} ${state}`;
  return html("button", {
    style, class: `cell ${cell.training ? "training" : ""}`, "aria-label": label, title: label, click: open,
    "data-at": `${cell.row} ${cell.column}`,
  }, html("b", {}, cell.mean === null ? (cell.training ? "…" : "") : number(cell.mean)),
    html("small", {}, cell.spread === null ? "" : `±${number(cell.spread)}`),
    html("small", {}, cell.done < cell.planned ? `${cell.done} of ${cell.planned}` : ""));
}

function table(model, focus) {
  const { qualities, sizes, cells } = model.get("grid");
  if (!cells.length) return html("p", { class: "faint waiting" }, "No cell yet: the base and the data come first.");
  const means = cells.map(cell => cell.mean).filter(mean => mean !== null);
  const range = [Math.min(...means), Math.max(...means)];
  const chosen = model.get("chosen");
  const head = html("tr", {}, html("th", { scope: "col" }, "quality"),
    ...sizes.map(size => html("th", { scope: "col", class: "number" }, size.toLocaleString("en"))));
  const rows = qualities.map((quality, row) => html("tr", {}, html("th", { scope: "row" }, quality),
    ...sizes.map((_, column) => {
      const cell = cells[row * sizes.length + column];
      const button = cellButton(model, { ...cell, row, column }, range, () => set(model, "chosen", [row, column]));
      button.tabIndex = row === focus[0] && column === focus[1] ? 0 : -1;
      if (row === chosen[0] && column === chosen[1]) button.setAttribute("aria-current", "true");
      return html("td", {}, button);
    })));
  return html("table", { class: "grid" }, html("caption", { class: "faint" },
    `${model.get("grid").title}: the mean over the seeds, and behind ± their standard deviation. `
    + `Columns: ${model.get("grid").axis}. Arrow keys move, Enter opens.`), head, ...rows);
}

function detail(found) {
  if (!found.title) return html("p", { class: "faint" }, "Open a cell to see its runs.");
  const names = found.columns;
  const head = html("tr", {}, ...names.map(name => html("th", { class: "number" }, name)));
  const rows = found.rows.map(row => html("tr", {}, ...row.map(text => html("td", { class: "number" }, text))));
  return html("div", { class: "columns" },
    html("div", {}, html("b", { class: "title" }, found.title), html("table", {}, head, ...rows)),
    html("div", {}, curves(found)));
}

function curves(found) {
  const values = found.curves.flatMap(curve => curve.y);
  if (!values.length) return html("p", { class: "faint" }, "No curve yet.");
  const box = { left: 46, right: 400, top: 24, bottom: 150 };
  const x = scale([0, Math.max(...found.curves.flatMap(curve => curve.x))], [box.left, box.right]);
  const y = scale([0, Math.max(...values)], [box.bottom, box.top]);
  const lines = found.curves.map((curve, i) => svg("path", {
    d: path(curve.x.map((step, j) => [x(step), y(curve.y[j])])), class: "curve", fill: "none",
    stroke: colour(i), "stroke-dasharray": dash(i), "stroke-width": 1.4,
  }, svg("title", {}, `seed ${curve.seed}`)));
  return picture(410, 190, "Training loss of each seed", axes(box, x, y, {
    xTicks: ticks(0, x.invert(box.right), 4), yTicks: ticks(0, y.invert(box.top), 3),
    xTitle: "step", yTitle: "training loss, one line a seed",
  }), ...lines);
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export default {
  render({ model, el }) {
    let focus = [0, 0];
    const board = html("div", {});
    const panel = html("div", { class: "detail", "aria-live": "polite" });
    const pick = html("select", { change: event => set(model, "metric", event.target.value) });
    const choice = labelled("show", pick);
    const button = at => board.querySelector(`[data-at="${at[0]} ${at[1]}"]`);
    const draw = () => {
      const held = board.contains(document.activeElement);
      pick.replaceChildren(...model.get("metrics").map(([name, words]) =>
        html("option", { value: name, selected: name === model.get("metric") }, words)));
      choice.hidden = !model.get("metrics").length;
      board.replaceChildren(table(model, focus));
      if (held) button(focus)?.focus();
    };
    board.addEventListener("keydown", event => {
      const move = MOVES[event.key];
      const next = move && [focus[0] + move[0], focus[1] + move[1]];
      if (!next || !button(next)) return;
      event.preventDefault();
      event.stopPropagation();
      button(focus).tabIndex = -1;
      focus = next;
      button(focus).tabIndex = 0;
      button(focus).focus();
    });
    const [bar, ended] = jobBar(model);
    root(el, "grid").append(bar, html("div", { class: "row" }, choice), board, panel);
    const undo = [
      follow(model, ["grid", "metrics", "metric", "chosen"], draw),
      follow(model, ["detail"], () => panel.replaceChildren(detail(model.get("detail")))),
      ended, watched(model, el),
    ];
    return () => undo.forEach(one => one());
  },
};
