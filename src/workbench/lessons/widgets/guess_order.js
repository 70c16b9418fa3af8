// Sort by hand, the most at the top, then see the values and how many pairs stand in the right order.

const STEPS = { ArrowUp: -1, ArrowDown: 1, Home: -1000, End: 1000 };

export default {
  render({ model, el }) {
    const { asked, values, unit, words } = model.get("question");
    const say = html("p", { class: "say number", role: "status" });
    const list = html("ol", { class: "sorted", "aria-label": asked });
    const top = html("div", { class: "faint" }, "most");
    const bottom = html("div", { class: "faint" }, "least");
    const shown = html("div", {});
    const rows = new Map(model.get("guess").map(item => [item, rowOf(item)]));

    // Move an item to a place, and say where it is now.
    function put(item, place) {
      const order = model.get("guess").filter(one => one !== item);
      order.splice(clamp(place, [0, order.length]), 0, item);
      model.set("touched", true);
      set(model, "guess", order);
      say.textContent = `${item}: place ${order.indexOf(item) + 1} of ${order.length}`;
    }
    const placeOf = item => model.get("guess").indexOf(item);
    function rowOf(item) {
      const move = step => event => {
        put(item, placeOf(item) + step);
        event.currentTarget.focus();  // a row that moves in the page loses the focus
      };
      const keys = event => {
        const step = STEPS[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        move(step)(event);
      };
      const grip = svg("svg", { viewBox: "0 0 24 24", class: "grip", "aria-hidden": "true" },
        ...[8, 12, 16].map(y => svg("path", { d: `M6,${y}H18`, stroke: "var(--faint)", "stroke-width": 2 })));
      const row = html("li", { pointerdown: event => {
        // a finger takes the grip, so that the page can still be scrolled; a mouse takes the row
        if (event.target.closest("button") || (event.pointerType !== "mouse" && !event.target.closest(".grip"))) return;
        event.preventDefault();
        held = item;
        row.classList.add("held");
      } }, grip, html("span", { class: "item" }, item),
      html("button", { "aria-label": `move ${item} up`, keydown: keys, click: move(-1) }, "↑"),
      html("button", { "aria-label": `move ${item} down`, keydown: keys, click: move(1) }, "↓"));
      return row;
    }
    let held = null;
    const drag = event => {
      if (held === null) return;
      const others = model.get("guess").filter(item => item !== held);
      const place = others.filter(item => {
        const { top: upper, height } = rows.get(item).getBoundingClientRect();
        return upper + height / 2 < event.clientY;
      }).length;
      if (place !== placeOf(held)) put(held, place);
    };
    const release = () => {
      if (held !== null) rows.get(held).classList.remove("held");
      held = null;
    };
    const [buttons, change] = guessButtons({
      tell: () => set(model, "told", true),
      again: () => {
        model.set("touched", false);
        set(model, "told", false);
        list.querySelector("button").focus();
      },
    });

    const verdict = (order, touched) => {
      const found = `In order, the most first: ${byValue().map(item => `${item} ${inUnit(values[item], unit)}`).join(", ")}.`;
      if (!touched) return found;
      let right = 0, pairs = 0;
      order.forEach((item, place) => order.slice(place + 1).forEach(after => {
        pairs += 1;
        right += values[item] >= values[after];
      }));
      return `${right} of ${pairs} pairs stood in the right order. ${found}`;
    };
    const byValue = () => Object.keys(values).sort((a, b) => values[b] - values[a]);
    const bar = (item, order, touched) => {
      const most = Math.max(...Object.values(values).map(Math.abs)) || 1;
      const width = `${(100 * Math.abs(values[item])) / most}%`;
      return html("tr", {}, html("td", { class: "item" }, item),
        html("td", { class: "bars" }, html("div", { class: "bar truth", style: `width: ${width}` })),
        html("td", { class: "number truth" }, inUnit(values[item], unit)),
        ...(touched ? [html("td", { class: "number" }, String(order.indexOf(item) + 1))] : []));
    };
    const draw = () => {
      const told = model.get("told"), touched = model.get("touched"), order = model.get("guess");
      for (const one of [list, top, bottom]) one.hidden = told;
      // only what stands elsewhere is moved: a row that is taken out of the page loses the finger
      order.forEach((item, place) => {
        if (list.children[place] !== rows.get(item)) list.insertBefore(rows.get(item), list.children[place] ?? null);
      });
      const head = ["", "", unit || "value", ...(touched ? ["your place"] : [])];
      shown.replaceChildren(...(told ? [html("table", { class: "told" },
        html("tr", {}, ...head.map(text => html("th", { class: "number" }, text))),
        ...byValue().map(item => bar(item, order, touched)))] : []));
      if (told) say.textContent = [verdict(order, touched), words, model.get("others")?.words].filter(Boolean).join(" ");
      else if (!touched) say.textContent = "Sort them: drag a row, or use its buttons and the arrow keys. Then look.";
      change(told, touched ? "Show" : "Show it without sorting");
    };
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", release);
    document.addEventListener("pointercancel", release);
    root(el, "guess-order").append(html("p", { class: "asked" }, asked), top, list, bottom, shown, buttons, say);
    const end = follow(model, ["guess", "told", "others"], draw);
    return () => {
      end();
      document.removeEventListener("pointermove", drag);
      document.removeEventListener("pointerup", release);
      document.removeEventListener("pointercancel", release);
    };
  },
};
