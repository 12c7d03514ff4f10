(least) => {
  // What on a page is too small to read, too faint to read, or too small to press. Evaluated in the page; answers a
  // list of sentences. `least`: {text, target} in px.
  const wrong = [];
  const visible = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && node.checkVisibility({ visibilityProperty: true }) && !node.closest(".unseen");
  };
  const channels = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(channels(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const faded = (node) => {
    let opacity = 1;
    for (let at = node; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    return opacity;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    const said = text.data.trim();
    if (!said || node.tagName === "OPTION" || !visible(node)) continue;
    const style = getComputedStyle(node);
    const size = parseFloat(style.fontSize);
    if (size < least.text - 0.01) wrong.push(`text ${size}px: ${said}`);
    const below = ground(node);
    const [r, g, b, a] = channels(style.color);
    const [one, two] = [light(over([r, g, b, a * faded(node)], below)), light(below)];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < 4.5) wrong.push(`contrast ${contrast.toFixed(2)}: ${said}`);
  }
  for (const node of document.querySelectorAll("button, input, select, textarea, summary, a.button")) {
    if (!visible(node)) continue;
    // A box beside its words is pressed by the words.
    const box = (node.matches("[type=radio], [type=checkbox]") ? node.closest("label") : node).getBoundingClientRect();
    if (box.height < least.target - 0.01 || box.width < least.target - 0.01) {
      wrong.push(`target ${Math.round(box.width)}x${Math.round(box.height)}: ${node.id || node.textContent || node.name}`);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) {
    const out = [...document.body.querySelectorAll("*")].filter((node) => node.getBoundingClientRect().right > innerWidth + 1);
    wrong.push(`wider than the screen: ${out.map((node) => node.id || node.className || node.tagName).join(" ")}`);
  }
  return wrong;
}
