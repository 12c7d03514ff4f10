// The forms of the follow-up's steps as one table: which fields each asks for. Which steps may be taken now, and by whom,
// is the server's word (`steps` of its answer), not this table's.

const note = { name: "note", text: "field_note", kind: "words", required: true };
const optional = { name: "note", text: "field_note_optional", kind: "words" };
const reason = { name: "reason", text: "field_reason", kind: "words", required: true };
const result = (...of) => ({ name: "result", text: "field_result", kind: "choice", of, required: true });

export const MOST = { words: 1000, line: 64 }; // characters, as the server bounds them

export const FORMS = {
  assign: [{ name: "to", text: "field_to", kind: "line", required: true }, optional],
  verify: [result("valid", "invalid"), note],
  rectify: [note],
  revisit: [result("satisfied", "reopened"), { name: "comment", text: "field_comment", kind: "words" }, optional],
  close: [optional],
  appeal: [reason],
  uphold: [reason],
  exclude: [reason],
};

// What is sent: only what was filled in.
export function bodyOf(step, values) {
  const given = FORMS[step].map(({ name }) => [name, (values[name] ?? "").trim()]);
  return Object.fromEntries(given.filter(([, value]) => value));
}

// The first field that is still needed; undefined when nothing is.
export const missing = (step, values) => FORMS[step].find(({ name, required }) => required && !(values[name] ?? "").trim());

const ENDED = ["closed", "excluded"];
export const ended = (review) => ENDED.includes(review.state);
export const overdue = (review, now) => review.due_ms !== null && now > review.due_ms;

// What is overdue longest comes first, then what is due next; what waits for nothing last.
export const byUrgency = (a, b) => (a.due_ms ?? Infinity) - (b.due_ms ?? Infinity) || a.opened_ms - b.opened_ms;

// Who took a step, as people say it: "system", "citizen", or a staff or token id as it is.
export const who = (actor) => (actor === "system" ? "system" : actor.startsWith("holder:") ? "citizen" : actor);
