// The ticket's own page: number, people ahead, range of the wait, the window when called; leave, let others go first,
// rate. The secret in the address is the key; the socket tells of changes, and after sleep everything is asked again.

import { Api, newKey } from "./api.js";
import { $, ask, el, paint, show, toast } from "./dom.js";
import { begin, both, explain, label, readingSwitches, say } from "./i18n.js";
import { faces, LEVELS, offered } from "./faces.js";
import { Follow } from "./socket.js";
import { hm, waitRange } from "./time.js";

begin("my_ticket");
$("#switches").replaceWith(readingSwitches());
const secret = location.pathname.split("/")[2];
const base = `/api/v1/t/${secret}`;
const api = new Api("");
let state = null; // {ticket, ahead, wait_estimate_ms}
let zone = ""; // the hall's; times are shown by its clock, not the phone's
const services = new Map(); // id -> [中文, English], as far as told
const windows = new Map(); // id -> [中文, English]
let reasons = {}; // level -> [[中文, English], ...], where the hall names any
let asking = 0; // requests under way that may bring a name
let gone = false; // there is no such ticket: nothing is asked or told any more
let buzzed = "";
let rid = newKey(); // one rating, one id, however often it is sent

function take(next) {
  state = { ...state, ...next };
  draw();
}

// Only the answer to a request brings names; what the socket tells afterwards is shown with them.
function learn(answer) {
  const { ticket, service_name: zh, service_name_en: en, window_name: window, window_name_en, then } = answer;
  zone = answer.time_zone;
  reasons = answer.reasons ?? {};
  services.set(ticket.service, [zh, en]);
  for (const one of then) services.set(one.id, [one.name, one.name_en]);
  const at = ticket.window ?? ticket.to_window;
  if (at) windows.set(at, [window, window_name_en]);
}

function answered(answer) {
  learn(answer);
  const { ticket, ahead, wait_estimate_ms } = answer;
  take({ ticket, ahead, wait_estimate_ms });
}

async function refresh() {
  if (gone) return;
  asking += 1;
  try {
    answered(await api.get(base));
  } catch (error) {
    if (error.status === 404 || error.status === 401) {
      gone = true;
      follow.stop();
      show($("#lost"), false);
      $("#ticket").replaceChildren(label("no_ticket"));
      show($("#actions"), false);
      return;
    }
    lost({ live: false, since: follow.seen_ms });
  } finally {
    asking -= 1;
    if (state && !gone) draw(); // what has no name by now is called by its id
  }
}

function lost({ live, since, final }) {
  if (gone) return;
  if (final) refresh(); // closed for good: most likely there is no such ticket
  show($("#lost"), !live);
  if (!live) $("#lost").replaceChildren(state ? label("lost_since", { at: hm(since, zone) }) : label("lost"));
}

function draw() {
  const { ticket, ahead, wait_estimate_ms: wait } = state;
  const name = (id) => {
    const found = (services.get(id) ?? []).filter(Boolean);
    return both(...(found.length ? found : [asking && !services.has(id) ? "…" : id]));
  };
  paint($("#ticket"), [state, zone, Boolean(asking), [...services], [...windows], document.documentElement.className], () => [
    el("p", { class: "no", id: "no" }, ticket.no),
    now(ticket, ahead),
    el("dl", {},
      ...(ticket.state === "waiting" ? [
        el("dt", {}, label("people_ahead")), el("dd", { id: "ahead" }, String(ahead)),
        el("dt", {}, label("expected_wait")), el("dd", {}, both(...waitRange(wait)))] : []),
      el("dt", {}, label("service")), el("dd", {}, name(ticket.service)),
      ...(ticket.state === "waiting" && ticket.to_window
        ? [el("dt", {}, label("window")), el("dd", { id: "to-window" }, windowName(ticket.to_window))] : []),
      ...(ticket.services ?? []).flatMap((id) => [el("dt", {}, label("then")), el("dd", {}, name(id))]),
      el("dt", {}, label("issued_at")), el("dd", {}, zone || !asking ? hm(ticket.issued_ms, zone) : "…")),
  ]);
  paint($("#actions"), ticket.state, () => [
    ticket.state === "waiting"
      ? el("button", { type: "button", onclick: () => give("postpone", "postpone_sure") }, label("postpone")) : null,
    ["waiting", "called", "missed", "held"].includes(ticket.state)
      ? el("button", { type: "button", class: "danger", onclick: () => give("cancel", "cancel_sure") }, label("leave"))
      : null,
  ].filter(Boolean));
  drawRating(ticket);
  buzz(ticket);
}

function windowName(id) {
  const [zh, en] = windows.get(id) ?? [];
  if (zh) return both(zh, en);
  return asking && !windows.has(id) ? "…" : label("window_id", { id });
}

function now(ticket, ahead) {
  const words = (key, kind, ...more) => el("div", { class: `now ${kind}`, id: "now" }, label(key), ...more);
  const where = () => el("div", { class: "where" }, windowName(ticket.window));
  if (ticket.state === "called") return words("phone_called", "good", where());
  if (ticket.state === "serving") return words("phone_serving", "good", where());
  if (ticket.state === "waiting") return words(ahead === 0 ? "phone_next" : "phone_waiting", ahead < 3 ? "warn" : "note");
  return words(`phone_${ticket.state}`, ticket.state === "finished" ? "good" : "bad");
}

// Each call once, and each further call of it.
function buzz(ticket) {
  const call = ticket.state === "called" ? `${ticket.leg}:${ticket.calls}` : "";
  const touched = navigator.userActivation?.hasBeenActive ?? true; // before a touch browsers refuse, and complain
  if (call && call !== buzzed && touched) navigator.vibrate?.([400, 200, 400, 200, 400]);
  buzzed = call;
}

async function give(command, question) {
  if (!await ask(label(question), [], label("yes"), label("no"))) return;
  try {
    answered(await api.post(`${base}/${command}`));
    refresh();
  } catch (error) {
    toast(explain(error), "bad");
    refresh();
  }
}

// The leg finished last that may still be rated.
function rateable(ticket) {
  const legs = (ticket.legs ?? []).filter((leg) => leg.finished_ms && leg.started_ms && leg.outcome !== "transferred");
  return legs.at(-1);
}

function drawRating(ticket) {
  const leg = rateable(ticket);
  show($("#rating"), Boolean(leg));
  if (!leg) return;
  paint($("#rating"), [leg.leg, leg.rating], () => (leg.rating
    ? [el("h2", {}, label("rated")), el("p", {}, both(...LEVELS[leg.rating.score]))]
    : [el("h2", {}, label("please_rate")), el("div", { class: "faces" }, faces((score) => rate(leg, score)))]));
}

async function rate(leg, score) {
  const body = { rid, leg: leg.leg, score };
  if (score <= 2) {
    const answer = await ask(label("what_was_wrong"), [
      ...(reasons[score] ?? offered(null, score)).map(([zh, en]) => el("label", { class: "pick" },
        el("input", { type: "checkbox", name: `reason:${zh}` }), both(zh, en))),
      el("label", {}, label("comment"), el("textarea", { name: "comment", rows: 3, maxlength: 500 })),
    ], label("send"), label("no"));
    if (!answer) return;
    const chosen = Object.keys(answer).filter((name) => name.startsWith("reason:")).map((name) => name.slice(7)).slice(0, 10);
    if (chosen.length) body.reasons = chosen;
    if (answer.comment) body.comment = answer.comment;
  }
  try {
    await api.post(`${base}/rating`, body);
    toast(label("thanks"), "good");
    rid = newKey();
    $("#rating").replaceChildren(el("h2", {}, label("thanks")));
    refresh();
  } catch (error) {
    toast(explain(error), "bad");
  }
}

const follow = new Follow({
  token: secret, hall: secret.split(".")[0], topic: "ticket", page: "phone",
  onState: ({ ticket, ahead = 0, wait_estimate_ms = [0, 0] }) => {
    take({ ticket, ahead, wait_estimate_ms });
    const at = ticket.window ?? ticket.to_window;
    if (!services.has(ticket.service) || (at && !windows.has(at))) refresh(); // brings the names
  },
  onLink: lost,
});
refresh();
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh();
});
document.title = say("my_ticket");
