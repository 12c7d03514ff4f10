// The assessor's page 绩效考核方: the reviews of a hall with all that was said, appeals first, each to be upheld or
// excluded with a reason. A token that spans halls chooses one; everything else is as for a supervisor.

import { Api, loadHall, path } from "./api.js";
import { $, el, show } from "./dom.js";
import { begin, both, label, naming, readingSwitches } from "./i18n.js";
import { denied, session, signedIn } from "./pair.js";
import { ReportPanel } from "./report.js";
import { Reviews } from "./reviews.js";
import { Follow } from "./socket.js";
import { hm, hms, ServerClock } from "./time.js";
import { Workdays } from "./workdays.js";

const CHOSEN = "qserver:assessor:hall";

begin("page_assessor");
$("#switches").replaceWith(readingSwitches());
const me = await session();
const api = new Api(me.token, { onDenied: denied });
$("header.top").append(signedIn(me));
const clock = new ServerClock();
let names = naming({}); // ids stand for names until the hall has come
const id = me.hall || await choose();
const hall = await loadHall(api, id, () => linked({ live: false, since: clock.now() }));
names = naming(hall);
$("#hall").replaceChildren(both(hall.name, hall.name_en));

// The hall looked at last, or the first there is; another one begins the page anew.
async function choose() {
  const halls = await untilThere();
  const before = sessionStorage.getItem(CHOSEN);
  const chosen = halls.find((one) => one.id === before) ?? halls[0];
  show($("#halls"), halls.length > 1);
  $("#halls").replaceChildren(label("choose_hall"), " ", el("select", {
    name: "hall", onchange: (event) => {
      sessionStorage.setItem(CHOSEN, event.target.value);
      location.reload();
    },
  }, halls.map((one) => el("option", { value: one.id, selected: one === chosen }, one.name || one.id))));
  return chosen.id;
}

async function untilThere() {
  for (;;) {
    try {
      const { halls } = await api.get("/api/v1/halls");
      if (halls.length) return halls;
      $("#review-list").replaceChildren(label("no_hall"));
    } catch {
      linked({ live: false, since: clock.now() });
    }
    await api.wait(2000);
  }
}

function linked({ live, since, final }) {
  show($("#lost"), !live);
  if (!live) $("#lost").replaceChildren(final ? label("refused") : label("lost_since", { at: hm(since, names.zone) }));
  if (final) api.get(path(id)).catch(() => {}); // is told why
}

const reviews = new Reviews($("#review-list"), {
  api, hall: id, staff: me.staff, names, now: () => clock.now(), workdays: new Workdays(api, id, names.zone),
}, { state: "appealed" });
new ReportPanel($("#report"), { api, hall, now: () => clock.now() });
let count = -1;
new Follow({
  token: me.token, hall: id, topic: "stats", page: "assessor", clock, onLink: linked,
  onState: ({ stats }) => {
    if (stats.open_reviews !== count) reviews.load();
    count = stats.open_reviews;
  },
});
setInterval(() => { $("#clock").textContent = hms(clock.now(), names.zone); }, 1000);
reviews.load();
