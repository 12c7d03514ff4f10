// The clerk's lists: held, waiting and missed tickets of this window's services, in order of issue.

import { path } from "./api.js";
import { $, el, paint } from "./dom.js";
import { both, label } from "./i18n.js";
import { stopwatch } from "./time.js";

// Listing looks through the day's tickets, so what others do refreshes it at most this often; own presses do at once.
const AT_MOST_EVERY_MS = 15000;
const SHOWN = 30;

export function lists({ api, hall, names, window: current, services, press, now }) {
  let last = -AT_MOST_EVERY_MS;
  let timer = 0;
  const held = {};

  async function load() {
    last = performance.now();
    timer = 0;
    const ask = (state) => api.get(`${path(hall, "tickets")}?state=${state}&limit=200`);
    try {
      const [waiting, parked, missed] = await Promise.all(["waiting", "held", "missed"].map(ask));
      Object.assign(held, { waiting: waiting.tickets, held: parked.tickets, missed: missed.tickets });
      draw();
    } catch {
      // the page's bar says that the connection is lost; the next change asks again
    }
  }

  // Something changed. `mine`: by this clerk's own press.
  function changed(mine = false) {
    if (mine) {
      clearTimeout(timer);
      load();
    } else if (!timer) {
      timer = setTimeout(load, Math.max(300, last + AT_MOST_EVERY_MS - performance.now()));
    }
  }

  // What the board tells stands in the list at once, as far as it tells; the rest comes when the list is asked for.
  function heard(event) {
    if (!held.waiting || !services().includes(event.service)) return;
    if (event.k === "issue") {
      const { ticket, service, at_ms } = event;
      held.waiting = [...held.waiting, { id: ticket, no: ticket, service, priority: "normal", issued_ms: at_ms }];
    } else if (event.k === "call") {
      held.waiting = held.waiting.filter((ticket) => ticket.no !== event.ticket);
    }
    draw();
    changed();
  }

  const command = (name) => `${path(hall, "windows", current().id)}/${name}`;

  function entry(ticket, actions) {
    return el("li", {},
      el("span", {}, el("strong", {}, ticket.no), " ", both(...names.service(ticket.service)), " ",
        ticket.to_window && ticket.to_window !== current().id
          ? el("span", { class: "tag" }, "→ ", both(...names.place(ticket.to_window))) : "", " ",
        ticket.priority !== "normal" ? el("span", { class: "tag warn" }, both(...names.priority(ticket.priority))) : "", " ",
        el("span", { class: "quietly number" }, stopwatch(now() - ticket.issued_ms))),
      el("span", { class: "row" }, actions));
  }

  const button = (text, enabled, run) =>
    el("button", { type: "button", class: "quiet", disabled: !enabled, onclick: run }, label(text));

  function draw() {
    const w = current();
    if (!w || !held.waiting) return;
    const served = services();
    const mine = (tickets) => tickets.filter((ticket) =>
      served.includes(ticket.service) || [ticket.window, ticket.to_window].includes(w.id));
    const free = w.state === "idle";
    const canCall = free || w.state === "serving";
    const call = (ticket) => () => press(command("call"), { ticket: ticket.id, finish: w.state === "serving" }, "named");
    const list = (name, node, actions) => {
      const tickets = mine(held[name]);
      paint(node, [w.state, tickets], () => (tickets.length
        ? [...tickets.slice(0, SHOWN).map((ticket) => entry(ticket, actions(ticket))),
          tickets.length > SHOWN ? el("li", {}, label("and_more", { n: tickets.length - SHOWN })) : ""]
        : [el("li", { class: "quietly" }, label("none"))]));
    };
    list("held", $("#held"), (ticket) =>
      button("do_unhold", free, () => press(command("unhold"), { ticket: ticket.id }, "unhold")));
    list("waiting", $("#waiting"), (ticket) => button("do_call_this", canCall, call(ticket)));
    list("missed", $("#missed"), (ticket) => [
      button("do_call_this", canCall, call(ticket)),
      button("return", true, () => press(`${path(hall, "tickets", ticket.id)}/return`, {}, "return")),
    ]);
  }

  return { changed, draw, heard };
}
