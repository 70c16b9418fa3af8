const QUIET = 10_000;  // milliseconds in which a screen reader hears no second word of how far the same state is

// How far a job is, with the button that stops it, goes on or trains again. Returns the row, and what ends it.
function jobBar(model) {
  const status = html("span", { class: "status number" });
  const spoken = html("span", { class: "spoken", role: "status" });
  const bar = html("progress", { max: 1, "aria-label": "share of the study that is done" });
  const alert = html("p", { class: "alert", role: "alert", hidden: true });
  const button = html("button", { class: "stop", click: () => set(model, "asked", model.get("asked") + 1) });
  const row = html("div", {}, html("div", { class: "row" }, button, bar, status, spoken), alert);
  let [state, heard] = [null, 0];
  const end = follow(model, ["status"], () => {
    const now = model.get("status") ?? { state: "new" };
    row.hidden = now.state === "new";  // trained elsewhere, or a page without a kernel: there is no job
    if (row.hidden) return;
    status.textContent = now.words;
    if (now.state !== state || Date.now() - heard > QUIET) {
      [state, heard] = [now.state, Date.now()];
      spoken.textContent = now.words;
    }
    alert.hidden = !now.alert;
    if (alert.textContent !== (now.alert ?? "")) alert.textContent = now.alert ?? "";
    bar.value = now.share;
    button.textContent = now.button;
    button.disabled = !now.button_works;
  });
  return [row, end];
}
