// Loads and stores of a launch. Every tensor is a table of cells; the slider chooses the program.

const WIDEST = 250, TALLEST = 210, LINE = 17;
const FEW = 8; // so few rows get room for a program's number each

function legendItem(kind, words) {
  return html("span", { class: "key" }, svg("svg", { viewBox: "0 0 22 14", width: 22, height: 14, "aria-hidden": "true" },
    cell(kind, 1, 1, 20, 12, 0)), ` ${words}`);
}

function cell(kind, x, y, width, height, number) {
  const mine = { x, y, width, height, class: `cell-${kind}` };
  if (kind === "load" || kind === "store") mine.style = `fill: ${colour(number)}`;
  return svg("rect", mine);
}

function patterns() {
  const line = (d, css) => svg("path", { d, class: css });
  return svg("defs", {},
    svg("pattern", { id: "touches-masked", width: 5, height: 5, patternUnits: "userSpaceOnUse" }, line("M0,5L5,0", "hatch")),
    svg("pattern", { id: "touches-outside", width: 6, height: 6, patternUnits: "userSpaceOnUse" }, line("M0,6L6,0M0,0L6,6", "cross")));
}

function table(drawn, place, program) {
  const tensor = drawn.tensors[place];
  const rows = tensor.before + tensor.rows + tensor.behind;
  const size = clamp(WIDEST / tensor.columns, [0.2, 18]);
  const height = Math.min(Math.max(rows <= FEW ? rows * LINE : 0, rows * size, LINE), TALLEST);
  const width = Math.max(size * tensor.columns, 30);
  const x = scale([0, tensor.columns], [1, 1 + width]), y = scale([-tensor.before, tensor.rows + tensor.behind], [1, 1 + height]);
  const box = ([top, left, high, wide]) => [x(left), y(top), x(left + wide) - x(left), y(top + high) - y(top)];
  const others = svg("g", {}), own = svg("g", {}), numbers = svg("g", { class: "numbers" });
  drawn.programs.forEach((one, number) => {
    for (const [where, kind, cells] of one.cells) {
      if (where !== place || (number !== program && kind !== "store")) continue;
      for (const rectangle of cells) (number === program ? own : others).append(cell(number === program ? kind : "other", ...box(rectangle), number));
      if (kind !== "load" && kind !== "store") continue;
      const [left, top, wide, high] = box([...cells].sort((a, b) => b[2] * b[3] - a[2] * a[3])[0]);
      if (wide < 7 * one.name.length || high < 11) continue;
      const mark = { x: left + wide / 2, y: top + high / 2 + 4, "text-anchor": "middle", class: number === program ? "mine" : "faint" };
      if (number === program) numbers.append(svg("rect", { x: mark.x - 4 * one.name.length - 3, y: mark.y - 11, width: 8 * one.name.length + 6, height: 14, rx: 3, class: "plate" }));
      numbers.append(svg("text", mark, one.name));
    }
  });
  const frame = svg("rect", { x: x(0), y: y(0), width: x(tensor.columns) - x(0), height: y(tensor.rows) - y(0), class: "frame" });
  const drawing = svg("svg", { viewBox: `0 0 ${width + 2} ${height + 2}`, role: "img", "aria-label": tensor.words, style: `width:${width + 2}px` },
    patterns(), others, own, frame, numbers);
  return html("figure", {}, html("figcaption", {}, tensor.words), drawing);
}

export default {
  render({ model, el }) {
    const drawn = model.get("drawn");
    if (!drawn.programs.length) {
      root(el, "touches").append(html("p", { class: "say", role: "status" }, drawn.problem));
      return () => {};
    }
    const last = drawn.programs.length - 1;
    const slider = html("input", { type: "range", class: "program", min: 0, max: last, step: 1, value: model.get("program"),
      input: () => set(model, "program", Number(slider.value)) });
    const name = html("b", { class: "number" });
    const words = html("p", { class: "say", role: "status" });
    const board = html("div", { class: "board tables" });
    const problem = html("p", { class: "alert" }, `It ended early: ${drawn.problem}`);
    problem.hidden = !drawn.problem;
    const draw = () => {
      const place = clamp(model.get("program"), [0, last]), one = drawn.programs[place];
      slider.value = place;
      slider.setAttribute("aria-valuetext", `program ${one.name}`);
      name.textContent = one.name;
      words.textContent = `Program ${one.name} ${one.words}.`;
      board.replaceChildren(...drawn.tensors.map((_, tensor) => table(drawn, tensor, place)));
    };
    const legend = html("div", { class: "row legend" }, legendItem("load", "loaded"), legendItem("store", "stored"),
      legendItem("masked", "masked off"), legendItem("outside", "outside of the tensor"), legendItem("other", "stored by another program"));
    legend.prepend(svg("svg", { width: 0, height: 0, "aria-hidden": "true", class: "defs" }, patterns()));
    root(el, "touches").append(html("div", { class: "row" }, html("b", {}, drawn.kernel), labelled("program", slider, name)), words, board, legend, problem);
    return follow(model, ["program"], draw);
  },
};
