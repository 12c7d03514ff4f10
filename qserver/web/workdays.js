// Working days between two instants, by the hall's calendar as the server tells it month by month.

import { path } from "./api.js";

const formats = new Map();

// YYYY-MM-DD at an instant, by the hall's clock.
export function isoDay(ms, zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat("en-CA", { timeZone: zone || undefined, year: "numeric", month: "2-digit", day: "2-digit" }));
  }
  return formats.get(zone).format(ms);
}

// YYYY-MM of a day and of every month up to another's.
export function months(from, to) {
  const found = [];
  let [year, month] = from.split("-").map(Number);
  for (let name = from.slice(0, 7); name <= to.slice(0, 7); name = `${year}-${String(month).padStart(2, "0")}`) {
    found.push(name);
    [year, month] = month === 12 ? [year + 1, 1] : [year, month + 1];
  }
  return found;
}

// How many working days lie after one day, up to and with another; `days` rise.
export const between = (days, from, to) => days.filter((day) => day > from && day <= to).length;

const FAR_MONTHS = 24; // beyond, nobody counts days

export class Workdays {
  #api;
  #hall;
  #zone;
  #months = new Map(); // YYYY-MM -> its working days

  constructor(api, hall, zone) {
    this.#api = api;
    this.#hall = hall;
    this.#zone = zone;
  }

  // Fetches what is needed to count between now and each of these instants. What cannot be had is not counted.
  async load(now, instants) {
    const days = instants.filter((ms) => ms !== null).map((ms) => isoDay(ms, this.#zone));
    const today = isoDay(now, this.#zone);
    const wanted = new Set(days.flatMap((day) => (day < today ? months(day, today) : months(today, day)).slice(0, FAR_MONTHS)));
    await Promise.all([...wanted].filter((month) => !this.#months.has(month)).map(async (month) => {
      try {
        this.#months.set(month, (await this.#api.get(path(this.#hall, "workdays", month))).workdays);
      } catch {
        // the date alone is shown
      }
    }));
  }

  // {late, days}: working days left, or since it was due; null when the calendar is not known (yet).
  until(now, due) {
    const [today, day, late] = [isoDay(now, this.#zone), isoDay(due, this.#zone), now > due];
    const [from, to] = late ? [day, today] : [today, day];
    const names = months(from, to);
    if (!names.every((month) => this.#months.has(month))) return null;
    return { late, days: between(names.flatMap((month) => this.#months.get(month)), from, to) };
  }
}
