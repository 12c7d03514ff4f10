// The evaluator pads 评价器 of the hall's windows: which device rates, how far it has counted, and why one is to be looked
// at. What a doubt is stands in docs/evaluation.md; it refuses nothing.

import { path } from "./api.js";
import { $, el, paint } from "./dom.js";
import { both, label } from "./i18n.js";
import { moment } from "./history.js";

const AGAIN_MS = 30000;
const SHORT = 6; // characters of a digest tell a few devices apart

export function pads({ api, hall, names }) {
  async function load() {
    try {
      draw((await api.get(path(hall, "pads"))).pads);
    } catch {
      // the page's bar says that the connection is lost; it is asked again
    }
  }

  function draw(found) {
    paint($("#pads"), found, () => found.map((pad) => el("tr", { "data-pad": pad.window },
      el("td", {}, both(...names.place(pad.window))),
      el("td", {}, pad.device ? el("span", { title: pad.device }, pad.device.slice(0, SHORT)) : label("pad_unsigned")),
      el("td", { class: "number" }, String(pad.known.find((one) => one.device === pad.device)?.number ?? "–")),
      el("td", { class: "number" }, String(pad.known.length)),
      el("td", {}, pad.doubt ? [el("span", { class: "tag warn" }, String(pad.doubts)), " ", label(`doubt_${pad.doubt.why}`), " ",
        el("span", { class: "quietly number" }, moment(pad.doubt.at_ms, names.zone))] : "–"))));
  }

  setInterval(load, AGAIN_MS);
  load();
}
