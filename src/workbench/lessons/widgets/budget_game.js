// Spend the budget. The slider says what it buys at once; what that is worth comes only after the decision.

function bought(rules, round, share) {
  const size = Math.min(round.examples + (1 - share) * round.coins, rules.largest);
  return [size, Math.min((share * round.coins) / round.clean_price, size)];
}

function revealed(rules, outcome) {
  const box = { left: 56, right: 520, top: 26, bottom: 200 };
  const ends = [Math.min(...outcome.curve), Math.max(...outcome.curve)];
  const range = [ends[0], ends[1] + 0.15 * (ends[1] - ends[0])];
  const x = scale([0, 1], [box.left, box.right]);
  const y = scale(range, [box.bottom, box.top]);
  const dot = (share, score, index, words) => svg("g", {},
    svg("circle", { cx: x(share), cy: y(score), r: 6, fill: colour(index) }),
    svg("text", { x: Math.min(x(share) + 9, box.right - 40), y: y(score) + (index ? 16 : -8) }, words));
  return picture(560, 246, "Score against the share spent on cleaning", axes(box, x, y, {
    xTicks: [0, 0.25, 0.5, 0.75, 1], yTicks: ticks(...range, 4), xText: value => `${100 * value}%`,
    xTitle: "share of the coins for cleaning", yTitle: rules.metric,
  }), svg("path", { d: path(outcome.curve.map((score, i) => [x(i / (outcome.curve.length - 1)), y(score)])),
    fill: "none", stroke: colour(0), "stroke-width": 2, class: "truth" }),
    ...(outcome.regret > 0
      ? [dot(outcome.best_share, outcome.best_score, 0, "best"), dot(outcome.share, outcome.score, 1, "you")]
      : [dot(outcome.share, outcome.score, 0, "best, and you")]));
}

export default {
  render({ model, el }) {
    const rules = model.get("rules");
    const title = html("b", {});
    const story = html("p", {});
    const slider = html("input", { type: "range", class: "share", min: 0, max: 100, step: 5, value: 50, input: () => preview() });
    const buys = html("p", { class: "say number", role: "status" });
    const buy = html("button", { class: "buy primary", click: () =>
      set(model, "decision", { round: model.get("place"), share: Number(slider.value) / 100 }) }, "Spend it");
    const next = html("button", { class: "next", click: () => set(model, "place", model.get("place") + 1) }, "Next round");
    const again = html("button", { class: "again", click: () => set(model, "again", model.get("again") + 1) }, "Play again");
    const shown = html("div", { class: "shown", tabindex: -1 });
    const name = html("input", { type: "text", "aria-label": "your name", placeholder: "your name", keydown: event => event.stopPropagation() });
    const enter = html("button", { class: "enter", click: () =>
      set(model, "entered", { number: Date.now(), name: name.value }) }, "Enter the scoreboard");
    const form = html("div", { class: "row" }, name, enter);
    const problem = html("p", { class: "alert", role: "alert" });
    const damaged = html("p", { class: "alert damaged" });
    const board = html("div", { class: "board" });
    const look = html("button", { class: "look", click: () => set(model, "looked", model.get("looked") + 1) }, "Look at the board again");
    // a board that others fill is there from the start; one beside the notebook when somebody is on it
    const shared = Boolean(model.get("player"));

    const preview = () => {
      const round = rules.rounds[model.get("place")];
      const share = Number(slider.value) / 100;
      const [size, cleaned] = bought(rules, round, share);
      buys.textContent = `${Math.round(100 * share)}% for cleaning: you train on ${short(Math.round(size))} examples, ` +
        `${short(Math.round(cleaned))} of them clean.`;
      slider.setAttribute("aria-valuetext", buys.textContent);
    };
    const draw = () => {
      const place = model.get("place"), outcomes = model.get("outcomes"), round = rules.rounds[place];
      const done = place < outcomes.length, over = outcomes.length === rules.rounds.length;
      title.textContent = `Round ${place + 1} of ${rules.rounds.length}`;
      story.textContent = `You have ${short(round.examples)} examples (${rules.worse}) and ${round.coins} coins. Another such ` +
        `example costs 1 coin, cleaning one costs ${round.clean_price}. At most ${short(rules.largest)} examples.`;
      const last = place + 1 >= rules.rounds.length;
      // a control that is switched off loses the focus to the page: hand it on before
      const held = [buy, next, again].includes(document.activeElement);
      const hand = () => { if (held) (done ? (over ? again : last ? shown : next) : slider).focus(); };
      if (over) again.hidden = false;
      hand();
      [slider.disabled, buy.disabled, next.disabled] = [done, done, !done || last];
      hand();
      again.hidden = !over;
      preview();
      const total = outcomes.reduce((sum, one) => sum + one.regret, 0);
      const now = outcomes[place];
      shown.replaceChildren(...(now ? [
        html("p", { class: "number result", role: "status" }, `You: ${now.score.toFixed(3)}. Best: ${now.best_score.toFixed(3)}, with ` +
          `${Math.round(100 * now.best_share)}% for cleaning. Regret ${now.regret.toFixed(3)}, so far ${total.toFixed(3)}.`),
        revealed(rules, now)] : []));
      form.hidden = !over || !rules.saves || shared;
      problem.textContent = model.get("problem");
      problem.hidden = !model.get("problem");
      const rows = model.get("board").map(([rank, who, regret]) => html("tr", {}, html("td", { class: "number" }, String(rank)),
        html("td", { class: "text" }, who), html("td", { class: "number" }, regret)));
      const about = !shared ? "Scoreboard" : `Scoreboard of the class. You play as ${model.get("player")}; the first game of each counts.`
        + (rows.length ? "" : " Nobody has finished a game yet.");
      board.replaceChildren(...(rows.length ? [html("table", {}, html("caption", {}, about), html("tr", {}, html("th", { class: "number" }, "rank"),
        html("th", {}, "name"), html("th", { class: "number" }, "regret")), ...rows)] : shared ? [html("p", {}, about)] : []));
      damaged.textContent = model.get("board_problem") ?? "";
      damaged.hidden = !damaged.textContent;
      look.hidden = !shared;
    };
    root(el, "budget").append(title, story, html("div", { class: "row" }, labelled("collect more", slider, "clean"), buy, next, again), buys, shown, form, problem, board, look, damaged);
    const undo = [follow(model, ["place", "outcomes", "board", "board_problem", "problem"], draw), watched(model, el)];
    return () => undo.forEach(one => one());
  },
};
