// The list of a hall's reviews with its filters, for the supervisor and the assessor: what is overdue first, and one
// review opened from its row. What has not ended is asked for again and again; what has, only when somebody looks.

import { path } from "./api.js";
import { el, toast } from "./dom.js";
import { both, explain, label, say } from "./i18n.js";
import { due, moment } from "./history.js";
import { openReview } from "./review.js";
import { byUrgency, ended, overdue } from "./review-steps.js";
import { paintRows } from "./rows.js";

const AGAIN_MS = 15000;
const PAGE = 100; // masking words takes the server time: many short answers rather than one long
const MOST_PENDING = 2000;
const SHOWN = 200;
const STATES = ["open", "assigned", "verified", "rectified", "revisited", "appealed", "closed", "excluded"];
const SOURCES = ["rating", "overtime", "wait", "case"];
const EVERY = "*"; // ended ones too

export class Reviews {
  #tools;
  #root;
  #onPending;
  #filter;
  #body = el("tbody", { id: "reviews" });
  #more = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.#loadMore() }, label("more"));
  #pending = [];
  #past = null; // what was looked up of those that ended, null before; and where to go on
  #next = null;
  #asked = 0;

  // `tools`: as for openReview, but `changed`. `state`: what is shown first, "" = all that has not ended.
  constructor(root, tools, { state = "", onPending = () => {} } = {}) {
    this.#root = root;
    this.#tools = { ...tools, changed: () => this.#choose({}) };
    this.#onPending = onPending;
    this.#filter = { state, source: "", late: false };
    this.#build();
    setInterval(() => this.load(), AGAIN_MS);
  }

  // Those that have not ended, as last heard.
  get pending() {
    return this.#pending;
  }

  async load() {
    const asked = ++this.#asked;
    try {
      const found = await this.#all();
      if (asked !== this.#asked) return; // a later question has its own answer
      this.#pending = found.sort(byUrgency);
      this.draw();
      this.#onPending(this.#pending);
      await this.#tools.workdays.load(this.#tools.now(), found.map((one) => one.due_ms));
      this.draw();
    } catch (error) {
      if (error.status) toast(explain(error), "bad");
    }
    if (this.#looksBack() && !this.#past) this.#loadMore();
  }

  async #all() {
    const found = [];
    for (let after = ""; after !== null && found.length < MOST_PENDING;) {
      const page = await this.#ask({ pending: true, latest: true, limit: PAGE, after });
      found.push(...page.reviews);
      after = page.next;
    }
    return found;
  }

  #ask(query) {
    const { api, hall } = this.#tools;
    return api.get(`${path(hall, "reviews")}?${new URLSearchParams(query)}`);
  }

  #looksBack() {
    return this.#filter.state === EVERY || ended(this.#filter);
  }

  async #loadMore() {
    const [{ state, source }, before] = [this.#filter, this.#past];
    const query = { latest: true, limit: PAGE, after: this.#next ?? "", state: state === EVERY ? "" : state, source };
    try {
      const page = await this.#ask(query);
      if (before !== this.#past || state !== this.#filter.state || source !== this.#filter.source) return;
      this.#past = [...before ?? [], ...page.reviews];
      this.#next = page.next;
      this.draw();
    } catch (error) {
      toast(explain(error), "bad");
    }
  }

  #build() {
    const select = (name, text, options) => el("label", {}, label(text), " ", el("select", {
      name, onchange: (event) => this.#choose({ [name]: event.target.value }),
    }, options.map(([value, words]) => el("option", { value, selected: value === this.#filter[name] }, words))));
    this.#root.replaceChildren(
      el("div", { class: "row filters" },
        select("state", "filter_state", [["", say("filter_pending")], ...STATES.map((one) => [one, say(`review_${one}`)]),
          [EVERY, say("filter_every")]]),
        select("source", "filter_source", [["", say("filter_any")], ...SOURCES.map((one) => [one, say(`source_${one}`)])]),
        el("label", { class: "pick" }, el("input", {
          type: "checkbox", name: "late", onchange: (event) => this.#choose({ late: event.target.checked }),
        }), label("only_late")),
        el("button", { type: "button", class: "quiet", onclick: () => this.#choose({}) }, label("refresh"))),
      el("div", { class: "scroll" }, el("table", { class: "reviews" }, el("thead", {}, el("tr", {},
        ["ticket_and_opened", "state", "source", "where", "due"].map((text) => el("th", {}, label(text))), el("th", {}))),
      this.#body)), this.#more);
  }

  #choose(change) {
    Object.assign(this.#filter, change);
    this.#past = null;
    this.#next = null;
    this.draw();
    this.load();
  }

  draw() {
    const { state, source, late } = this.#filter;
    const now = this.#tools.now();
    const wanted = (this.#looksBack() ? this.#past ?? [] : this.#pending).filter((one) =>
      (!state || state === EVERY || one.state === state) && (!source || one.source === source) && (!late || overdue(one, now)));
    this.#more.hidden = !(this.#looksBack() && this.#next !== null);
    const left = wanted.slice(0, SHOWN).map((one) => [one, one.due_ms !== null && this.#tools.workdays.until(now, one.due_ms)]);
    paintRows(this.#body, [left, wanted.length], () => (wanted.length
      ? [...wanted.slice(0, SHOWN).map((one) => this.#row(one, now)),
        wanted.length > SHOWN ? el("tr", {}, el("td", { colspan: 6 }, label("and_more", { n: wanted.length - SHOWN }))) : ""]
      : [el("tr", {}, el("td", { colspan: 6 }, label("none")))]));
  }

  #row(one, now) {
    const { names, workdays } = this.#tools;
    const no = one.ticket.split("-").at(-1);
    return el("tr", { "data-review": one.id },
      el("td", {}, el("div", {}, `${one.id} ${no}`), el("div", { class: "quietly number" }, moment(one.opened_ms, names.zone))),
      el("td", {}, label(`review_${one.state}`)),
      el("td", {}, label(`source_${one.source}`)),
      el("td", {}, one.window ? el("div", {}, both(...names.place(one.window))) : "", both(...names.service(one.service))),
      el("td", {}, due(one.due_ms, now, names.zone, workdays),
        one.late && !overdue(one, now) ? el("span", { class: "tag warn" }, label("was_late")) : ""),
      el("td", {}, el("button", {
        type: "button", class: "quiet", title: `${one.id} ${no}`, onclick: () => openReview(one.id, this.#tools),
      }, label(ended(one) ? "look" : "handle"))));
  }
}
