// How long a kernel may be silent, in milliseconds: it beats every second (ticker.py).
const SILENCE = 2500;

// A widget whose kernel has gone looks alive: say that it isn't, and let nobody press what does nothing.
// Returns what ends the watch. A page without a kernel has no trait "beating", and nothing to watch.
function watched(model, el) {
  if (!model.get("beating")) return () => {};
  let heard = Date.now();
  const again = html("button", { class: "reconnect", click: () => runAgain(el) }, "Run the notebook up to here");
  const lost = html("p", { class: "lost", role: "alert", hidden: true },
    "Not connected: the kernel that drew this has gone or was started anew. ",
    window.jupyterapp ? again : "Run the notebook up to here again.");
  const show = () => {
    const silent = Date.now() - heard > SILENCE;
    if (lost.hidden !== silent) return;
    lost.hidden = !silent;
    for (const one of el.children) if (one !== lost) one.inert = silent;
  };
  const hear = message => {
    if (!message.beat) return;
    heard = Date.now();
    show();
  };
  el.prepend(lost);
  model.on("msg:custom", hear);
  const timer = setInterval(show, 250);
  return () => {
    clearInterval(timer);
    model.off("msg:custom", hear);
  };
}

// Run the notebook from its top to the cell that a widget stands in: its variables went with the kernel.
async function runAgain(el) {
  const { commands, shell } = window.jupyterapp;
  const notebook = shell.currentWidget.content;
  const cell = el.closest(".jp-Cell");
  notebook.activeCellIndex = notebook.widgets.findIndex(one => one.node === cell);
  await commands.execute("notebook:run-all-above");
  await commands.execute("notebook:run-cell");
}
