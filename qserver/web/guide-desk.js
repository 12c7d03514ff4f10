// The guide's desk beside the tiles: find a ticket by its number, reprint, cancel, return, change its class; stop and
// restart issuing for a service. A kiosk has none of this.

import { path } from "./api.js";
import { $, ask, el, paint, show, toast } from "./dom.js";
import { both, explain, label, say } from "./i18n.js";
import { hm } from "./time.js";
import { openSlip, secretOf } from "./slip.js";

const CANCELLABLE = ["waiting", "called", "missed", "held"];

export function desk({ api, hall, services, names, queues, classes, refresh }) {
  show($("#desk"), true);

  async function find(number) {
    const answer = await api.get(path(hall, "tickets", number));
    draw(answer.ticket);
  }

  const attempt = (work) => async () => {
    try {
      await work();
    } catch (error) {
      toast(explain(error), "bad");
    }
  };

  function draw(ticket) {
    const at = path(hall, "tickets", ticket.id);
    const give = (command, body) => attempt(async () => {
      const answer = await api.post(`${at}/${command}`, body);
      toast(label("done_no", { no: ticket.no }), "good");
      draw(answer.ticket);
      refresh();
    });
    const reprint = attempt(async () => {
      const { url } = await api.post(`${at}/reprint`);
      const now = await api.get(`/api/v1/t/${encodeURIComponent(secretOf(url))}`);
      openSlip({ issued: { ...now, url }, names, api, hall, fresh: false });
    });
    const reclass = async () => {
      const choice = await ask(label("reclass"), [
        el("label", {}, label("priority"), " ", el("select", { name: "priority" }, classes.map((one) =>
          el("option", { value: one.id, selected: one.id === ticket.priority }, names.priority(one.id).filter(Boolean).join(" "))))),
        el("label", {}, label("reason"), " ", el("input", { name: "reason", required: true, maxlength: 200 })),
      ], label("yes"), label("no"));
      if (choice) give("reprioritise", choice)();
    };
    const button = (when, text, press, kind = "") =>
      (when ? el("button", { type: "button", class: kind, onclick: press }, label(text)) : null);
    $("#found").replaceChildren(el("div", { class: "card" },
      el("p", {}, el("strong", { class: "number" }, ticket.no), " ", both(...names.service(ticket.service)), " ",
        el("span", { class: "tag" }, label(`ticket_${ticket.state}`)), " ", hm(ticket.issued_ms, names.zone),
        ticket.window ? [" → ", both(...names.place(ticket.window))] : ""),
      el("p", { class: "row" },
        button(true, "reprint", reprint),
        button(ticket.state === "missed", "return", give("return")),
        button(ticket.state === "waiting", "reclass", reclass),
        button(CANCELLABLE.includes(ticket.state), "cancel_ticket", give("cancel"), "danger"))));
  }

  $("#find").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => find($("#number").value.trim().toUpperCase()))();
  });

  function drawServices() {
    paint($("#services"), services.map((one) => queues().get(one.id)?.reason ?? ""), () => services.map((one) => {
      const suspended = queues().get(one.id)?.reason === "suspended";
      const give = (command, body) => attempt(async () => {
        await api.post(path(hall, "services", one.id, command), body);
        await refresh();
        drawServices();
      })();
      const stop = async () => {
        const answer = await ask(label("suspend"), el("label", {}, label("reason"), " ",
          el("input", { name: "reason", required: true, maxlength: 200 })), label("yes"), label("no"));
        if (answer) give("suspend", answer);
      };
      return el("li", {}, el("button", {
        type: "button", class: suspended ? "danger" : "quiet", title: say(suspended ? "resume_issue" : "suspend"),
        onclick: suspended ? () => give("resume", {}) : stop,
      }, both(...names.service(one.id)), label(suspended ? "resume_issue" : "suspend")));
    }));
  }

  $("#manage").addEventListener("toggle", drawServices);
}
