// A table of examples to filter, sort and page through. The texts come from data sets: they are shown as text,
// never as HTML.

const PAGE = 12;
const COLUMNS = [["prompt", "prompt"], ["response", "response"], ["answer", "the model's answer"], ["other", "the other answer"], ["before", "it was"],
  ["quality", "quality"], ["kind", "kind"], ["reason", "why"], ["score", ""]];

function compare(name, down) {
  const order = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b)));
  return (one, two) => {
    if (one[name] === null || two[name] === null) return (one[name] === null) - (two[name] === null);
    return (down ? -1 : 1) * order(one[name], two[name]);
  };
}

export default {
  render({ model, el }) {
    const rows = model.get("rows");
    const used = COLUMNS.filter(([name]) => rows.some(row => row[name] != null && row[name] !== ""));
    const answered = used.some(([name]) => name === "answer");
    const named = ([name, words]) => (name === "response" && answered ? "right answer" : words || model.get("score"));
    let [page, sorted, down] = [0, null, false];
    const find = html("input", { type: "text", class: "find", "aria-label": "find", placeholder: "find a text",
      keydown: event => event.stopPropagation(), input: () => { page = 0; draw(); } });
    const [quality, kind] = ["quality", "kind"].map(field => html("select", { class: field, change: () => { page = 0; draw(); } },
      html("option", { value: "" }, "all"),
      ...[...new Set(rows.map(row => row[field]))].sort().map(name => html("option", { value: name, selected: field === "kind" && name === model.get("kind") }, name))));
    const filters = [["quality", quality], ["kind", kind]].filter(([field]) => used.some(([name]) => name === field))
      .map(([field, pick]) => labelled(field, pick));
    const said = html("span", { class: "number", role: "status" });
    const [back, on] = [["‹ back", -1], ["next ›", 1]].map(([words, step]) =>
      html("button", { click: () => { page += step; draw(); } }, words));
    const body = html("tbody");
    const heads = used.map(([name, words]) => html("th", { class: name === "score" ? "number" : "" },
      html("button", { class: `by-${name}`, click: () => {
        [sorted, down, page] = [name, sorted === name && !down, 0];
        draw();
      } }, named([name, words]))));
    const draw = () => {
      const text = find.value.toLowerCase();
      let found = rows.filter(row => (!kind.value || row.kind === kind.value)
        && (!quality.value || row.quality === quality.value)
        && (!text || ["prompt", "response", "answer", "before", "other"].map(name => row[name] ?? "").join("\n").toLowerCase().includes(text)));
      if (sorted) found = found.toSorted(compare(sorted, down));
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      page = clamp(page, [0, pages - 1]);
      body.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(row => html("tr", {},
        ...used.map(([name]) => html("td", { class: name === "score" ? "number" : "text" },
          name === "score" ? short(row.score)
          : name === "kind" && answered ? `${row.kind === "right" ? "✓" : "✗"} ${row.kind}` : row[name] ?? "")))));
      said.textContent = `${found.length} of ${rows.length} examples, page ${page + 1} of ${pages}`;
      back.hidden = on.hidden = rows.length <= PAGE;
      [back.disabled, on.disabled] = [page === 0, page === pages - 1];
      heads.forEach((head, i) => head.setAttribute("aria-sort",
        used[i][0] === sorted ? (down ? "descending" : "ascending") : "none"));
    };
    root(el, "examples").append(html("div", { class: "row" }, find, ...filters, back, on, said),
      html("table", { class: "examples" }, html("thead", {}, html("tr", {}, ...heads)), body));
    if (model.get("note")) el.append(html("p", { class: "faint note" }, model.get("note")));
    draw();
  },
};
