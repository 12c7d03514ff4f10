// The evaluator pad 评价器 of one window: follows the window, asks once, keeps what was answered until the server has
// it. Words and faces together; the clerk cannot press anything for the citizen from elsewhere.

import { Api, loadHall, newKey, path, Problem } from "/web/api.js";
import { keepAwake } from "/web/awake.js";
import { $, el, paint, show } from "/web/dom.js";
import { faces, LEVELS, offered } from "/web/faces.js";
import { begin, both, label, naming, readingSwitches } from "/web/i18n.js";
import { denied, session } from "/web/pair.js";
import { Follow } from "/web/socket.js";
import { hm, ServerClock } from "/web/time.js";
import { Prompt } from "./prompt.js";
import { Spool } from "./spool.js";

const SEND_EVERY_MS = 10000;

begin("page_pad");
keepAwake();
$("#switches").replaceWith(readingSwitches());
const me = await session();
const api = new Api(me.token, { onDenied: denied });
const clock = new ServerClock();
const spool = new Spool(localStorage, `qserver:spool:${me.hall}|${me.window}`);
const ANSWERED = `qserver:answered:${me.hall}|${me.window}`;
const PRESSED = `qserver:pressed:${me.hall}|${me.window}`;
const answered = read(ANSWERED) ?? [];
const interrupted = read(PRESSED); // a face was pressed, and the power went while its reasons were open
if (interrupted) {
  spool.add({ rid: newKey(), ...interrupted });
  answered.push(`${interrupted.ticket}:${interrupted.leg}`);
  localStorage.setItem(ANSWERED, JSON.stringify(answered));
  localStorage.removeItem(PRESSED);
}
const prompt = new Prompt({ answered, onRating: keep, onAsked: asked });
let hall = null;
let w = null;
let sending = false;

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function remember() {
  if (prompt.pressed) localStorage.setItem(PRESSED, JSON.stringify(prompt.pressed));
  else localStorage.removeItem(PRESSED);
}

function keep(rating) {
  spool.add({ rid: newKey(), ...rating });
  localStorage.setItem(ANSWERED, JSON.stringify(prompt.answered));
  localStorage.removeItem(PRESSED);
  send();
}

function asked(ticket, leg, at_ms) {
  try {
    spool.show(ticket, leg, at_ms);
  } catch {
    // the storage is full: ask nevertheless
  }
  send();
}

const waiting = () => spool.size || spool.prompts(0).length;
const NOT_TAKEN = [400, 413, 422]; // what was sent cannot be taken, now or later

// Everything kept, oldest first. Each try is a request of its own: the ages differ, and the ids of the ratings make
// repeats harmless. One that is not taken is sent again by itself, then without its signature, for a server may be older
// than the page; only then is it given up.
async function send() {
  if (sending || !follow.live) return;
  sending = true;
  try {
    for (let [most, plain] = [50, false]; waiting();) {
      const before = waiting();
      const now = clock.now();
      const [items, shown] = [spool.batch(now, most), spool.prompts(now)];
      try {
        const body = plain ? { items: items.map(({ n, ...item }) => item) } : spool.signed(me, items, shown);
        const answer = await api.post(path(me.hall, "ratings"), body);
        spool.settle(items, answer.results);
        spool.told(shown);
        [most, plain] = [50, false];
      } catch (error) {
        if (!(error instanceof Problem) || !NOT_TAKEN.includes(error.status)) break;
        if (items.length > 1) {
          most = 1; // one of them is not taken; find it without losing the others
          continue;
        }
        if (!plain) {
          plain = true;
          continue;
        }
        spool.settle(items, items.map(() => ({ status: "rejected", code: error.code })));
        plain = false;
      }
      if (waiting() === before) break;
    }
  } finally {
    sending = false;
  }
}

// ---- what is shown

function draw() {
  const now = clock.now();
  prompt.tick(now);
  const screen = prompt.screen(now);
  document.body.dataset.screen = screen.name;
  const drawing = VIEWS[screen.name] ?? VIEWS.idle;
  // Somebody may be writing: what happens at the window meanwhile must not redraw the form.
  const about = ["ask", "why", "thanks"].includes(screen.name) ? screen.score : [screen.may_rate, w?.ticket, w?.reason];
  paint($("#screen"), [screen.name, about], () => drawing(screen));
  const left = $("#left");
  if (left && screen.left_ms !== undefined) left.textContent = String(Math.ceil(screen.left_ms / 1000));
  if (!w) return;
  paint($("#window"), [w.id, hall?.name], () => (hall ? [`${hall.name} · `, both(...naming(hall).place(w.id))] : [w.name]));
  paint($("#staff"), w.staff, () => [w.staff ? label("staff_no", { id: w.staff }) : ""]);
}

const countdown = () => el("p", { class: "left", "aria-hidden": "true" }, el("span", { id: "left", class: "number" }), " s");
const big = (key) => [el("p", { class: "big" }, label(key))];

const VIEWS = {
  waiting: () => big("connecting"),
  closed: () => big("window_closed"),
  paused: () => [...big("window_paused"), w.reason ? el("p", {}, w.reason) : ""],
  idle: (screen) => [...big("welcome"), mayRate(screen)],
  called: (screen) => [el("p", { class: "no" }, w.ticket), ...big("please_come"), mayRate(screen)],
  serving: () => [el("p", { class: "no" }, w.ticket), ...big("window_serving")],
  ask: () => [el("h2", {}, label("please_rate")),
    el("div", { class: "faces" }, faces((score) => { prompt.press(score, clock.now()); remember(); draw(); })), countdown()],
  why: (screen) => why(screen.score),
  thanks: () => big("thanks"),
};

function mayRate(screen) {
  if (!screen.may_rate) return "";
  return el("button", { type: "button", onclick: () => { prompt.again(clock.now()); draw(); } }, label("rate_now"));
}

function why(score) {
  const form = el("form", {}, el("h2", {}, both(...LEVELS[score])), el("p", {}, label("what_was_wrong")),
    el("div", { class: "reasons" }, offered(hall?.rating, score).map(([zh, en]) => el("label", { class: "pick" },
      el("input", { type: "checkbox", name: "reason", value: zh }), both(zh, en)))),
    el("label", { for: "comment" }, label("comment")),
    el("textarea", { id: "comment", name: "comment", rows: 3, maxlength: 1000 }),
    el("p", { class: "row end" }, el("button", { type: "button", onclick: () => { prompt.back(clock.now()); remember(); draw(); } },
      label("choose_again")), el("button", { type: "submit", class: "main" }, label("send"))), countdown());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    prompt.submit(data.getAll("reason").slice(0, 10), data.get("comment").trim(), clock.now());
    draw();
  });
  return [form];
}

// ---- what is heard

const follow = new Follow({
  token: me.token, hall: me.hall, topic: `window:${me.window}`, page: "pad", clock,
  onState: (message) => {
    w = message.window;
    prompt.window(w, clock.now());
    draw();
  },
  onLink: ({ live, since, final }) => {
    show($("#lost"), !live);
    if (!live) $("#lost").replaceChildren(label(final ? "refused" : "pad_offline", { at: hm(since, hall?.time_zone) }));
    document.body.dataset.live = live ? "1" : "0";
    if (live) send();
  },
});
setInterval(draw, 250);
setInterval(() => waiting() && send(), SEND_EVERY_MS);
loadHall(api, me.hall).then((found) => {
  hall = found;
  draw();
});
