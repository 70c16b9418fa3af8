// Dials and what they show: the kernel answers each setting, and hears only the latest while it is busy.

export default {
  render({ model, el }) {
    let [waiting, next] = [false, null];
    const ask = places => {
      next = waiting ? places : null;
      if (waiting) return;
      waiting = true;
      set(model, "places", places);
    };
    const answered = () => {
      waiting = false;
      if (next) ask(next);
    };
    const turn = (index, place) => {
      const places = [...(next ?? model.get("places"))];
      places[index] = place;
      ask(places);
      draw(places);
    };
    const controls = model.get("dials").map(({ name, words, choice }, index) => {
      const place = model.get("places")[index];
      if (choice) {
        const options = words.map((text, at) => html("option", { value: at, selected: at === place }, text));
        const pick = html("select", { change: event => turn(index, Number(event.target.value)) }, ...options);
        return { shown: labelled(name, pick), draw: at => { pick.value = String(at); } };
      }
      const read = html("span", { class: "number" });
      const range = html("input", { type: "range", min: 0, max: words.length - 1, step: 1, value: place,
        input: event => turn(index, Number(event.target.value)) });
      const label = at => {
        range.value = String(at);
        range.setAttribute("aria-valuetext", words[at]);
        read.textContent = words[at];
      };
      return { shown: labelled(name, range, read), draw: label };
    });
    const draw = places => controls.forEach((control, index) => control.draw(places[index]));
    const board = html("div", { class: "dialled", role: "status" });
    // made by Python, which writes out every text that comes from data
    const show = () => { board.innerHTML = model.get("shown"); };
    draw(model.get("places"));
    root(el, "dial").append(html("div", { class: "row" }, ...controls.map(control => control.shown)), board);
    const undo = [follow(model, ["shown"], show), watched(model, el)];
    model.on("change:answers", answered);
    return () => {
      undo.forEach(one => one());
      model.off("change:answers", answered);
    };
  },
};
