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

// Every decision's outcome was computed before; there is no scoreboard, and a game can be played again.
function game(el, { rules, plays, curves }) {
  const model = still({ rules, place: 0, decision: {}, entered: {}, outcomes: [], board: [], problem: "", again: 0 });
  model.on("change:again", () => {
    model.set("outcomes", []);
    model.set("place", 0);
  });
  model.on("change:decision", () => {
    const { round, share } = model.get("decision");
    const outcomes = model.get("outcomes");
    if (round !== outcomes.length) return;
    const curve = curves[round];
    model.set("outcomes", [...outcomes, { ...plays[round][Math.round(share * (plays[round].length - 1))], curve }]);
  });
  WIDGETS.game.render({ model, el });
}

function cells(el, { grids, metrics, metric, details }) {
  const model = still({ grid: grids[metric], metrics, metric, chosen: [-1, -1], detail: {} });
  model.on("change:metric", () => model.set("grid", grids[model.get("metric")]));
  model.on("change:chosen", () => {
    const [row, column] = model.get("chosen");
    model.set("detail", details[row][column]);
  });
  WIDGETS.map.render({ model, el });
}

const SHOW = {
  law: (el, state) => WIDGETS.law.render({ model: still(state), el }),
  map: cells,
  examples: (el, rows) => WIDGETS.examples.render({ model: still({ rows, score: "" }), el }),
  game,
  guess: guessing,
  explore: (el, metrics) => explore(el, metrics),
  exchange: (el, state) => WIDGETS.exchange.render({ model: still(state), el }),
};

theme();
for (const [name, data] of Object.entries(study)) SHOW[name](at(name), data);
document.documentElement.classList.add("live");
