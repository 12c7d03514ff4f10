// The supervisor's page 值班长: what waits, what the windows do, what needs a look, reviews; notices and pairing codes.

import { Api, loadHall, path } from "./api.js";
import { cases } from "./cases.js";
import { $, el, paint, show, toast } from "./dom.js";
import { begin, both, explain, label, naming, readingSwitches, say } from "./i18n.js";
import { denied, session, signedIn } from "./pair.js";
import { ReportPanel } from "./report.js";
import { Reviews } from "./reviews.js";
import { Follow } from "./socket.js";
import { alerts } from "./supervisor-alerts.js";
import { pads } from "./supervisor-pads.js";
import { hm, hms, ServerClock, stopwatch } from "./time.js";
import { Workdays } from "./workdays.js";

const SCREENS = { display: "board", pad: "pad", clerk: "clerk", guide: "guide", kiosk: "guide" };
const BY_ADMIN = { supervisor: "supervisor", assessor: "assessor" };
const AT_A_WINDOW = ["pad", "clerk"];
const STAFF_EVERY_MS = 20000;

begin("page_supervisor");
$("#switches").replaceWith(readingSwitches());
const me = await session();
const screens = me.role === "admin" ? { ...SCREENS, ...BY_ADMIN } : SCREENS; // who may hand out what, as the server has it
const api = new Api(me.token, { onDenied: denied });
$("header.top").append(signedIn(me));
const clock = new ServerClock();
let names = naming({}); // ids stand for names until the hall has come
const hall = await loadHall(api, me.hall, () => linked({ live: false, since: clock.now() }));
names = naming(hall);
let stats = null;
let reviewCount = -1;
let staff = []; // who may log in, for who is locked out
$("#hall").replaceChildren(both(hall.name, hall.name_en));

function draw() {
  const now = clock.now();
  $("#clock").textContent = hms(now, names.zone);
  if (!stats) return;
  drawAlerts(alerts(stats, hall, now, reviews.pending, staff));
  const cell = (value) => el("td", { class: "number" }, String(value));
  paint($("#services"), [stats.services, stats.now_ms], () => hall.services.map(({ id }) => {
    const one = stats.services[id] ?? {};
    return el("tr", { "data-service": id }, el("td", {}, both(...names.service(id))), cell(one.waiting ?? 0),
      cell(one.longest_wait_ms ? stopwatch(one.longest_wait_ms) : "–"), cell(one.open_windows ?? 0), cell(one.finished ?? 0),
      cell(one.missed ?? 0), cell((one.overtime_wait ?? 0) + (one.overtime_service ?? 0)),
      cell(`${one.shown ?? 0} / ${one.rated ?? 0} / ${one.negative ?? 0}`));
  }));
  paint($("#windows"), stats.windows, () => stats.windows.map((w) => el("tr", { "data-window": w.id },
    el("td", {}, both(...names.place(w.id))),
    el("td", {}, el("span", { class: `tag ${w.state}` }, label(`window_${w.state}`)), w.reason ? ` ${w.reason}` : ""),
    el("td", { class: "number", "data-since": w.since_ms }, ""), el("td", {}, w.ticket ?? ""),
    el("td", {}, w.service ? both(...names.service(w.service)) : ""), el("td", {}, w.staff ?? ""))));
  for (const since of document.querySelectorAll("[data-since]")) {
    since.textContent = Number(since.dataset.since) ? stopwatch(now - Number(since.dataset.since)) : "–";
  }
}

const english = (pair) => pair.filter(Boolean).at(-1);

function drawAlerts(list) {
  const text = (one) => label(one.key, {
    window: one.window ? names.window(one.window) : "", window_en: one.window ? english(names.place(one.window)) : "",
    service: one.service ? names.service(one.service)[0] : "",
    service_en: one.service ? english(names.service(one.service)) : "",
    ticket: one.ticket ?? "", review: one.review ?? "", n: one.n ?? "", time: Math.floor((one.ms ?? 0) / 60000),
    staff: one.staff ?? "", at: one.at ? hm(one.at, names.zone) : "",
  });
  const key = list.map((one) => ({ ...one, ms: Math.floor((one.ms ?? 0) / 60000) }));
  paint($("#alerts"), key, () => (list.length ? list.map((one) => el("li", { class: one.kind }, text(one)))
    : [el("li", { class: "good" }, label("no_alerts"))]));
}

const reviews = new Reviews($("#review-list"), {
  api, hall: me.hall, staff: me.staff, names, now: () => clock.now(), workdays: new Workdays(api, me.hall, names.zone),
}, { onPending: draw });
cases({ api, hall: me.hall, staff: me.staff, names, window: "", now: () => clock.now() });
pads({ api, hall: me.hall, names });
new ReportPanel($("#report"), { api, hall, now: () => clock.now() });

// ---- what is pressed

$("#notice").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  try {
    await api.post(path(me.hall, "notices"), { text: form.elements.text.value });
    form.reset();
    toast(label("posted"), "good");
  } catch (error) {
    toast(explain(error), "bad");
  }
});

$("#pairing-for").elements.role.append(...Object.keys(screens).map((role) => el("option", { value: role }, say(`role_${role}`))));
$("#pairing-for").elements.window.append(el("option", { value: "" }, say("no_window")),
  ...hall.windows.map((one) => el("option", { value: one.id }, names.place(one.id).filter(Boolean).join(" "))));
$("#pairing-for").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { role, window } = Object.fromEntries(new FormData(event.target));
  if (AT_A_WINDOW.includes(role) && !window) {
    toast(label("choose_window"), "bad");
    return;
  }
  try {
    const body = window ? { role, hall: me.hall, window } : { role, hall: me.hall };
    const { code } = await api.post("/api/v1/pairings", body);
    const page = role === "display" && window ? "window" : screens[role];
    const query = new URLSearchParams(window ? { hall: me.hall, window } : { hall: me.hall });
    const link = `${location.origin}/${page}?${query}#pair=${encodeURIComponent(code)}`;
    $("#code").replaceChildren(label("code_is"), ` ${code} `, el("br"),
      el("a", { href: link, target: "_blank", rel: "noopener" }, link));
  } catch (error) {
    toast(explain(error), "bad");
  }
});

// ---- what is heard

function linked({ live, since, final }) {
  show($("#lost"), !live);
  if (!live) $("#lost").replaceChildren(final ? label("refused") : label("lost_since", { at: hm(since, names.zone) }));
  if (final) loadStaff(); // is told why
}

async function loadStaff() {
  try {
    staff = (await api.get(path(me.hall, "staff"))).staff;
    draw();
  } catch {
    // the bar above says that the connection is lost; the next look asks again
  }
}

new Follow({
  token: me.token, hall: me.hall, topic: "stats", page: "supervisor", clock, onLink: linked,
  onState: (message) => {
    stats = message.stats;
    if (stats.open_reviews !== reviewCount) reviews.load();
    reviewCount = stats.open_reviews;
    draw();
  },
});
setInterval(draw, 1000);
setInterval(loadStaff, STAFF_EVERY_MS);
loadStaff();
reviews.load();
