// The five levels of an evaluation, with their faces drawn as lines: shape and words carry the meaning, not colour.

import { both } from "./i18n.js";
import { el } from "./dom.js";

export const LEVELS = {
  5: ["非常满意", "Very satisfied"],
  4: ["满意", "Satisfied"],
  3: ["基本满意", "Fairly satisfied"],
  2: ["不满意", "Dissatisfied"],
  1: ["非常不满意", "Very dissatisfied"],
};

// What may be chosen beside a level, [中文, English] each: its reasons by the hall's definition, else the indicators.
export function offered(rating, score) {
  const own = rating?.reasons?.[score]?.length;
  const named = own ? rating.reasons[score] : rating?.indicators ?? [];
  const english = (own ? rating.reasons_en?.[score] : rating?.indicators_en) ?? [];
  return named.length ? named.map((text, i) => [text, english[i] ?? ""]) : INDICATORS;
}

const INDICATORS = [
  ["服务效率", "Efficiency"],
  ["服务水平", "Competence"],
  ["服务态度", "Attitude"],
];

const MOUTHS = {
  5: "M8 18 Q16 29 24 18 Z",
  4: "M9 19 Q16 26 23 19",
  3: "M10 21 H22",
  2: "M9 24 Q16 17 23 24",
  1: "M8 25 Q16 14 24 25 Z",
};

const SVG = "http://www.w3.org/2000/svg";

function draw(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function face(score) {
  const svg = draw("svg", { viewBox: "0 0 32 32", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": 2 });
  svg.append(draw("circle", { cx: 16, cy: 16, r: 14 }), draw("circle", { cx: 11, cy: 12, r: 1.6, fill: "currentColor" }),
    draw("circle", { cx: 21, cy: 12, r: 1.6, fill: "currentColor" }), draw("path", { d: MOUTHS[score] }));
  if (score === 1) svg.append(draw("path", { d: "M8 6 L13 8 M24 6 L19 8" }));
  return svg;
}

// Five buttons, best first; `press(score)`.
export function faces(press) {
  return [5, 4, 3, 2, 1].map((score) => el("button", {
    type: "button", class: "face", "data-score": score, onclick: () => press(score),
  }, face(score), both(...LEVELS[score])));
}
