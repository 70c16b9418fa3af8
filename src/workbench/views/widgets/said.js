// What models say on a few records, at one of the steps so far. The step is chosen here, from what has come:
// going back works with a busy kernel, too.

const STAY = -1;  // at the newest step, also when a newer one comes

function saidTable(said, at, back) {
  const { prompts, cells, frames } = said;
  const frame = frames[at];
  const marks = cells.map((_, cell) => prompts.filter(([, right], i) => frame.said[cell][i] === right).length);
  const head = html("tr", {}, html("th", { scope: "col" }, "prompt"), html("th", { scope: "col" }, "right answer"),
    ...cells.map((cell, i) => html("th", { scope: "col" }, lineSample(cell.index), cell.quality,
      html("div", { class: "faint" }, `${cell.size.toLocaleString("en")} ${cell.unit}`),
      html("div", { class: "number score" }, `${marks[i]} of ${prompts.length} right`))));
  const rows = prompts.map(([prompt, right], i) => html("tr", {}, html("td", { class: "text" }, prompt),
    html("td", { class: "text" }, right), ...cells.map((_, cell) => {
      const text = frame.said[cell][i];
      const way = frames.slice(0, at + 1).map(one => one.said[cell][i]).filter((one, j, all) => one !== all[j - 1]);
      const good = text === right;
      return html("td", { class: `text said ${good ? "right" : "wrong"}`, title: way.join(" → ") },
        html("span", { class: "mark", role: "img", "aria-label": good ? "right: " : "wrong: " }, good ? "✓" : "✗"),
        " ", html("span", {}, text || "(nothing)"));
    })));
  return html("table", { class: "answers" }, html("caption", { class: "faint" },
    `What one model of each quality says on held-out prompts${back ? `, back at step ${frame.step}` : ""}`),
  html("thead", {}, head), html("tbody", {}, ...rows));
}

// The table with its slider; returns the node and what ends it.
function saidView(model) {
  let chosen = STAY;
  const slider = html("input", { type: "range", class: "back", min: 0, step: 1, input: event => {
    const at = Number(event.target.value);
    chosen = at === Number(slider.max) ? STAY : at;
    draw();
  } });
  const step = html("span", { class: "number" });
  const body = html("div", { class: "scroll" });
  const box = html("div", { class: "saying", hidden: true }, body, html("div", { class: "row" }, labelled("after step", slider, step)));
  const draw = () => {
    const said = model.get("said") ?? {};
    const frames = said.frames ?? [];
    box.hidden = !frames.length;
    if (box.hidden) return;
    if (chosen >= frames.length) chosen = STAY;
    const at = chosen === STAY ? frames.length - 1 : chosen;
    slider.max = frames.length - 1;
    slider.value = at;
    slider.disabled = frames.length < 2;
    slider.setAttribute("aria-valuetext", `step ${frames[at].step}`);
    step.textContent = String(frames[at].step);
    box.classList.toggle("long", said.prompts.some(([prompt]) => prompt.length > 30));
    body.replaceChildren(saidTable(said, at, chosen !== STAY));
  };
  return [box, follow(model, ["said"], draw)];
}
