// What stands in the history of a review or a case, in words; and when something is due. Only drawing lives here.

import { el } from "./dom.js";
import { LEVELS } from "./faces.js";
import { both, label } from "./i18n.js";
import { who } from "./review-steps.js";
import { hm, monthDay, stopwatch } from "./time.js";

export const moment = (ms, zone) => `${monthDay(ms, zone)} ${hm(ms, zone)}`;

// Order in which the fields of a step are told; one that is not here is not shown.
const TOLD = {
  score: (value) => both(...LEVELS[value]),
  reasons: (value) => value.join("、"),
  comment: (value) => el("q", { class: "said" }, value),
  result: (value) => label(`result_${value}`),
  to: (value, zone, actors) => actor(value, actors),
  note: (value) => el("span", { class: "said" }, value),
  reason: (value) => el("span", { class: "said" }, value),
  term: (value) => label(`term_${value}`),
  case: (value) => value,
  spent_ms: (value) => stopwatch(value),
  limit_ms: (value) => stopwatch(value),
  accepted_ms: (value, zone) => moment(value, zone),
  due_ms: (value, zone) => moment(value, zone),
};

const nothing = (value) => value === undefined || value === null || value === "" || (Array.isArray(value) && !value.length);

// A person by role, name and number, a device or a system by its role and name; whoever is known no more, by the bare id.
// `actors`: as the server tells them, {role, name, person} by id.
export function actor(id, actors = {}) {
  const one = who(id);
  if (one === "system" || one === "citizen") return label(`by_${one}`);
  const known = actors[id];
  if (!known) return id;
  return el("span", { title: id }, label(`role_${known.role}`), known.name ? ` ${known.name}` : "", known.person ? ` ${id}` : "");
}

// A case's own number stands above it, not in each of its steps.
export function history(steps, zone, actors, without = []) {
  return el("ol", { class: "history" }, steps.map((step) => el("li", {},
    el("p", { class: "step" }, el("strong", {}, label(`step_${step.step}`)), " ",
      el("span", { class: "number" }, moment(step.at_ms, zone)), " ", step.actor ? actor(step.actor, actors) : ""),
    Object.entries(TOLD).filter(([name]) => !without.includes(name) && !nothing(step[name])).map(([name, tell]) =>
      el("p", {}, label(`said_${name}`), " ", tell(step[name], zone, actors))))));
}

// When something is due, with the working days that are left; `workdays` may not know them yet.
export function due(due_ms, now, zone, workdays) {
  if (due_ms === null) return [];
  const left = workdays.until(now, due_ms);
  const late = now > due_ms;
  const words = !left ? (late ? label("late_today") : "")
    : left.days === 0 ? label(late ? "late_today" : "due_today")
      : label(late ? "late_workdays" : "due_workdays", { n: left.days });
  const date = el("span", { class: "number" }, monthDay(due_ms, zone));
  return [late ? el("span", { class: "tag bad" }, words) : "", " ", date, " ", late ? "" : words];
}
