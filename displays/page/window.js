// The window screen 窗口屏: which window, which service, which number, and whether to come, wait or look elsewhere.

import { Api, loadHall } from "/web/api.js";
import { keepAwake } from "/web/awake.js";
import { $, el, paint, show } from "/web/dom.js";
import { begin, both, label, naming } from "/web/i18n.js";
import { denied, session } from "/web/pair.js";
import { Follow } from "/web/socket.js";
import { hm, ServerClock } from "/web/time.js";

const FRESH_MS = 12000;
const LOST_AFTER_MS = 3000;
const SHIFT_MS = 60000;

begin("page_window");
keepAwake();
const me = await session();
const api = new Api(me.token, { onDenied: denied });
const clock = new ServerClock();
const showStaff = new URLSearchParams(location.search).get("staff") !== "hide";
let names = naming({});
let w = null;
let link = { live: false, since: clock.now(), at: performance.now(), final: 0 };

function draw() {
  const lost = link.final || (!link.live && performance.now() - link.at > LOST_AFTER_MS);
  show($("#lost"), Boolean(lost));
  $("#screen").classList.toggle("stale", Boolean(lost));
  document.body.dataset.live = link.live ? "1" : "0";
  if (lost) {
    paint($("#lost"), [link.final, hm(link.since, names.zone)], () => [
      link.final ? label("refused") : label("lost_since", { at: hm(link.since, names.zone) })]);
  }
  if (!w) return;
  const fresh = w.state === "called" && clock.now() - w.since_ms < FRESH_MS;
  $("#screen").dataset.state = w.state;
  paint($("#name"), names.place(w.id), () => [both(...names.place(w.id))]);
  paint($("#staff"), w.staff, () => [showStaff && w.staff ? label("staff_no", { id: w.staff }) : ""]);
  paint($("#state"), [w.state, w.ticket, w.reason, fresh, w.since_ms], () => [
    w.ticket ? el("p", { class: `no ${fresh ? "fresh" : ""}` }, w.ticket) : "",
    el("p", { class: "what" }, label(`screen_${w.state}`)),
    w.state === "paused" && w.reason ? el("p", {}, w.reason) : ""]);
  const gives = (w.service ? [w.service] : w.services).map(names.service); // by their ids until the names have come
  paint($("#service"), [w.service, gives], () => gives.map((name) =>
    (w.service ? both(...name) : el("span", { class: "tag" }, both(...name)))));
}

new Follow({
  token: me.token, hall: me.hall, topic: `window:${me.window}`, page: "window", clock,
  onState: (message) => {
    w = message.window;
    draw();
  },
  onLink: (next) => {
    link = { ...next, at: performance.now() };
    draw();
  },
});
setInterval(draw, 1000);
setInterval(() => {
  $("#screen").dataset.shift = String((Number($("#screen").dataset.shift) + 1) % 8);
}, SHIFT_MS);
loadHall(api, me.hall).then((hall) => {
  names = naming(hall);
  draw();
});
