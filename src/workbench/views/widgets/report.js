// The report's page: its figure and its tables answer when they are pointed at. Without this script the page
// shows the same numbers, standing still.

// A number at the beginning of a cell's text, however it is written; a text without one is compared as a text.
function worth(cell) {
  const number = parseFloat(cell.textContent.replaceAll(",", ""));
  return Number.isNaN(number) ? null : number;
}

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = html("button", { class: "sort", click: () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const numeric = head.classList.contains("number") || head.hasAttribute("data-numbers");
      const order = (one, two) => {
        if (!numeric) return (down ? -1 : 1) * one.textContent.localeCompare(two.textContent, "en", { numeric: true });
        const [a, b] = [worth(one), worth(two)];
        return a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * (a - b);
      };
      body.replaceChildren(...[...body.rows].sort((one, two) => order(one.cells[column], two.cells[column])));
      heads.forEach(other => other.setAttribute("aria-sort", other === head ? (down ? "descending" : "ascending") : "none"));
      table.classList.add("sorted");
    } }, ...head.childNodes);
    head.setAttribute("aria-sort", "none");
    head.replaceChildren(button);
  });
}

const study = JSON.parse(document.getElementById("study").textContent);
theme();
explore(document.getElementById("explore"), study.metrics);
if (study.pairs.length) {
  const place = Math.floor(study.pairs[0].size.length / 2);
  const reached = study.pairs.findIndex(pair => pair.median[place] !== null);
  exchange.render({ model: still({ pairs: study.pairs, pair: Math.max(reached, 0), place }), el: document.getElementById("exchange") });
}
document.querySelectorAll("table.sortable").forEach(sortable);
document.documentElement.classList.add("live");
