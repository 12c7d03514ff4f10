// The report's panel: a day or a month, by window, staff or service, as a table here and as files to take along. What
// the figures are called, how they read and what they mean comes with the report.

import { path } from "./api.js";
import { el, toast } from "./dom.js";
import { both, explain, label, say } from "./i18n.js";
import { hm, isoDay, stopwatch } from "./time.js";

const BY = ["window", "staff", "service"];
const FILES = { csv: "CSV", xlsx: "Excel" };
const SHOWN = [
  "issued", "called", "served", "missed", "left", "wait.p50_ms", "wait.p90_ms", "service.p50_ms", "service.p90_ms",
  "overtime.wait", "overtime.service", "ratings.rated_share", "ratings.active_good_rate", "ratings.unrated", "negatives.rating",
];

const figure = (row, name) => name.split(".").reduce((value, part) => value[part], row);

// A figure as people read it: 4:05, 93.5%, 12; nothing is a dash.
export function shown(value, kind) {
  if (value === null || value === undefined) return "–";
  if (kind === "duration") return stopwatch(value);
  return kind === "rate" ? `${(value * 100).toFixed(1)}%` : String(value);
}

// Of staff also the number, since names repeat.
export const called = (row, by) => (by === "staff" && row.name !== row.id ? `${row.id} ${row.name}` : row.name || row.id);

// The business day of an instant in the hall, YYYY-MM-DD: it begins at `starts` (HH:MM).
export function today(now, zone, starts = "04:00") {
  const [hours, minutes] = starts.split(":").map(Number);
  return isoDay(now - (hours * 60 + minutes) * 60000, zone);
}

export class ReportPanel {
  #at;
  #form;
  #out = el("div", { class: "report-out", "aria-live": "polite" });

  // `at`: {api, hall (its definition), now}
  constructor(root, at) {
    this.#at = at;
    const day = today(at.now(), at.hall.time_zone, at.hall.day_starts);
    const option = (value, key) => el("option", { value }, say(key));
    this.#form = el("form", { class: "row report-form", onsubmit: (event) => this.#show(event) },
      el("select", { name: "of", "aria-label": say("report_of"), onchange: () => this.#choose() },
        option("day", "report_day"), option("month", "report_month")),
      el("input", { name: "day", type: "date", required: true, value: day, "aria-label": say("report_day") }),
      el("input", {
        name: "month", type: "month", required: true, value: day.slice(0, 7), pattern: "[0-9]{4}-[0-9]{2}",
        placeholder: "YYYY-MM", "aria-label": say("report_month"),
      }),
      el("select", { name: "by", "aria-label": say("report_by") }, BY.map((by) => option(by, `by_${by}`))),
      el("button", { class: "main", name: "show" }, label("report_show")),
      Object.entries(FILES).map(([format, name]) =>
        el("button", { type: "button", name: format, onclick: () => this.#take(format) }, name)));
    root.replaceChildren(this.#form, this.#out);
    this.#choose();
  }

  #choose() {
    const { of, day, month } = this.#form.elements;
    for (const input of [day, month]) input.hidden = input.disabled = input.name !== of.value;
  }

  #asks(format) {
    const { of, by, [of.value]: when } = this.#form.elements;
    const file = `${this.#at.hall.id}-${when.value}-${by.value}.${format}`;
    return { file, url: `${path(this.#at.hall.id, "reports", of.value, when.value)}?by=${by.value}&format=${format}` };
  }

  // Runs `work` with the buttons locked; what fails is said.
  async #busily(work) {
    const buttons = [...this.#form.querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    try {
      await work();
    } catch (error) {
      toast(explain(error), "bad");
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  #show(event) {
    event.preventDefault();
    return this.#busily(async () => {
      this.#out.replaceChildren(el("p", {}, label("report_busy")));
      try {
        const report = await (await this.#at.api.patient(this.#asks("json").url)).json();
        this.#out.replaceChildren(...this.#draw(report));
      } catch (error) {
        this.#out.replaceChildren();
        throw error;
      }
    });
  }

  #take(format) {
    if (!this.#form.reportValidity()) return;
    this.#busily(async () => {
      const { file, url } = this.#asks(format);
      const href = URL.createObjectURL(await (await this.#at.api.patient(url)).blob());
      el("a", { href, download: file }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60000);
    });
  }

  #draw(report) {
    const zone = this.#at.hall.time_zone;
    const at = `${isoDay(report.as_of_ms, zone)} ${hm(report.as_of_ms, zone)}`;
    const known = new Map(report.definitions.map((one) => [one.figure, one]));
    const columns = SHOWN.map((name) => known.get(name)).filter((one) => one !== undefined);
    const line = (row, name, kind = "") => el("tr", { class: kind }, el("th", { scope: "row" }, name),
      columns.map((one) => el("td", { class: "number" }, shown(figure(row, one.figure), one.kind))));
    const rows = report.rows.map((row) => line(row, called(row, report.by) || label("report_nobody")));
    const totals = [line(report.totals, label("report_total"), "total")];
    for (const name of ["before", "year_before"]) {
      if (report[name]) totals.push(line(report[name].totals, label(`report_${name}`, { month: report[name].month }), "total"));
    }
    const meanings = report.definitions.flatMap((one) =>
      [el("dt", {}, both(one.name, one.name_en)), el("dd", {}, both(one.zh, one.en))]);
    return [
      el("p", {}, label("report_as_of", { name: report.name, of: report.day ?? report.month, at })),
      report.totals.issued ? null : el("p", {}, label("report_empty")),
      el("div", { class: "scroll" }, el("table", {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, label(`by_${report.by}`)),
          columns.map((one) => el("th", { scope: "col", class: "number" }, both(one.name, one.name_en))))),
        el("tbody", {}, rows), el("tfoot", {}, totals))),
      el("details", {}, el("summary", {}, label("report_definitions")), el("dl", {}, meanings)),
    ].filter((node) => node !== null);
  }
}
