// Two answers side by side, a vote, and only then the names. Answers are the model's own text and are shown as
// text, whatever they hold.

export default {
  render({ model, el }) {
    let number = Date.now();
    const ask = () => set(model, "question", { number: number++, prompt: prompt.value });
    const vote = choice => set(model, "ballot", { number: number++, vote: choice });
    const prompt = html("input", { type: "text", class: "prompt", size: 28, "aria-label": "question",
      placeholder: model.get("suggestions").length ? `such as ${model.get("suggestions")[0]}` : "your question",
      keydown: event => { event.stopPropagation(); if (event.key === "Enter") ask(); } });
    const fills = model.get("suggestions").map(text =>
      html("button", { click: () => { prompt.value = text; ask(); } }, text));
    const problem = html("p", { class: "alert", hidden: true, role: "alert" });
    const note = html("p", { class: "note", role: "status" });
    const [left, right] = ["left", "right"].map(side => html("div",
      { class: `answer text ${side}`, role: "status", "aria-label": `${side} answer` }));
    const buttons = [["left", "Left is better"], ["tie", "No difference"], ["right", "Right is better"]].map(
      ([choice, words]) => html("button", { class: `vote ${choice}`, click: () => vote(choice) }, words));
    const score = html("p", { class: "score number", role: "status" });
    const past = html("div", {});
    const draw = () => {
      const shown = model.get("shown");
      problem.hidden = !shown.problem;
      problem.textContent = shown.problem ?? "";
      left.textContent = shown.left ?? "…";
      note.textContent = shown.note ?? "";
      right.textContent = shown.right ?? "…";
      // a button that is switched off loses the focus to the page: hand it on before
      if (!shown.open && buttons.includes(document.activeElement)) prompt.focus();
      for (const button of buttons) button.disabled = !shown.open;
      score.textContent = model.get("score");
      const rows = model.get("history").map(row => html("tr", {},
        ...[row.prompt, row.left, row.right, row.preferred].map(text => html("td", { class: "text" }, text))));
      const head = html("tr", {}, ...["question", "left", "right", "preferred"].map(text => html("th", {}, text)));
      past.replaceChildren(...(rows.length ? [html("table", {}, head, ...rows)] : []));
    };
    root(el, "chat").append(html("div", { class: "row" }, prompt, html("button", { class: "ask primary", click: ask }, "Ask both"), ...fills),
      problem, html("div", { class: "columns" }, left, right), note, html("div", { class: "row" }, ...buttons), score, past);
    const undo = [follow(model, ["shown", "history", "score"], draw), watched(model, el)];
    return () => undo.forEach(one => one());
  },
};
