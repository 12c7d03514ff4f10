// The slip 号票: number, people ahead, expected wait, the QR code of the ticket's own page; on screen and on paper.

import { path } from "./api.js";
import { $, el, toast } from "./dom.js";
import { both, explain, label } from "./i18n.js";
import { hm, isoDay, waitRange } from "./time.js";

// The secret is the last part of the ticket's url, whatever host stands before it.
export const secretOf = (url) => url.slice(url.lastIndexOf("/t/") + 3);

// `issued`: {ticket, ahead, wait_estimate_ms, url}.
export function openSlip({ issued, names, api, hall, fresh, kiosk = false }) {
  const { ticket, url } = issued;
  const box = $("#slip");
  const facts = [
    [label("service"), both(...names.service(ticket.service))],
    ...(ticket.services ?? []).map((id) => [label("then"), both(...names.service(id))]),
    [label("people_ahead"), String(issued.ahead)],
    [label("expected_wait"), both(...waitRange(issued.wait_estimate_ms))],
    [label("issued_at"), `${isoDay(ticket.issued_ms, names.zone)} ${hm(ticket.issued_ms, names.zone)}`],
  ];
  if (ticket.priority !== "normal") facts.splice(1, 0, [label("priority"), both(...names.priority(ticket.priority))]);
  const cancel = async () => {
    try {
      await api.post(path(hall, "tickets", ticket.id, "cancel"));
      toast(label("cancelled_no", { no: ticket.no }), "good");
      box.close();
    } catch (error) {
      toast(explain(error), "bad");
    }
  };
  box.replaceChildren(
    el("p", {}, label(fresh ? "slip_issued" : "slip_again")),
    el("p", { class: "no", id: "slip-no" }, ticket.no),
    el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("img", { src: `/t/${encodeURIComponent(secretOf(url))}/qr.svg`, alt: "QR", width: 220, height: 220 }),
    el("p", { class: "quietly" }, label("scan")),
    // Nobody at a kiosk could close the page it opens.
    el("p", {}, kiosk ? null : el("a", { class: "button", id: "slip-link", href: url, target: "_blank", rel: "noopener" }, url)),
    el("p", { class: "row" },
      el("button", { type: "button", onclick: () => print() }, label("print")),
      fresh ? el("button", { type: "button", class: "danger", onclick: cancel }, label("cancel_ticket")) : null,
      el("button", { type: "button", class: "main", id: "slip-done", onclick: () => box.close() }, label("done"))));
  if (!box.open) box.showModal();
  if (new URLSearchParams(location.search).has("print")) print();
}
