// What an eye, a finger or a screen reader stumbles over in a page as it is shown now: sentences, none if all is well.
// `parts` is what is looked at, a whole page or a notebook's cells; each is cut off where `frame` ends.
({ parts = "body", frame = "html", narrow = 600 } = {}) => {
  const found = [];
  const all = [...document.querySelectorAll(parts)];
  const roots = all.filter(root => !all.some(other => other !== root && other.contains(root)));
  const every = names => roots.flatMap(root => [...root.querySelectorAll(names)]);
  const framed = document.querySelector(frame).getBoundingClientRect();
  const [left, right] = [framed.left, framed.left + document.querySelector(frame).clientWidth];
  const shown = one => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const inside = (one, names) => one.closest(names) !== null;

  // contrast, as WCAG 2 defines it
  const parse = text => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [...numbers.slice(0, 3).map(n => 255 * n), numbers[3] ?? 1]
      : [...numbers.slice(0, 3), numbers[3] ?? 1];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((one, i) => a * one + (1 - a) * under[i]);
  const light = rgb => {
    const [r, g, b] = rgb.map(one => one / 255).map(one => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches
    ? [18, 18, 18] : [255, 255, 255];
  const behind = one => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), page);
  };
  const faded = one => {
    let share = 1;
    for (let at = one; at; at = at.parentElement) share *= Number(getComputedStyle(at).opacity);
    return share;
  };
  const texts = [];
  const silent = "script, style, noscript, title, option, :disabled, [aria-disabled=true], .MathJax, mjx-container, .katex";
  for (const root of roots) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const [text, one] = [walker.currentNode.textContent.trim(), walker.currentNode.parentElement];
      if (text && shown(one) && !inside(one, silent)) texts.push([text, one, walker.currentNode]);
    }
  }
  // words of a figure are outlines; matplotlib says in a comment what they say
  const outlines = every('.workbench-figure g[id*="-text_"]').filter(shown).map(one => [
    [...one.childNodes].find(node => node.nodeType === Node.COMMENT_NODE)?.textContent.trim() ?? "?", one.querySelector("g") ?? one, one]);
  // on a map's coloured cells words are black or white, which the page doesn't change
  const onMap = one => ["rgb(253, 253, 253)", "rgb(2, 2, 2)"].includes(getComputedStyle(one).fill);
  // how code is coloured is JupyterLab's own affair
  const coloured = texts.filter(([, one]) => !inside(one, ".cm-content"));
  for (const [text, one] of [...coloured, ...outlines.filter(([, one]) => !onMap(one))]) {
    const style = getComputedStyle(one);
    const [r, g, b, a] = parse(one instanceof SVGElement ? style.fill : style.color);
    const under = behind(one);
    const [bright, dark] = [light(over([r, g, b, a * faded(one)], under)), light(under)].sort((x, y) => y - x);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
  }

  // nothing cut off or outside, no text over another in a chart, no letter too small to read
  const boxes = texts.map(([text, one, node]) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [text, one, range.getBoundingClientRect()];
  });
  const drawn = outlines.map(([text, , group]) => [text, group, group.getBoundingClientRect()]);
  const scrolls = one => ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
  // where there is little room a table may be scrolled sideways, and code everywhere: long lines are said below
  const scrolled = one => {
    for (let at = one; at && at !== document.body; at = at.parentElement)
      if (at.matches(".cm-scroller") || (right - left <= narrow && scrolls(at) && at.querySelector("table"))) return true;
    return false;
  };
  for (const [text, one, box] of [...boxes, ...drawn])
    if (!scrolled(one) && box.width > 1 && (box.left < left - 1 || box.right > right + 1)) found.push(`outside: ${text.slice(0, 40)}`);
  for (const one of every("*"))
    if (shown(one) && !scrolled(one) && !(one instanceof SVGElement) && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1
      && getComputedStyle(one).display !== "inline" && getComputedStyle(one).overflowX !== "visible"
      && !["INPUT", "SELECT"].includes(one.tagName)) found.push(`cut off: ${one.className || one.tagName}: ${one.textContent.trim().slice(0, 40)}`);
  for (const line of every(".cm-line")) {
    const seen = line.closest(".cm-scroller");
    if (shown(line) && innerWidth > narrow && seen && !line.closest(".cm-lineWrapping")) {
      const range = document.createRange();
      range.selectNodeContents(line);
      if (range.getBoundingClientRect().right > seen.getBoundingClientRect().right + 1) found.push(`code cut off: ${line.textContent.trim().slice(0, 60)}`);
    }
  }
  for (const chart of every("svg[role]")) {
    const own = [...boxes.filter(([, one]) => chart.contains(one) && one.tagName === "text"), ...drawn.filter(([, one]) => chart.contains(one))];
    own.forEach(([text, , a], i) => own.slice(i + 1).forEach(([other, , b]) => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) found.push(`overlap: ${text} / ${other}`);
    }));
    const [view, box] = [chart.viewBox.baseVal, chart.getBoundingClientRect()];
    const times = view?.width ? box.width / view.width : 1;
    for (const [text, one] of boxes.filter(([, one]) => chart.contains(one) && one.tagName === "text"))
      if (times * parseFloat(getComputedStyle(one).fontSize) < 8.5) found.push(`small letters, ${(times * parseFloat(getComputedStyle(one).fontSize)).toFixed(1)} px: ${text.slice(0, 40)}`);
    for (const [text, group] of drawn.filter(([, one]) => chart.contains(one))) {
      const points = 100 * Number(group.querySelector("g")?.getAttribute("transform")?.match(/scale\(([\d.]+)/)?.[1] ?? 1);
      if (shown(chart) && times * points < 8.5) found.push(`small letters, ${(times * points).toFixed(1)} px: ${text.slice(0, 40)}`);
    }
  }
  for (const [text, one] of texts)
    if (!(one instanceof SVGElement) && parseFloat(getComputedStyle(one).fontSize) < 9) found.push(`small letters: ${text.slice(0, 40)}`);
  for (const picture of every("img"))
    if (shown(picture)) {
      if (!picture.alt) found.push(`picture without words: ${picture.width} x ${picture.height}`);
      if (picture.closest(".jp-RenderedImage")) found.push(`picture that doesn't follow the theme: ${picture.width} x ${picture.height}`);
    }
  if (frame === "html" && document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push("the page is wider than the window");

  // every control has a name, and is large enough for a finger
  const name = one => one.getAttribute("aria-label") || (one.labels?.[0]?.textContent ?? "") || one.textContent || "";
  for (const one of every("button, input, select, textarea, a[href], summary, [role=slider], [role=img], svg[role=group], [tabindex='0']")) {
    if (!shown(one)) continue;
    if (!name(one).trim()) found.push(`no name: ${one.outerHTML.slice(0, 80)}`);
    // a click on the label that holds a box to tick ticks it, too
    const target = one.matches("[type=checkbox], [type=radio]") ? one.closest("label") ?? one : one;
    const box = target.getBoundingClientRect();
    if (inside(one, "button, input, select") && box.height < 24) found.push(`small: ${name(one).trim()} is ${box.height.toFixed(0)} px high`);
  }
  return [...new Set(found)];
}
