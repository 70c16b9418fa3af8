// A sentence that comes when a study is finished, and before that how far the study is.

export default {
  render({ model, el }) {
    const said = html("p", { class: "say answer", role: "status" });
    const wait = html("p", { class: "faint number" });
    const bar = html("progress", { max: 1, "aria-label": "share of the study that is done" });
    const draw = () => {
      const now = model.get("status") ?? {};
      said.textContent = model.get("said");
      said.hidden = !said.textContent;
      bar.hidden = wait.hidden = !said.hidden;
      bar.value = now.share ?? 0;
      wait.textContent = now.state === "finished" ? "Your study is finished; the answer is computed." : `Your study isn't finished: ${now.words}`;
    };
    root(el, "when-finished").append(bar, wait, said);
    const undo = [follow(model, ["said", "status"], draw), watched(model, el)];
    return () => undo.forEach(one => one());
  },
};
