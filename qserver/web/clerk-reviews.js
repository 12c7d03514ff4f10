// The clerk's own reviews: of the own work, or of the window a device's token belongs to, as the server lets a clerk read
// them, and the way to appeal. What has not ended is looked up often, the rest when asked for.

import { path } from "./api.js";
import { $, el } from "./dom.js";
import { label } from "./i18n.js";
import { openReview } from "./review.js";
import { paintRows } from "./rows.js";
import { monthDay } from "./time.js";
import { Workdays } from "./workdays.js";

const AGAIN_MS = 30000;
const LAST = 50;

export function ownReviews({ api, hall, staff, names, now }) {
  const tools = { api, hall, staff, names, now, workdays: new Workdays(api, hall, names.zone), changed: () => load() };
  const all = $("#reviews-all");

  async function load() {
    const query = new URLSearchParams({ latest: true, limit: LAST, pending: !all.checked });
    try {
      const { reviews } = await api.get(`${path(hall, "reviews")}?${query}`);
      draw(reviews);
      tools.workdays.load(now(), reviews.map((one) => one.due_ms));
    } catch {
      // the page's bar says that the connection is lost; it is asked again
    }
  }

  function draw(reviews) {
    const may = (one) => one.appeal_until_ms !== null && now() <= one.appeal_until_ms;
    paintRows($("#reviews"), reviews.map((one) => [one.id, one.state, one.history.length, may(one)]), () => (reviews.length
      ? reviews.map((one) => entry(one, may(one))) : [el("li", { class: "quietly" }, label("none"))]));
  }

  function entry(one, may) {
    return el("li", { "data-review": one.id },
      el("span", {}, el("strong", {}, one.ticket.split("-").at(-1)), " ", label(`source_${one.source}`), " ",
        el("span", { class: `tag ${one.state === "appealed" ? "warn" : ""}` }, label(`review_${one.state}`)), " ",
        el("span", { class: "quietly" }, may
          ? label("appeal_until", { day: monthDay(one.appeal_until_ms, names.zone) }) : label("appeal_over"))),
      el("button", { type: "button", class: "quiet", onclick: () => openReview(one.id, tools) },
        label(may ? "do_step_appeal" : "look")));
  }

  all.addEventListener("change", load);
  setInterval(() => all.checked || load(), AGAIN_MS); // the past is looked up when somebody asks
  load();
  return { load };
}
