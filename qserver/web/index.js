// The list of screens, and the ones this browser is already paired for.

import { $, el, show } from "./dom.js";
import { begin, label, readingSwitches } from "./i18n.js";
import { known } from "./pair.js";

begin("index_title");
$("#switches").replaceWith(readingSwitches());

for (const page of ["guide", "clerk", "supervisor", "assessor", "board", "window", "pad"]) {
  $("#screens").append(el("li", {}, el("a", { class: "button", href: `/${page}` }, label(`page_${page}`))));
}

const mine = known();
show($("#mine"), mine.length > 0);
for (const { page, hall, window } of mine) {
  const query = new URLSearchParams(window ? { hall, window } : { hall });
  $("#paired").append(el("li", {}, el("a", { class: "button", href: `/${page}?${query}` }, label(`page_${page}`),
    el("span", {}, [hall, window].filter(Boolean).join(" · ")))));
}
