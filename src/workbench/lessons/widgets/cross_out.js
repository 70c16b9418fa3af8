// Cross out what looks wrong: a line through the list, dragged in the chart or in the list itself, and single rows
// by hand. Who was spoiled came along and is shown only when it is asked for.

const WIDTH = 300;
const HEIGHT = 440;
const BOX = { left: 44, right: 268, top: 24, bottom: 396 };
const STEPS = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e6, End: 1e6 };
const percent = (part, whole) => `${whole ? Math.round((100 * part) / whole) : 100}%`;

function crossedOf(model) {
  const turned = new Set(model.get("by_hand"));
  return model.get("rows").map((_, i) => (i < model.get("line")) !== turned.has(i));
}

function mistakesOf(crossed, rows) {
  return rows.filter((row, i) => row.spoiled !== crossed[i]).length;
}

// What is known of the rows that are crossed out; how good that is, only once it was told.
function sentence(model, crossed) {
  const rows = model.get("rows"), gone = crossed.filter(Boolean).length, hand = model.get("by_hand").length;
  const said = `${gone} of ${rows.length} crossed out${hand && model.get("moment") ? `, ${hand} changed by hand` : ""}. `;
  if (!model.get("told")) return said;
  const spoiled = rows.filter(row => row.spoiled).length;
  const hit = rows.filter((row, i) => row.spoiled && crossed[i]).length;
  const first = `${spoiled} were spoiled, and you crossed out ${hit} of them (recall ${percent(hit, spoiled)}). `
    + (gone ? `Of your ${gone}, ${hit} were spoiled (precision ${percent(hit, gone)}). ` : "");
  const yours = mistakesOf(crossed, rows);
  if (!model.get("moment")) return `${said}${first}That makes ${yours} mistakes.`;
  const best = mistakesOf(rows.map((_, i) => i < model.get("best")), rows);
  return `${said}${first}You make ${yours} mistakes; the best line, below the first ${model.get("best")}, makes ${best}.`;
}

// The losses as bars from the top, and the line through them.
function lossChart(model, crossed, y) {
  const rows = model.get("rows"), told = model.get("told");
  const losses = rows.map(row => Math.max(row.loss, 1e-4));
  const range = [Math.min(...losses), Math.max(...losses)];
  const x = scale(range, [BOX.left + 3, BOX.right], range[1] > 4 * range[0]);
  const high = Math.max(0.8, (y(1) - y(0)) * 0.75);
  const bars = rows.map((row, i) => svg("rect", { x: BOX.left, y: y(i), width: x(losses[i]) - BOX.left, height: high,
    fill: told && row.spoiled ? colour(1) : colour(0), opacity: crossed[i] ? 0.45 : 1, class: "bar" }));
  const marks = told ? rows.flatMap((row, i) => (row.spoiled
    ? [svg("rect", { x: BOX.left - 14, y: y(i), width: 9, height: high, fill: colour(1), class: "truth" })] : [])) : [];
  const xTicks = (range[1] > 4 * range[0] ? logTicks(...range, 4) : ticks(...range, 3)).filter((_, i, all) => all.length < 5 || i % 2 === 0);
  const frame = axes(BOX, x, y, { xTicks, yTicks: [], xTitle: `${model.get("moment")} (nats a token)`, yTitle: "" });
  const words = told ? [svg("text", { x: 2, y: BOX.top - 10 }, "spoiled ▮")] : [];
  const best = told ? [svg("path", { d: `M${BOX.left - 18},${y(model.get("best"))}H${BOX.right + 4}`, stroke: "var(--ink)",
    "stroke-width": 1.5, "stroke-dasharray": "5 4", class: "truth" }),
    svg("text", { x: BOX.right + 2, y: y(model.get("best")) + 16, "text-anchor": "end", class: "truth" }, "best line")] : [];
  return [frame, ...bars, ...marks, ...words, ...best];
}

export default {
  render({ model, el }) {
    const rows = model.get("rows"), sorted = Boolean(model.get("moment"));
    const y = scale([0, rows.length], [BOX.top, BOX.bottom]);
    const say = html("p", { class: "say number", role: "status" });
    const tell = html("button", { class: "primary tell", click: () => { set(model, "told", true); again.focus(); } }, "Show who was spoiled");
    const again = html("button", { class: "again", click: () => {
      model.set("by_hand", []);
      model.set("told", false);
      set(model, "line", 0);
      (sorted ? knob : lines[0]).focus();
    } }, "Begin again");
    const put = line => { if (line !== model.get("line")) set(model, "line", clamp(Math.round(line), [0, rows.length])); };
    const turn = i => {
      const hand = model.get("by_hand");
      set(model, "by_hand", hand.includes(i) ? hand.filter(one => one !== i) : [...hand, i].sort((a, b) => a - b));
    };

    // the list: one stop of the Tab key, arrows walk, space or a click turns a row
    const lines = rows.map((row, i) => html("button", { class: "example", role: "checkbox", tabindex: i ? -1 : 0, click: () => turn(i),
      focus: () => lines.forEach(one => one.setAttribute("tabindex", one === lines[i] ? 0 : -1)), keydown: event => {
        const step = STEPS[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        lines[clamp(i + step, [0, rows.length - 1])].focus();
      } }, html("span", { class: "mark", "aria-hidden": "true" }), html("span", { class: "pair" }, `${row.prompt} → ${row.response}`),
      html("span", { class: "verdict" }), html("span", { class: "number faint" }, row.loss === null ? "" : short(row.loss))));
    const cut = html("div", { class: "cut", "aria-hidden": "true", hidden: !sorted }, html("span", {}, "all above this line is crossed out"));
    const list = html("div", { class: "examples-list", role: "group", "aria-label": "examples: arrow keys walk, the space bar crosses out" }, ...lines, cut);

    // the knob stays in the page while the chart around it is drawn anew: a control that goes loses the focus
    const knob = svg("g", { class: "knob", role: "slider", tabindex: 0, "data-lm-suppress-shortcuts": "true", "aria-label": "the line: examples crossed out above it",
      "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": rows.length, keydown: event => {
        const step = STEPS[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        put(model.get("line") + step);
      } }, svg("path", { d: `M${BOX.left - 18},0H${BOX.right + 12}`, class: "line-through" }),
      svg("circle", { cx: BOX.right + 16, cy: 0, r: 12, class: "handle" }),
      svg("path", { d: `M${BOX.right + 12},-3l4,-4l4,4M${BOX.right + 12},3l4,4l4,-4`, class: "arrows" }));
    const inside = svg("g", {});
    const chart = picture(WIDTH, HEIGHT, "the loss of each example, largest first, and the line", inside, knob);
    chart.setAttribute("role", "group");

    let held = null;
    const drag = event => {
      if (held === "chart")
        put(y.invert(new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse()).y));
      if (held !== "list") return;
      const box = list.getBoundingClientRect();
      if (event.clientY < box.top + 20) list.scrollTop -= 12;
      if (event.clientY > box.bottom - 20) list.scrollTop += 12;
      put(lines.filter(one => { const at = one.getBoundingClientRect(); return at.top + at.height / 2 < event.clientY; }).length);
    };
    const grip = where => event => { held = where; event.preventDefault(); if (where === "chart") { knob.focus(); drag(event); } };
    const release = () => { held = null; };
    chart.addEventListener("pointerdown", grip("chart"));
    cut.addEventListener("pointerdown", grip("list"));
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", release);
    document.addEventListener("pointercancel", release);

    const draw = () => {
      const crossed = crossedOf(model), told = model.get("told"), line = clamp(model.get("line"), [0, rows.length]);
      lines.forEach((one, i) => {
        one.classList.toggle("crossed", crossed[i]);
        one.setAttribute("aria-checked", crossed[i]);
        one.children[0].textContent = crossed[i] ? "✗" : "";
        one.children[2].textContent = told && rows[i].spoiled ? "spoiled" : "";
        one.setAttribute("aria-label", `${rows[i].prompt}, ${rows[i].response}: ${crossed[i] ? "crossed out" : "kept"}${told && rows[i].spoiled ? ", was spoiled" : ""}`);
      });
      if (sorted) {
        list.insertBefore(cut, lines[line] ?? null);
        if (held !== "list" && !lines.includes(document.activeElement))
          list.scrollTop = cut.offsetTop - list.offsetTop - list.clientHeight / 2;
        inside.replaceChildren(...lossChart(model, crossed, y));
        knob.setAttribute("transform", `translate(0,${y(line).toFixed(1)})`);
        knob.setAttribute("aria-valuenow", line);
        knob.setAttribute("aria-valuetext", `${line} of ${rows.length} above the line`);
      }
      say.textContent = sentence(model, crossed) + (told ? "" : sorted
        ? "Drag the line: all above it is crossed out. A click on a row crosses it out, or puts it back."
        : "A click on a row crosses it out, or puts it back.");
      [tell.hidden, again.hidden] = [told, !told];
    };
    root(el, "crossing").append(say, html("div", { class: "columns" }, ...(sorted ? [html("div", { class: "board" }, chart)] : []), list),
      html("div", { class: "row" }, tell, again));
    const undo = follow(model, ["line", "by_hand", "told"], draw);
    return () => {
      undo();
      document.removeEventListener("pointermove", drag);
      document.removeEventListener("pointerup", release);
      document.removeEventListener("pointercancel", release);
    };
  },
};
