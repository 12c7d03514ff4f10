// Promised cases 承诺件: one looked up by its number and completed, those that have not ended (the reader's own, for a clerk)
// with what is due first on top, and at the clerk's window those accepted here today.

import { path } from "./api.js";
import { $, el, paint, show, toast } from "./dom.js";
import { both, explain, label } from "./i18n.js";
import { due, history, moment } from "./history.js";
import { answered, Kept } from "./kept.js";
import { MOST } from "./review-steps.js";
import { Workdays } from "./workdays.js";

const PAGE = 500;
const MOST_OPEN = 2000;
const SHOWN = 100;
const AGAIN_MS = 30000;

// What is due next comes first, what has no limit last.
const FAR = Number.MAX_SAFE_INTEGER;
export const soonest = (a, b) => (a.due_ms ?? FAR) - (b.due_ms ?? FAR) || a.accepted_ms - b.accepted_ms;

// `window`: whose page it is; "" of a page that stands at none.
export function cases({ api, hall, staff, names, window: own, now }) {
  const workdays = new Workdays(api, hall, names.zone);
  const trouble = $("#case-trouble");
  const say = (content) => {
    trouble.replaceChildren(content ?? "");
    show(trouble, content !== null);
  };

  async function find(number) {
    say(null);
    try {
      const { case: found, actors } = await api.get(path(hall, "cases", number));
      await workdays.load(now(), [found.due_ms]);
      draw(found, actors);
    } catch (error) {
      $("#case").replaceChildren();
      say(explain(error));
    }
  }

  function draw(one, actors) {
    const fact = (text, ...value) => [el("dt", {}, label(text)), el("dd", {}, ...value)];
    $("#case").replaceChildren(
      el("p", {}, el("strong", {}, one.id), " ", el("span", { class: "tag", id: "case-state" }, label(`case_${one.state}`)), " ",
        one.overtime ? el("span", { class: "tag bad" }, label("case_overtime")) : ""),
      el("dl", { class: "facts" },
        fact("ticket_no", one.ticket.split("-").at(-1)),
        fact("window", both(...names.place(one.window))),
        fact("service", both(...names.service(one.service))),
        fact("accepted_at", moment(one.accepted_ms, names.zone)),
        fact("case_due", one.due_ms === null ? label("case_no_limit")
          : one.completed_ms === null ? due(one.due_ms, now(), names.zone, workdays) : moment(one.due_ms, names.zone)),
        one.completed_ms === null ? [] : fact("completed_at", moment(one.completed_ms, names.zone))),
      history(one.history, names.zone, actors, ["case"]),
      one.state === "accepted" ? form(one) : "");
  }

  function form(one) {
    const kept = new Kept(`case:${hall}:${one.id}`, staff);
    const note = el("textarea", { name: "note", rows: 2, maxlength: MOST.words, oninput: () => kept.keep({ note: note.value }) });
    note.value = kept.values.note ?? "";
    const button = el("button", { type: "submit", class: "main", id: "case-complete" },
      label(kept.press ? "try_again" : "case_complete"));
    const made = el("form", { class: "step" }, el("label", {}, label("field_note_optional"), note), button);
    made.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      const body = note.value.trim() ? { note: note.value.trim() } : {};
      try {
        draw((await kept.send(api, `${path(hall, "cases", one.id)}/complete`, body)).case);
        toast(label("case_completed"), "good");
        refresh();
        await find(one.id); // brings who it was
      } catch (error) {
        await failed(one.id, error, button);
      }
      button.disabled = false;
    });
    return made;
  }

  // `button`: the pressed one, which another case's form may have replaced meanwhile.
  async function failed(number, error, button) {
    if (answered(error)) await find(number); // somebody else completed it, perhaps
    else button.replaceChildren(label("try_again"));
    say(answered(error) ? explain(error) : label("step_unsure"));
  }

  // Those of today's tickets of which a leg was finished here as an accepted case, wherever the visit went on.
  const here = (leg) => leg.window === own && leg.outcome === "accepted";
  async function today() {
    let found;
    try {
      found = (await all("tickets", "tickets")).filter((one) => one.case && one.legs.some(here));
    } catch (error) {
      toast(explain(error), "bad");
      return;
    }
    paint($("#cases"), found.map((one) => one.case), () => (found.length
      ? found.reverse().map((one) => el("li", {}, el("span", {}, el("strong", {}, one.no), " ", one.case),
        el("button", { type: "button", class: "quiet", onclick: () => look(one.case) }, label("look"))))
      : [el("li", { class: "quietly" }, label("none"))]));
  }

  // Every page of a list, until there are so many.
  async function all(what, name, most = Infinity) {
    const found = [];
    for (let after = ""; after !== null && found.length < most;) {
      const page = await api.get(`${path(hall, what)}?limit=${PAGE}&after=${encodeURIComponent(after)}`);
      found.push(...page[name]);
      after = page.next;
    }
    return found;
  }

  async function listOpen() {
    try {
      const found = (await all("cases", "cases", MOST_OPEN)).sort(soonest);
      await workdays.load(now(), found.slice(0, SHOWN).map((one) => one.due_ms));
      drawOpen(found);
    } catch {
      // the page's bar says that the connection is lost; it is asked again
    }
  }

  function drawOpen(found) {
    const rows = found.slice(0, SHOWN).map((one) => [one, one.due_ms !== null && workdays.until(now(), one.due_ms)]);
    paint($("#cases-open"), [rows, found.length], () => (found.length
      ? [...rows.map(([one]) => el("li", { "data-case": one.id },
        el("span", {}, el("strong", {}, one.id), " ", both(...names.service(one.service)), " ",
          own ? "" : el("span", { class: "quietly" }, both(...names.place(one.window))), " ",
          one.due_ms === null ? el("span", { class: "quietly" }, label("case_no_limit"))
            : due(one.due_ms, now(), names.zone, workdays)),
        el("button", { type: "button", class: "quiet", onclick: () => look(one.id) }, label("look")))),
      found.length > SHOWN ? el("li", {}, label("and_more", { n: found.length - SHOWN })) : ""]
      : [el("li", { class: "quietly" }, label("none"))]));
  }

  const refresh = () => $("#cases-open").closest("details").open && listOpen();

  function look(number) {
    $("#case-number").value = number;
    find(number);
  }

  $("#case-find").addEventListener("submit", (event) => {
    event.preventDefault();
    const number = $("#case-number").value.trim();
    if (number) find(number);
  });
  $("#cases-open").closest("details").addEventListener("toggle", refresh);
  setInterval(refresh, AGAIN_MS);
  refresh();
  if (!own) return { changed: refresh };
  $("#cases-today").addEventListener("toggle", (event) => event.target.open && today());
  return {
    changed: () => {
      refresh();
      if ($("#cases-today").open) today();
    },
  };
}
