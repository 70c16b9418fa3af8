// Ways to spoil examples: turn the dials, look for what is wrong, then see what was changed. A row comes with the
// share up to which it is spoiled, so a turn of the dial needs no kernel.

export default {
  render({ model, el }) {
    const kinds = model.get("kinds");
    const pick = html("select", { class: "kind", change: () => set(model, "kind", Number(pick.value)) },
      ...kinds.map((kind, i) => html("option", { value: i }, kind.name)));
    const dial = html("input", { type: "range", class: "right", min: 1, max: 9, step: 1, input: () => set(model, "tenths", Number(dial.value)) });
    const share = html("b", { class: "number" });
    const tell = html("button", { class: "primary tell", click: () => set(model, "told", !model.get("told")) });
    const say = html("p", { class: "say", role: "status" });
    const list = html("div", { class: "examples-list", tabindex: 0, role: "group", "aria-label": "examples" });
    const draw = () => {
      const kind = kinds[model.get("kind")], tenths = model.get("tenths"), told = model.get("told");
      const changed = row => row[2].filter(([from]) => from >= tenths).at(-1);
      [pick.value, dial.value] = [model.get("kind"), tenths];
      share.textContent = `${10 * tenths}%`;
      dial.setAttribute("aria-valuetext", `${10 * tenths}% right`);
      tell.textContent = told ? "Hide what was changed" : "Show what was changed";
      const count = kind.rows.filter(changed).length;
      say.textContent = `The damage: ${kind.about}. ` + (told
        ? `${count} of these ${kind.rows.length} examples are spoiled: ${10 * (10 - tenths)}% on average, decided one by one.`
        : `Which of these ${kind.rows.length} examples are spoiled?`);
      list.replaceChildren(...kind.rows.map(row => {
        const [, prompt, answer] = changed(row) ?? [0, row[0], row[1]];
        const mark = told && changed(row);
        return html("div", { class: "example" }, html("span", { class: "mark", "aria-hidden": "true" }, mark ? "✗" : ""),
          html("span", { class: "pair" }, `${prompt} → ${answer}`),
          html("span", { class: "verdict" }, mark ? `was ${row[0] === prompt ? "" : `${row[0]} → `}${row[1]}` : ""));
      }));
    };
    root(el, "damage").append(html("div", { class: "row" }, labelled("damage", pick), labelled("right", dial, share), tell), say, list);
    return follow(model, ["kind", "tenths", "told"], draw);
  },
};
