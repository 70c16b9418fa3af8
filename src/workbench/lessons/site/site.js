// The page without a kernel: each part of the study is given to the widget that shows it in a notebook, with a
// model that stands still, and what a kernel would answer is looked up in what was computed before.

const study = JSON.parse(document.getElementById("study").textContent);
const at = name => document.getElementById(name);

// What was measured shows itself after the guess; an address with a name in it, such as #answer, leads straight there.
function guessing(el, { question }) {
  const model = still({ question, guess: [...question.reference], told: false });
  const { classList } = document.documentElement;
  const reveal = () => { if (model.get("told")) classList.remove("guessing"); };
  classList.add("guessing");
  model.on("change:told", reveal);
  WIDGETS.guess.render({ model, el });
  if (location.hash) model.set("told", true);
}

const SHOW = {
  guess: guessing,
  explore: (el, metrics) => explore(el, metrics),
  exchange: (el, state) => WIDGETS.exchange.render({ model: still(state), el }),
};

theme();
for (const [name, data] of Object.entries(study)) SHOW[name](at(name), data);
document.documentElement.classList.add("live");
