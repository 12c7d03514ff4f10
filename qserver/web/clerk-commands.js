// The clerk's commands as one table: key, when it may be pressed, what is asked first, what is sent. The page draws
// its buttons and its list of keys from here; whether a command is right is the server's word, not this table's.

export const UNDO_MS = 15000;

// `w` = the window as the server last told it. `ask(w)` names a dialog whose answer becomes the body; `body(w)` the
// body otherwise. `to(w)` overrides the last part of the address.
export const COMMANDS = [
  {
    id: "next", key: "N", style: "main next", to: () => "call",
    when: (w) => w.state === "idle" || w.state === "serving",
    body: (w) => ({ finish: w.state === "serving" }),
  },
  { id: "start", key: "S", style: "main", when: (w) => w.state === "called" },
  { id: "recall", key: "R", when: (w) => w.state === "called" },
  { id: "miss", key: "M", when: (w) => w.state === "called" },
  { id: "finish", key: "F", when: (w) => w.state === "serving" },
  { id: "accept", key: "A", to: () => "finish", when: (w) => w.state === "serving", ask: "accept" },
  { id: "onward", key: "G", to: () => "finish", when: (w) => w.state === "serving", ask: "onward" },
  { id: "hold", key: "H", when: (w) => w.state === "called" || w.state === "serving", ask: "hold" },
  { id: "transfer", key: "T", when: (w) => w.state === "called" || w.state === "serving", ask: "transfer" },
  {
    id: "named", key: "C", to: () => "call", when: (w) => w.state === "idle" || w.state === "serving", ask: "named",
  },
  { id: "undo", key: "Z", when: (w, now) => w.state === "idle" && now - w.since_ms < UNDO_MS },
  {
    id: "pause", key: "P", to: (w) => (w.state === "paused" ? "resume" : "pause"),
    when: (w) => w.state === "idle" || w.state === "paused",
    ask: (w) => (w.state === "paused" ? "" : "pause"),
    text: (w) => (w.state === "paused" ? "resume" : "pause"),
  },
  {
    id: "open", key: "O", to: (w) => (w.state === "closed" ? "open" : "close"),
    style: (w) => (w.state === "closed" ? "main" : ""),
    when: (w) => ["closed", "idle", "paused"].includes(w.state),
    ask: (w) => (w.state === "closed" ? "open" : ""),
    text: (w) => (w.state === "closed" ? "open" : "close"),
  },
];

const of = (value, w, otherwise) => (typeof value === "function" ? value(w) : value ?? otherwise);

// What a command looks like and does right now.
export function at(command, w, now) {
  return {
    id: command.id,
    key: command.key,
    text: of(command.text, w, command.id),
    style: of(command.style, w, ""),
    enabled: command.when(w, now),
    to: of(command.to, w, command.id),
    ask: of(command.ask, w, ""),
    body: of(command.body, w, {}),
  };
}

// The command of a key press; null while somebody types or holds a modifier, or something lies over the page.
export function byKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing) return null;
  if (event.target?.closest?.("input, textarea, select") || document.querySelector("dialog[open], .cover")) return null;
  return COMMANDS.find((command) => command.key === event.key.toUpperCase()) ?? null;
}

// The running time at the window: since the call, or the service without what was held, against the limit.
// Answers {ms, limit_ms, share, level: "" | "soon" | "over"}.
export function timer(w, now, warn = 0.8) {
  const ms = Math.max(0, now - w.since_ms - (w.state === "serving" ? w.held_ms ?? 0 : 0));
  const limit_ms = w.state === "serving" ? w.limit_ms ?? 0 : 0;
  const share = limit_ms ? ms / limit_ms : 0;
  return { ms, limit_ms, share, level: share >= 1 ? "over" : share >= warn ? "soon" : "" };
}
