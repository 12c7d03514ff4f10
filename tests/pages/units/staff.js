import { alerts } from "/web/supervisor-alerts.js";
import { at, byKey, COMMANDS, timer, UNDO_MS } from "/web/clerk-commands.js";
import { same } from "./check.js";

const window_ = (state, more = {}) => ({ id: "w1", state, since_ms: 0, held_ms: 0, limit_ms: 600000, services: ["a"], ticket: null, ...more });
const enabled = (state, now = UNDO_MS) => COMMANDS.filter((one) => at(one, window_(state), now).enabled).map((one) => one.id);
const command = (id, w) => at(COMMANDS.find((one) => one.id === id), w, 0);
const key = (name, more = {}) => ({ key: name, target: document.body, ...more });

const HALL = { services: [{ id: "a", wait_limit_s: 600 }, { id: "b" }], windows: [], overtime: { warn_at: 0.8 } };
const figures = (waiting, longest_wait_ms) => ({ waiting, longest_wait_ms });
const doubted = (n) => ({ services: { a: { doubtful: n } } });
const kinds = (stats, now) => alerts({ now_ms: 0, open_reviews: 0, windows: [], services: {}, ...stats }, HALL, now).map((one) => one.key);

export const tests = {
  "ratings from a doubtful pad are told, whoever waits"() {
    same(kinds(doubted(2), 0), ["alert_doubtful"]);
    same(kinds(doubted(0), 0), []);
  },
  "what may be pressed follows the window's state"() {
    same(enabled("closed"), ["open"]);
    same(enabled("idle"), ["next", "named", "pause", "open"]);
    same(enabled("called"), ["start", "recall", "miss", "hold", "transfer"]);
    same(enabled("serving"), ["next", "finish", "accept", "onward", "hold", "transfer", "named"]);
    same(enabled("paused"), ["pause", "open"]);
  },
  "undo only within its time"() {
    same(enabled("idle", UNDO_MS - 1).includes("undo"), true);
    same(enabled("idle", UNDO_MS).includes("undo"), false);
  },
  "next finishes the current one exactly when there is one"() {
    same([command("next", window_("idle")).to, command("next", window_("idle")).body], ["call", { finish: false }]);
    same(command("next", window_("serving")).body, { finish: true });
  },
  "the same key opens and closes, pauses and resumes"() {
    same(command("open", window_("closed")).to, "open");
    same(command("open", window_("idle")).to, "close");
    same([command("pause", window_("idle")).to, command("pause", window_("idle")).ask], ["pause", "pause"]);
    same([command("pause", window_("paused")).to, command("pause", window_("paused")).ask], ["resume", ""]);
  },
  "keys are unique and do nothing while somebody types, holds a modifier or a key repeats"() {
    same(new Set(COMMANDS.map((one) => one.key)).size, COMMANDS.length);
    same(byKey(key("n")).id, "next");
    same(byKey(key("N")).id, "next");
    for (const more of [{ ctrlKey: true }, { altKey: true }, { metaKey: true }, { repeat: true }, { isComposing: true }]) {
      same(byKey(key("n", more)), null, JSON.stringify(more));
    }
    same(byKey(key("n", { target: document.createElement("input") })), null);
    same(byKey(key("x")), null);
  },
  "the timer leaves out what was held and runs against the limit"() {
    const w = window_("serving", { since_ms: 1000, held_ms: 2000 });
    same(timer(w, 13000), { ms: 10000, limit_ms: 600000, share: 10000 / 600000, level: "" });
    same(timer(w, 3000 + 480000).level, "soon");
    same(timer(w, 3000 + 600000).level, "over");
    same(timer(window_("called", { since_ms: 1000 }), 900000).level, "", "no limit on the way to the window");
    same(timer(window_("serving", { limit_ms: null }), 900000).level, "");
  },
  "a supervisor is told of services over and near their limit, the worst first"() {
    const windows = [window_("serving", { id: "w1", ticket: "A001", since_ms: 100000 }), window_("serving", { id: "w2", ticket: "A002" })];
    same(kinds({ windows }, 600000), ["alert_service_over", "alert_service_soon"]);
  },
  "of waits over their limit, by the service's own"() {
    const open = [window_("called")];
    same(kinds({ windows: open, services: { a: figures(3, 400000) } }, 0), []);
    same(kinds({ windows: open, services: { a: figures(3, 400000) } }, 100000), ["alert_wait_soon"], "time goes on");
    same(kinds({ windows: open, services: { a: figures(3, 600000) } }, 0), ["alert_wait_over"]);
  },
  "of queues without a window and windows idle beside a queue"() {
    same(kinds({ services: { b: figures(2, 1000) } }, 0), ["alert_no_window"]);
    same(kinds({ windows: [window_("paused")], services: { a: figures(1, 0) } }, 0), ["alert_no_window"]);
    same(kinds({ windows: [window_("idle")], services: { a: figures(1, 1000) } }, 60000), []);
    same(kinds({ windows: [window_("idle")], services: { a: figures(1, 1000) } }, 60001), ["alert_idle"]);
    same(kinds({ windows: [window_("idle")] }, 600000), []);
  },
  "of reviews to handle, and of those that are overdue before the others"() {
    same(kinds({ open_reviews: 2 }, 0), ["alert_reviews"]);
    const due = (id, due_ms) => ({ id, due_ms, opened_ms: 0 });
    const found = alerts({ now_ms: 0, open_reviews: 4, windows: [], services: {} }, HALL, 100,
      [due("r1", 100), due("r2", 99), due("r3", 50), due("r4", null)]);
    same(found.map((one) => [one.key, one.kind, one.n, one.review]),
      [["alert_reviews_late", "bad", 2, "r3"], ["alert_reviews", "warn", 4, undefined]]);
  },
  "of who is locked out by wrong passwords, while it lasts"() {
    const staff = [{ id: "1", locked_until_ms: 100 }, { id: "2", locked_until_ms: 101 }, { id: "3", locked_until_ms: null }];
    const found = alerts({ now_ms: 0, open_reviews: 0, windows: [], services: {} }, HALL, 100, [], staff);
    same(found, [{ kind: "bad", key: "alert_locked", staff: "2", at: 101 }]);
  },
};
