// What the widgets share in which people guess first and see then.

// Three digits: a guess is compared with a measurement, so 0.9 and 0.898 must not look alike.
const exactly = value => (Math.abs(value) >= 1000 ? short(value) : String(Number(value.toPrecision(3))));

// A value with its unit: "12 examples", "48%".
const inUnit = (value, unit) => `${exactly(value)}${unit && unit !== "%" ? " " : ""}${unit}`;

// The two buttons of a guess: tell, and guess again. What has the focus is never switched off without a heir.
function guessButtons({ tell, again }) {
  const row = html("div", { class: "row" });
  const show = html("button", { class: "primary tell", click: () => { tell(); anew.focus(); } });
  const anew = html("button", { class: "again", click: () => again() }, "Guess again");
  row.append(show, anew);
  const change = (told, words) => {
    [show.hidden, anew.hidden] = [told, !told];
    show.textContent = words;
  };
  return [row, change];
}
