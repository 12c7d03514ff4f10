// What people read: Chinese first, English beside it. `words` gives both texts, `label` the element; a page's own
// markup names its texts with `data-t`. The two modes everybody can reach: 长辈版 (large) and 中文/English first.

import { el } from "./dom.js";
import { TEXTS } from "./words.js";

// [中文, English] of a text, with {name} replaced by values.
export function words(key, values = {}) {
  const pair = TEXTS[key] ?? [key, ""];
  return pair.map((text) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole));
}

export function both(zh, en) {
  return el("span", { class: "bi" }, el("span", { class: "zh", lang: "zh-CN" }, zh),
    en ? el("span", { class: "en", lang: "en" }, en) : null);
}

export const label = (key, values) => both(...words(key, values));

// One string, for titles, placeholders and dialogs of the browser.
export const say = (key, values) => words(key, values).filter(Boolean).join(" ");

// Puts the texts into markup that names them.
export function fill(root = document) {
  for (const node of root.querySelectorAll("[data-t]")) node.replaceChildren(label(node.dataset.t));
  for (const node of root.querySelectorAll("[data-t-hint]")) node.placeholder = say(node.dataset.tHint);
  for (const node of root.querySelectorAll("[data-t-name]")) node.setAttribute("aria-label", say(node.dataset.tName));
}

// A refusal in words: what the stable code means, never the raw text of an accident.
export function explain(error) {
  const exact = `code_${error.code}_${error.body?.what}`; // of what it is the code, where that has words of its own
  const key = TEXTS[exact] ? exact : `code_${error.code}`;
  return TEXTS[key] ? label(key, error.body ?? {}) : both("操作未完成", error.message || "It did not work");
}

const SETTINGS = "qserver:reading";

function reading() {
  try {
    return JSON.parse(localStorage.getItem(SETTINGS)) ?? {};
  } catch {
    return {};
  }
}

function applyReading() {
  const { large = false, english = false } = reading();
  const root = document.documentElement;
  root.classList.toggle("large", large);
  root.classList.toggle("english", english);
  root.lang = english ? "en" : "zh-CN";
}

// The two switches; they keep their state for every page of this browser.
export function readingSwitches() {
  const press = (name) => () => {
    localStorage.setItem(SETTINGS, JSON.stringify({ ...reading(), [name]: !reading()[name] }));
    applyReading();
    paint();
  };
  const large = el("button", { type: "button", class: "quiet", onclick: press("large") }, label("large"));
  const english = el("button", { type: "button", class: "quiet", onclick: press("english") }, "中 / EN");
  function paint() {
    large.setAttribute("aria-pressed", String(Boolean(reading().large)));
    english.setAttribute("aria-pressed", String(Boolean(reading().english)));
  }
  paint();
  return el("div", { class: "row switches" }, large, english);
}

// Every page begins here.
export function begin(titleKey) {
  applyReading();
  fill();
  if (titleKey) document.title = say(titleKey);
}

// Names of a definition's things: [zh, en], of a window also the Chinese one alone; a thing without a name is called by its id.
export function naming(hall) {
  const table = (list) => new Map((list ?? []).map((one) => [one.id, one]));
  const [services, windows, priorities] = [table(hall.services), table(hall.windows), table(hall.priorities)];
  return {
    service: (id) => [services.get(id)?.name || id, services.get(id)?.name_en || ""],
    window: (id) => windows.get(id)?.name || id,
    place: (id) => [windows.get(id)?.name || id, windows.get(id)?.name_en || ""], // a window, in both languages
    priority: (id) => (priorities.get(id)?.name || id !== "normal"
      ? [priorities.get(id)?.name || id, priorities.get(id)?.name_en || ""] : words("normal")),
    zone: hall.time_zone,
  };
}
