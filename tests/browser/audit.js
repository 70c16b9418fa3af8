// What an eye, a finger or a screen reader stumbles over in a page as it is shown now: sentences, none if all is well.
() => {
  const found = [];
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
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) {
    const [text, one] = [walker.currentNode.textContent.trim(), walker.currentNode.parentElement];
    if (text && shown(one) && !inside(one, "script, style, noscript, title, option, :disabled")) texts.push([text, one, walker.currentNode]);
  }
  for (const [text, one] of texts) {
    const style = getComputedStyle(one);
    const [r, g, b, a] = parse(one instanceof SVGElement ? style.fill : style.color);
    const under = behind(one);
    const [bright, dark] = [light(over([r, g, b, a * faded(one)], under)), light(under)].sort((x, y) => y - x);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
  }

  // nothing cut off or outside, no text over another in a chart
  const boxes = texts.map(([text, one, node]) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [text, one, range.getBoundingClientRect()];
  });
  // on a telephone a table may be scrolled sideways
  const scrolled = one => innerWidth < 600 && inside(one, ".scroll");
  for (const [text, one, box] of boxes)
    if (!scrolled(one) && (box.left < 0 || box.right > document.documentElement.clientWidth + 1)) found.push(`outside: ${text.slice(0, 40)}`);
  for (const one of document.querySelectorAll("body *"))
    if (shown(one) && !scrolled(one) && !(one instanceof SVGElement) && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
      && getComputedStyle(one).display !== "inline" && getComputedStyle(one).overflowX !== "visible"
      && !["INPUT", "SELECT"].includes(one.tagName)) found.push(`cut off: ${one.className || one.tagName}`);
  for (const chart of document.querySelectorAll("svg[role]")) {
    const own = boxes.filter(([, one]) => chart.contains(one) && one.tagName === "text");
    own.forEach(([text, , a], i) => own.slice(i + 1).forEach(([other, , b]) => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) found.push(`overlap: ${text} / ${other}`);
    }));
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push("the page is wider than the window");

  // every control has a name, and is large enough for a finger
  const name = one => one.getAttribute("aria-label") || (one.labels?.[0]?.textContent ?? "") || one.textContent || "";
  for (const one of document.querySelectorAll("button, input, select, textarea, a[href], summary, [role=slider], [role=img], svg[role=group], [tabindex='0']")) {
    if (!shown(one)) continue;
    if (!name(one).trim()) found.push(`no name: ${one.outerHTML.slice(0, 80)}`);
    const box = one.getBoundingClientRect();
    if (inside(one, "button, input, select") && box.height < 24) found.push(`small: ${name(one).trim()} is ${box.height.toFixed(0)} px high`);
  }
  return [...new Set(found)];
}
