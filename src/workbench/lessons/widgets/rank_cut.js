// How thin is thin enough: cut what a fine-tune has learnt to its largest directions, and see the matrix and the
// answers change. The directions came along, a byte a number; the products are made here.

const CHART = { left: 44, right: 330, top: 22, bottom: 150 };

const bytesOf = text => Int8Array.from(atob(text), one => one.charCodeAt(0));

// The two halves as numbers, row by row.
function halvesOf(matrix) {
  return ["left", "right"].map(name => {
    const scales = matrix[`${name}_scales`];
    return Float32Array.from(bytesOf(matrix[name]), (code, i) => code * scales[i % scales.length]);
  });
}

// The directions from one number to another, summed: shape (rows, columns).
function summed({ rows, columns, directions }, [left, right], from, to) {
  const sum = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      let value = 0;
      for (let i = from; i < to; i++) value += left[row * directions + i] * right[column * directions + i];
      sum[row * columns + column] = value;
    }
  return sum;
}

// Blue is above zero, orange below, the page shines through where nothing is.
function paint(canvas, values, top) {
  const tones = ["--workbench-0", "--workbench-1"].map(name => getComputedStyle(canvas).getPropertyValue(name).trim())
    .map(text => [1, 3, 5].map(at => parseInt(text.slice(at, at + 2), 16)));
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, i) => image.data.set([...tones[value < 0 ? 1 : 0], Math.min(255, (255 * Math.abs(value)) / top)], 4 * i));
  context.putImageData(image, 0, 0);
}

// How many are right, at the ranks that were visited so far.
function rightChart({ ranks, right, items }, seen, now) {
  const x = scale([0, ranks.length - 1], [CHART.left + 8, CHART.right - 8]);
  const y = scale([0, 1], [CHART.bottom, CHART.top]);
  const places = [...seen].sort((a, b) => a - b);
  return picture(340, 196, `share of ${items} new verbs that are right, at the ranks that you have tried`,
    axes(CHART, x, y, { xTicks: ranks.map((_, i) => i), xText: i => String(ranks[i]), yTicks: [0, 0.25, 0.5, 0.75, 1],
      yText: value => `${100 * value}%`, xTitle: "directions kept", yTitle: `right of ${items} new verbs` }),
    svg("path", { d: path(places.map(i => [x(i), y(right[i])])), fill: "none", stroke: colour(0), "stroke-width": 1.5 }),
    ...places.map(i => svg("circle", { cx: x(i), cy: y(right[i]), r: i === now ? 6 : 3.5, fill: colour(0), class: "truth" })));
}

export default {
  render({ model, el }) {
    const matrix = model.get("matrix"), answers = model.get("answers");
    const { ranks, asked, said, right, items, held } = answers;
    const halves = halvesOf(matrix), seen = new Set();
    const slider = html("input", { type: "range", class: "rank", min: 0, max: ranks.length - 1, step: 1,
      input: () => set(model, "place", Number(slider.value)) });
    const count = html("b", { class: "number" });
    const say = html("p", { class: "say number", role: "status" });
    const canvas = words => html("canvas", { width: matrix.columns, height: matrix.rows, role: "img", "aria-label": words });
    const [kept, lost] = [canvas("what is kept of the change"), canvas("what is left out of the change")];
    const body = html("tbody");
    const board = html("div", { class: "board" });
    const draw = () => {
      const place = model.get("place"), rank = ranks[place];
      seen.add(place);
      slider.value = place;
      count.textContent = `${rank} of ${matrix.directions}`;
      slider.setAttribute("aria-valuetext", `${rank} directions`);
      say.textContent = `${rank ? `${rank} of ${matrix.directions} directions` : "No direction, which is the base alone"}: `
        + `${Math.round(100 * held[place])}% of the squared change in this layer. With every layer cut so, the model gets `
        + `${Math.round(100 * right[place])}% of ${items} new verbs right.`;
      paint(kept, summed(matrix, halves, 0, rank), matrix.top);
      paint(lost, summed(matrix, halves, rank, matrix.directions), matrix.top);
      body.replaceChildren(...asked.map(([prompt, wanted], i) => {
        const answer = said[place][i], good = answer === wanted;
        return html("tr", {}, html("td", {}, prompt), html("td", { class: good ? "good" : "bad" }, `${good ? "✓" : "✗"} ${answer}`),
          html("td", { class: "faint" }, good ? "" : wanted));
      }));
      board.replaceChildren(rightChart(answers, seen, place));
    };
    const table = html("table", {}, html("thead", {}, html("tr", {}, html("th", {}, "verb"), html("th", {}, "the model says"),
      html("th", {}, "right is"))), body);
    const figure = (words, one) => html("figure", {}, html("figcaption", {}, words), one);
    root(el, "ranks").append(html("div", { class: "row" }, labelled("directions kept", slider, count)), say,
      figure(`Kept: the change of one layer, ${matrix.rows} × ${matrix.columns} numbers (blue above zero, orange below)`, kept),
      figure("Left out", lost), html("div", { class: "columns" }, table, board));
    // a page gives colours only to what stands in it, and this may be drawn before it does
    const attached = new ResizeObserver(draw);
    attached.observe(kept);
    const end = follow(model, ["place"], draw);
    return () => {
      attached.disconnect();
      end();
    };
  },
};
