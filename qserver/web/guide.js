// Issuing tickets: choose services, see how long it will take, confirm, get the slip. Nothing is shown as issued
// before the server has said so; a press whose answer was lost is repeated under its own key, also after a reload.

import { Api, Problem, loadHall, newKey, path } from "./api.js";
import { $, el, paint, show, toast } from "./dom.js";
import { begin, both, explain, label, naming, readingSwitches } from "./i18n.js";
import { denied, session, signedIn } from "./pair.js";
import { waitRange } from "./time.js";
import { desk } from "./guide-desk.js";
import { openSlip } from "./slip.js";

const REFRESH_MS = 5000;
const PRESS = "qserver:press";
const OFTEN = "qserver:often";

begin("page_guide");
$("#switches").replaceWith(readingSwitches());
const me = await session();
const api = new Api(me.token, { onDenied: denied });
$("header.top").append(signedIn(me));
const hall = await loadHall(api, me.hall, () => lost(true));
const names = naming(hall);
const often = readJson(localStorage, OFTEN) ?? {};
// Frequent services first; decided once per load, since tiles that move while people look at them are not found again.
const services = [...hall.services].sort((a, b) => (often[b.id] ?? 0) - (often[a.id] ?? 0));
let queues = new Map();
let chosen = [];
let priority = "normal";

function readJson(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

function lost(yes) {
  show($("#lost"), yes);
  if (yes) $("#lost").replaceChildren(label("lost"));
}

async function refresh() {
  try {
    const answer = await api.get(path(me.hall, "queues"));
    queues = new Map(answer.queues.map((queue) => [queue.service, queue]));
    chosen = chosen.filter((id) => queues.get(id)?.open !== false);
    lost(false);
    draw();
  } catch {
    lost(true);
  }
}

function draw() {
  const wanted = $("#search").value.trim().toLowerCase();
  const shown = services.filter((one) =>
    [one.name, one.name_en, one.id, one.prefix].some((text) => (text || "").toLowerCase().includes(wanted)));
  paint($("#tiles"), [wanted, chosen, [...queues.values()]], () => shown.map(tile));
  if (!shown.length) $("#tiles").replaceChildren(el("p", {}, label("no_match")));
  drawOrder();
}

function tile(service) {
  const queue = queues.get(service.id);
  const place = chosen.indexOf(service.id);
  const closed = queue?.open === false;
  const facts = closed
    ? el("span", { class: "tag bad" }, label(`why_${queue.reason || "closed"}`))
    : el("span", { class: "facts" }, label("waiting_n", { n: queue?.waiting ?? "–" }),
      !queue ? null : queue.open_windows ? both(...waitRange(queue.wait_estimate_ms)) : label("no_window_open"));
  return el("button", {
    type: "button", class: "tile", id: `tile-${service.id}`, "aria-pressed": String(place >= 0), disabled: closed,
    onclick: () => toggle(service.id),
  }, el("span", { class: "name" }, both(...names.service(service.id))), facts,
  place >= 0 ? el("span", { class: "place" }, place + 1) : null);
}

function toggle(id) {
  chosen = chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id];
  draw();
  document.getElementById(`tile-${id}`)?.focus();
  refresh(); // what is confirmed should be as it is now
}

function drawOrder() {
  const first = queues.get(chosen[0]);
  show($("#nothing"), !chosen.length);
  $("#order").classList.toggle("empty", !chosen.length && !busy);
  paint($("#chosen"), chosen, () => chosen.map((id) => el("li", {}, el("div", { class: "row" },
    both(...names.service(id)),
    el("button", { type: "button", class: "quiet", onclick: () => toggle(id) }, label("remove"))))));
  paint($("#expect"), [chosen[0], first], () => (first ? [el("div", { class: "expect" }, el("dl", {},
    el("dt", {}, label("people_ahead")), el("dd", {}, first.waiting),
    el("dt", {}, label("expected_wait")),
    el("dd", {}, first.open_windows ? both(...waitRange(first.wait_estimate_ms)) : label("no_window_open")),
    el("dt", {}, label("open_windows")), el("dd", {}, first.open_windows)))] : []));
  $("#confirm").disabled = !chosen.length || busy;
  paint($("#confirm"), busy, () => [label(busy ? "working" : "confirm")]);
}

const classes = [{ id: "normal" }, ...(hall.priorities ?? []).filter((one) => one.id !== "normal")];
$("#priorities").append(...classes.map((one) => el("label", { class: "pick" },
  el("input", {
    type: "radio", name: "priority", value: one.id, checked: one.id === "normal",
    onchange: () => { priority = one.id; },
  }), both(...names.priority(one.id)))));
show($("#priorities"), classes.length > 1);

let busy = false;

$("#confirm").addEventListener("click", () => {
  const [service, ...rest] = chosen;
  const body = { service, channel: me.role === "kiosk" ? "kiosk" : "guide", priority };
  if (rest.length) body.services = rest;
  const person = $("#person").value.trim();
  if (person) body.person = person;
  press({ key: newKey(), body });
});

// One press: stored before it is sent, forgotten once it is answered.
async function press(one) {
  if (busy) return;
  busy = true;
  drawOrder();
  show($("#unsure"), false);
  sessionStorage.setItem(PRESS, JSON.stringify(one));
  try {
    const issued = await api.post(path(me.hall, "tickets"), one.body, one.key);
    sessionStorage.removeItem(PRESS);
    often[one.body.service] = (often[one.body.service] ?? 0) + 1;
    localStorage.setItem(OFTEN, JSON.stringify(often));
    reset();
    openSlip({ issued, names, api, hall: me.hall, fresh: true, kiosk: me.role === "kiosk" });
  } catch (error) {
    if (error instanceof Problem && error.status >= 400 && error.status < 500) {
      sessionStorage.removeItem(PRESS);
      toast(explain(error), "bad");
    } else {
      show($("#unsure"), true);
      $("#unsure").replaceChildren(label("unsure"), el("button", { type: "button", class: "main", onclick: () => {
        busy = false;
        press(one);
      } }, label("try_again")));
      return; // stays busy: another press now could issue a second ticket
    }
  }
  busy = false;
  refresh();
}

function reset() {
  chosen = [];
  priority = "normal";
  $("#person").value = "";
  $("#person").closest("details").open = false;
  $("#search").value = "";
  const normal = $("#priorities input");
  if (normal) normal.checked = true;
}

// One column when the text is large or the screen narrow: 60 of the root's own sizes are what both columns need.
function fit() {
  const size = parseFloat(getComputedStyle(document.documentElement).fontSize);
  document.body.classList.toggle("sheet", innerWidth < 60 * size);
}
new ResizeObserver(fit).observe(document.body);

$("#search").addEventListener("input", draw);
if (me.role !== "kiosk") desk({ api, hall: me.hall, services, names, queues: () => queues, classes, refresh });
await refresh();
setInterval(refresh, REFRESH_MS);
const pending = readJson(sessionStorage, PRESS);
if (pending) press(pending);
document.body.dataset.ready = "1";
