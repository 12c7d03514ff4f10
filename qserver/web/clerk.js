// The clerk's page 窗口. What it shows is the window as the server tells it, so a reload or a lost connection loses
// nothing; a press is one key, repeated until it is answered, also after a reload.

import { Api, Problem, loadHall, newKey, path } from "./api.js";
import { apply, fromSnapshot } from "./board-fold.js";
import { cases } from "./cases.js";
import { at, byKey, COMMANDS, timer } from "./clerk-commands.js";
import { dialogs } from "./clerk-dialogs.js";
import { lists } from "./clerk-lists.js";
import { ownReviews } from "./clerk-reviews.js";
import { $, el, paint, show, toast } from "./dom.js";
import { begin, both, explain, label, naming, readingSwitches, say } from "./i18n.js";
import { denied, session, signedIn } from "./pair.js";
import { Follow } from "./socket.js";
import { hm, ServerClock, stopwatch } from "./time.js";

const STAFF = "qserver:staff";
const PRESS = "qserver:press:";

begin("page_clerk");
$("#switches").replaceWith(readingSwitches());
const me = await session();
const api = new Api(me.token, { onDenied: denied });
$("header.top").append(signedIn(me));
const clock = new ServerClock();
let names = naming({}); // ids stand for names until the hall has come
const hall = await loadHall(api, me.hall, () => linked({ live: false, since: clock.now() }));
names = naming(hall);
const base = path(me.hall, "windows", me.window);
let w = null; // the window, as the server last told it
let board = null;
let busy = false;

const staff = () => me.staff ?? localStorage.getItem(STAFF) ?? "";
const forms = dialogs({ hall, names, staff, window: me.window });
// What is served here: as the window was opened; while it is closed, what it is there for.
const services = () =>
  (w?.services.length ? w.services : hall.windows.find((one) => one.id === me.window)?.services) ?? [];
const queue = lists({ api, hall: me.hall, names, window: () => w, services, press, now: () => clock.now() });
const mine = ownReviews({ api, hall: me.hall, staff: me.staff, names, now: () => clock.now() });
const promised = cases({ api, hall: me.hall, staff: me.staff, names, window: me.window, now: () => clock.now() });

// ---- what is shown

const buttons = new Map(COMMANDS.map((command) => [command.id,
  el("button", { type: "button", id: `do-${command.id}`, disabled: true, onclick: () => run(command) })]));
$("#commands").append(...buttons.values());
$("#key-list").append(...COMMANDS.flatMap((command) =>
  [el("dt", {}, el("kbd", {}, command.key)), el("dd", {}, label(`do_${command.id}_key`))]));

function draw() {
  if (!w) return;
  $("#window-name").replaceChildren(`${hall.name} · `, both(...names.place(w.id)));
  $("#staff").replaceChildren(w.staff && w.staff !== me.staff ? label("staff_no", { id: w.staff }) : ""); // oneself stands beside it
  paint($("#now"), [w.state, w.ticket, w.service, w.leg, w.reason, w.rate], () => [
    el("span", { class: "no", id: "current" }, w.ticket ?? "—"),
    el("span", { class: "about" }, w.service ? both(...names.service(w.service)) : "",
      w.state === "paused" ? w.reason ?? "" : "",
      w.rate ? el("span", { class: "tag" }, label("rating_now")) : ""),
    el("span", { class: `state ${w.state}`, id: "state" }, label(`window_${w.state}`)),
  ]);
  const other = w.state !== "closed" && w.staff !== staff() && (w.staff || me.staff);
  show($("#other"), Boolean(other));
  if (other) {
    $("#other").replaceChildren(label("other_staff", { staff: w.staff || "—" }),
      el("button", { type: "button", id: "take-over", onclick: takeOver }, label("take_over")));
  }
  drawCommands();
  queue.draw();
}

function drawCommands() {
  if (!w) return; // a press kept over a reload goes before the window has been told
  for (const command of COMMANDS) {
    const now = at(command, w, clock.now());
    const button = buttons.get(command.id);
    button.className = now.style;
    button.disabled = busy || !now.enabled;
    paint(button, now.text, () => [label(`do_${now.text}`), el("kbd", {}, now.key)]);
  }
}

function drawTimer() {
  const running = w && (w.state === "called" || w.state === "serving");
  show($("#meter"), Boolean(running));
  drawCommands(); // undo runs out
  if (!running) return;
  const { ms, limit_ms, share, level } = timer(w, clock.now(), hall.overtime?.warn_at);
  $("#timer").textContent = stopwatch(ms);
  show($("#progress"), limit_ms > 0);
  $("#progress").value = Math.min(1, share);
  paint($("#limit"), [w.state, limit_ms, level], () => [
    limit_ms ? label("limit_of", { limit: stopwatch(limit_ms) }) : label(`since_${w.state}`),
    level ? el("span", { class: `tag ${level === "over" ? "bad" : "warn"}` }, label(`limit_${level}`)) : ""]);
}

function drawCounts() {
  const mine = services();
  paint($("#counts"), [mine, board?.waiting], () => mine.map((id) => el("span", { class: "tag" },
    both(...names.service(id)), ` ${board?.waiting[id] ?? "–"}`)));
}

// ---- what is pressed

async function run(command) {
  if (!w || busy) return;
  const now = at(command, w, clock.now());
  if (!now.enabled) return;
  let body = now.body;
  if (now.ask) {
    body = now.to === "open" ? await asWhom() : await forms[now.ask](w);
    if (!body) return;
    if (now.to === "call") body.finish = w.state === "serving";
  }
  press(`${base}/${now.to}`, body, now.id);
}

// The body of opening: who logged in opens in the own name, a paired device is told whose.
async function asWhom() {
  if (me.staff) return {};
  const body = await forms.open(w);
  if (body) localStorage.setItem(STAFF, body.staff);
  return body;
}

async function takeOver() {
  const body = await asWhom();
  if (body) press(`${base}/open`, body, "open");
}

// Sends one press; `stored` is one whose answer was never seen.
async function press(address, body, id, stored = null) {
  if (busy) return;
  busy = true;
  const focused = document.activeElement;
  drawCommands();
  const one = stored ?? { address, body, id, key: newKey(), staff: me.staff ?? "" };
  keepPress(one);
  show($("#unsure"), false);
  let unsure = false;
  try {
    tell(one.id, await api.post(one.address, one.body, one.key));
  } catch (error) {
    unsure = !(error instanceof Problem && error.status >= 400 && error.status < 500);
    if (me.staff && error.status === 401) {
      unsure = true; // the session ended; whether it was done before, only asking again will tell
      keepPress({ ...one, ended: true });
    }
    if (!unsure) toast(explain(error), "bad");
  }
  busy = false;
  if (unsure) {
    offer(one);
  } else {
    sessionStorage.removeItem(PRESS + me.window);
  }
  if (!follow?.live) await refresh();
  drawCommands();
  if (document.activeElement === document.body) focused?.focus(); // a button that was disabled meanwhile lost it
  queue.changed(true);
  if (one.id === "accept") promised.changed();
}

const keepPress = (one) => sessionStorage.setItem(PRESS + me.window, JSON.stringify(one));

// Offers a press again whose answer was never seen.
function offer(one) {
  show($("#unsure"), true);
  $("#unsure").replaceChildren(label("unsure_press", { what: say(`do_${one.id}`) }),
    el("button", { type: "button", class: "main", onclick: () => press("", null, "", one) }, label("try_again")));
}

function tell(id, answer) {
  if (id === "next" && !answer.ticket) toast(label("nobody_waits"), "note");
  if (answer.window) w = answer.window;
}

async function refresh() {
  try {
    w = (await api.get(base)).window;
    draw();
  } catch {
    // the bar above says that the connection is lost
  }
}

document.addEventListener("keydown", (event) => {
  const command = byKey(event);
  if (!command) return;
  event.preventDefault();
  run(command);
});
$("#reload").addEventListener("click", () => queue.changed(true));

// ---- what is heard

function linked({ live, since, final }) {
  show($("#lost"), !live);
  if (!live) $("#lost").replaceChildren(final ? label("refused") : label("lost_since", { at: hm(since, names.zone) }));
  document.body.dataset.live = live ? "1" : "0";
  if (final) refresh(); // is told why
}

const common = { token: me.token, hall: me.hall, page: "clerk", clock };
const follow = new Follow({
  ...common, topic: `window:${me.window}`, onLink: linked,
  onState: (message) => {
    if (w?.rate && !message.window.rate) mine.load(); // rated, or the time for it is over
    w = message.window;
    draw();
    drawTimer();
    drawCounts();
  },
});
new Follow({
  ...common, topic: "board",
  onSnapshot: (next) => {
    board = fromSnapshot(next);
    drawCounts();
    queue.changed();
  },
  onEvent: (event) => {
    if (!board) return;
    apply(board, event);
    drawCounts();
    queue.heard(event);
  },
});
setInterval(drawTimer, 500);
setInterval(() => follow.live || refresh(), 5000);
const pending = JSON.parse(sessionStorage.getItem(PRESS + me.window));
if (pending && (pending.staff ?? "") !== (me.staff ?? "")) sessionStorage.removeItem(PRESS + me.window); // somebody else's
else if (pending?.ended) offer(pending); // time has passed: asked for by hand
else if (pending) press("", null, "", pending);
