// Guess a number: move the mark along the line, or type it, then see where the truth lies.

const WIDE = 600;
const TIMES = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -1000, End: 1000 };
const CLOSE = 0.05;  // of the line's length

// A label keeps inside the picture: at an end of the line it begins or ends at its mark.
function label(at, y, words, attributes = {}) {
  const anchor = at < 120 ? "start" : at > WIDE - 120 ? "end" : "middle";
  return svg("text", { x: at + { start: -8, middle: 0, end: 8 }[anchor], y, "text-anchor": anchor, ...attributes }, words);
}

export default {
  render({ model, el }) {
    const { asked, truth, low, high, unit, step, log, words } = model.get("question");
    const ends = [24, WIDE - 24], line = 66;
    const x = scale([low, high], ends, log);
    const rounded = value => {
      const kept = log && step < 1 ? Number(value.toPrecision(2)) : Number((Math.round(value / step) * step).toPrecision(12));
      return clamp(log && value >= 100 ? Number(kept.toPrecision(2)) : kept, [low, high]);
    };
    let at = (ends[0] + ends[1]) / 2;  // of the mark, which moves finer than the number is rounded
    const put = place => {
      at = clamp(place, ends);
      set(model, "guess", rounded(x.invert(at)));
    };
    const board = html("div", { class: "board" });
    const say = html("p", { class: "say number", role: "status" });
    const typed = html("input", { type: "text", inputmode: "decimal", size: 8, class: "typed", "aria-label": `your guess${unit ? `, in ${unit}` : ""}`,
      keydown: event => {
        event.stopPropagation();
        if (event.key === "Enter") type();
      }, change: () => type() });
    const type = () => {
      const value = Number(typed.value.trim().replace(/(\d),(\d{3})(?!\d)/g, "$1$2").replace(",", "."));
      if (typed.value.trim() === "" || value === model.get("guess")) return;
      if (!(value >= low && value <= high)) {
        say.textContent = `Type a number from ${exactly(low)} to ${exactly(high)}.`;
        return;
      }
      at = x(value);
      set(model, "guess", value);
    };
    const [buttons, change] = guessButtons({
      tell: () => set(model, "told", true),
      again: () => {
        set(model, "guess", null);
        set(model, "told", false);
        handle.focus();
      },
    });
    const handle = svg("circle", { cy: line, r: 12, class: "handle", role: "slider", tabindex: 0, "aria-label": `your guess: ${asked}`,
      "aria-valuemin": low, "aria-valuemax": high, keydown: event => {
        const times = TIMES[event.key];
        if (times === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        // an arrow's key moves far enough to be seen in the number
        const before = model.get("guess");
        let place = at + times * (ends[1] - ends[0]) / 100;
        while (before !== null && rounded(x.invert(clamp(place, ends))) === before && place > ends[0] && place < ends[1]) place += Math.sign(times) * 2;
        put(place);
      } });
    let held = false, chart = null;
    const drag = event => {
      if (held) put(new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse()).x);
    };
    const release = () => { held = false; };

    const verdict = guess => {
      const found = `It is ${inUnit(truth, unit)}.`;
      if (guess === null) return found;
      const said = `You guessed ${inUnit(guess, unit)}. ${found}`;
      if (Math.abs(x(guess) - x(truth)) <= CLOSE * (ends[1] - ends[0])) return `${said} That is close.`;
      const way = guess > truth ? "too high" : "too low";
      if (log) return `${said} Your guess was ${exactly(Math.max(guess / truth, truth / guess))} times ${way}.`;
      return `${said} Your guess was ${inUnit(Math.abs(guess - truth), unit)} ${way}.`;
    };
    const draw = () => {
      const guess = model.get("guess"), told = model.get("told"), others = model.get("others") ?? {};
      if (guess !== null && rounded(x.invert(at)) !== guess) at = x(guess);
      if (guess === null && !told) at = (ends[0] + ends[1]) / 2;
      const group = svg("g", { class: "axes" }, svg("path", { d: `M${ends[0]},${line}H${ends[1]}`, class: "axis" }));
      for (const value of log ? logTicks(low, high, 8) : ticks(low, high, 6))
        group.append(svg("path", { d: `M${x(value)},${line}v6`, class: "axis" }),
          svg("text", { x: x(value), y: line + 28, "text-anchor": "middle" }, inUnit(value, unit === "%" ? unit : "")));
      const marks = [];
      if (told) {
        for (const one of others.guesses ?? [])
          marks.push(svg("circle", { cx: x(clamp(one, [low, high])), cy: line + 42, r: 4, fill: "var(--faint)", "fill-opacity": 0.55, class: "other" }));
        const crossed = guess !== null && Math.abs(x(guess) - x(truth)) < 110;  // the label of the guess
        marks.push(svg("path", { d: `M${x(truth)},24V${crossed ? 30 : line}`, stroke: colour(1), "stroke-width": 2, class: "truth" }),
          svg("rect", { x: x(truth) - 5, y: line - 5, width: 10, height: 10, fill: colour(1), class: "truth" }),
          label(x(truth), 18, `truth: ${inUnit(truth, unit)}`, { class: "truth", "font-weight": 600 }));
        if (guess !== null) marks.push(svg("circle", { cx: x(guess), cy: line, r: 7, fill: colour(0) }));
      }
      if (guess !== null) marks.push(label(told ? x(guess) : at, 44, `your guess: ${inUnit(guess, unit)}`));
      if (chart && !told && chart.contains(handle)) {
        // the mark stays in the page while it is moved, or it would lose the finger and the focus
        [...chart.querySelectorAll("text.mine")].forEach(one => one.remove());
      } else {
        chart = picture(WIDE, told && (others.guesses ?? []).length ? 116 : 100, asked, group, ...(told ? marks : [handle]));
        chart.setAttribute("role", "group");
        chart.style.touchAction = told ? "auto" : "pan-y";
        if (!told) chart.addEventListener("pointerdown", event => {
          held = true;
          event.preventDefault();
          handle.focus({ preventScroll: true });
          drag(event);
        });
        board.replaceChildren(chart);
      }
      if (!told) {
        for (const mark of marks) {
          mark.classList.add("mine");
          chart.append(mark);
        }
        handle.setAttribute("cx", at);
        handle.setAttribute("aria-valuenow", guess ?? rounded(x.invert(at)));
        handle.setAttribute("aria-valuetext", guess === null ? "no guess yet" : inUnit(guess, unit));
      }
      if (document.activeElement !== typed || guess === null) typed.value = guess === null ? "" : exactly(guess).replaceAll(",", "");
      typed.disabled = told;
      say.textContent = told ? [verdict(guess), words, others.words].filter(Boolean).join(" ")
        : "Move the mark along the line, or type a number. Then look.";
      change(told, guess === null ? "Show it without a guess" : "Show");
    };
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", release);
    document.addEventListener("pointercancel", release);
    const row = html("div", { class: "row" }, labelled("your guess", typed, unit), ...buttons.childNodes);
    root(el, "guess-number").append(html("p", { class: "asked" }, asked), board, row, say);
    const end = follow(model, ["guess", "told", "others"], draw);
    return () => {
      end();
      document.removeEventListener("pointermove", drag);
      document.removeEventListener("pointerup", release);
      document.removeEventListener("pointercancel", release);
    };
  },
};
