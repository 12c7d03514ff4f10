// The hall board 综合屏: the last calls, who waits, what the windows do, notices, the time. It says every call once and
// in order, and shows the loss of its connection instead of letting old numbers look live.

import { Api, loadHall } from "/web/api.js";
import { keepAwake } from "/web/awake.js";
import { apply, fromSnapshot } from "/web/board-fold.js";
import { $, el, paint, show } from "/web/dom.js";
import { begin, both, label, naming } from "/web/i18n.js";
import { denied, session } from "/web/pair.js";
import { Follow } from "/web/socket.js";
import { day, hm, hms, ServerClock } from "/web/time.js";
import { Announcer, wording } from "./announce.js";
import { Voice } from "./voice.js";

const SHOWN = 7; // calls, the newest among them
const FRESH_MS = 12000; // how long a call stands out
const LOST_AFTER_MS = 3000; // a reconnect that succeeds at once is nobody's business
const TURN_MS = 8000; // long lists turn their pages
const SHIFT_MS = 60000; // against burn-in
const PAGE = { services: 9, windows: 12, wide: 8 };
const LONG_NAME = 5; // characters; longer ones get wider boxes
const SPOKEN_KEPT = 50;

begin("page_board");
keepAwake();
const me = await session();
const api = new Api(me.token, { onDenied: denied });
const clock = new ServerClock();
const languages = (new URLSearchParams(location.search).get("voice") ?? "zh").split(",");
const voice = new Voice(languages.filter((one) => one === "zh" || one === "en"));
const announcer = new Announcer();
let names = naming({});
let services = [];
let board = null;
let link = { live: false, since: clock.now(), at: performance.now(), final: 0 };
let turn = 0;

async function learn() {
  const hall = await loadHall(api, me.hall);
  names = naming(hall);
  services = hall.services.map((one) => one.id);
  $("#hall").replaceChildren(both(hall.name, hall.name_en));
  draw();
}

const windowName = (id) => board?.windows.get(id)?.name || names.window(id);
const place = (id) => [windowName(id), names.place(id)[1]];

// A page of a list that may be longer than its place; the pages are about equally long.
function page(list, most) {
  const pages = Math.max(1, Math.ceil(list.length / most));
  const size = Math.ceil(list.length / pages);
  const first = (turn % pages) * size;
  return list.slice(first, first + size);
}

// The last call of each ticket: a repeated call moves its ticket up instead of filling the list.
function latest(calls) {
  const seen = new Set();
  return calls.filter((call) => !seen.has(call.ticket) && seen.add(call.ticket)).slice(0, SHOWN);
}

// Many events may come at once; one frame shows them all.
let frame = 0;
function drawSoon() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    draw();
  });
}

function draw() {
  if (!board) return;
  const now = clock.now();
  const [newest, ...others] = lost() ? [null, ...latest(board.calls)] : latest(board.calls);
  const fresh = (call) => now - call.at_ms < FRESH_MS;
  paint($("#newest"), newest && [newest, fresh(newest), place(newest.window)], () => (newest ? [
    el("div", { class: `call ${fresh(newest) ? "fresh" : ""}` },
      el("span", { class: "no" }, newest.ticket),
      el("span", { class: "go" }, label("please_go")),
      el("span", { class: "to" }, both(...place(newest.window))),
      newest.n > 1 ? el("span", { class: "again" }, label("call_n", { n: newest.n })) : "")]
    : [el("div", { class: "call" }, label("no_calls"))]));
  paint($("#calls"), others.map((call) => [call, fresh(call), place(call.window)]), () => others.slice(0, SHOWN - 1).map((call) =>
    el("li", { class: fresh(call) ? "fresh" : "" }, el("span", { class: "no" }, call.ticket), el("span", {}, "→"),
      el("span", {}, both(...place(call.window))), el("span", { class: "at number" }, hm(call.at_ms, names.zone)))));
  const queues = services.length ? services : Object.keys(board.waiting);
  const shownQueues = page(queues, PAGE.services);
  paint($("#waiting"), shownQueues.map((id) => [id, board.waiting[id], names.service(id)]), () => shownQueues.map((id) =>
    el("li", {}, both(...names.service(id)), el("span", { class: "count number" }, String(board.waiting[id] ?? 0)))));
  const open = [...board.windows.values()].filter((one) => one.state !== "closed");
  const wide = open.some((one) => one.name.length > LONG_NAME);
  $("#windows").classList.toggle("wide", wide);
  const shownWindows = page(open, wide ? PAGE.wide : PAGE.windows);
  paint($("#windows"), shownWindows, () => (shownWindows.length ? shownWindows.map((one) =>
    el("li", { class: one.state }, el("span", { class: "name" }, one.name), el("span", { class: "no" }, one.ticket ?? ""),
      label(`board_${one.state}`))) : [el("li", { class: "none" }, label("all_closed"))]));
  const notices = board.notices;
  const notice = notices[turn % Math.max(1, notices.length)];
  show($("#notice"), Boolean(notice?.text));
  paint($("#notice"), notice?.text, () => [notice?.text ?? ""]);
}

const lost = () => Boolean(link.final) || (!link.live && performance.now() - link.at > LOST_AFTER_MS);

// The place of the newest call says that there may be newer ones; the calls known so far move into the list.
function drawLink() {
  const gone = lost();
  document.body.dataset.live = link.live ? "1" : "0";
  show($("#lost"), gone);
  show($("#newest"), !gone);
  $("#screen").classList.toggle("stale", gone);
  if (!gone) return;
  paint($("#lost"), [link.final, hm(link.since, names.zone)], () => [
    link.final ? label("refused") : label("lost_since", { at: hm(link.since, names.zone) })]);
}

// ---- what is said

async function announce() {
  const call = announcer.next(clock.now());
  if (!call) return;
  const texts = wording(call, windowName(call.window));
  $("#spoken").append(el("li", { "data-ticket": call.ticket, "data-n": call.n }, texts.zh));
  while ($("#spoken").children.length > SPOKEN_KEPT) $("#spoken").firstChild.remove();
  await voice.say(texts);
  announcer.done();
  show($("#sound"), voice.blocked);
  announce();
}

function heard(calls) {
  announcer.offer(calls, clock.now());
  announce();
}

document.addEventListener("pointerdown", () => {
  voice.unlock();
  show($("#sound"), false);
});

// ---- what is heard

function linked(next) {
  link = { ...next, at: performance.now() };
  drawLink();
  draw();
}

new Follow({
  token: me.token, hall: me.hall, topic: "board", page: "board", clock, onLink: linked,
  onSnapshot: (snapshot) => {
    board = fromSnapshot(snapshot);
    draw();
    heard(board.calls);
  },
  onEvent: (event) => {
    const call = apply(board, event);
    if (event.k === "config") learn(); // names may have changed
    drawSoon();
    if (call) heard([call]);
  },
});

setInterval(() => {
  const now = clock.now();
  $("#clock").textContent = hms(now, names.zone);
  $("#day").textContent = day(now, names.zone);
  draw();
  drawLink();
}, 1000);
setInterval(() => { turn += 1; }, TURN_MS);
setInterval(() => {
  $("#screen").dataset.shift = String((Number($("#screen").dataset.shift) + 1) % 8);
}, SHIFT_MS);
learn();
