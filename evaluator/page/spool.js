// Ratings that were given but not yet acknowledged, kept in the browser's storage over reloads and power cuts. The
// age of a rating is the difference of two readings of the server's clock, so a tablet's own clock plays no part.

const BATCH = 50;
const REFUSED_KEPT = 100;

export class Spool {
  #storage;
  #key;

  constructor(storage, key) {
    this.#storage = storage;
    this.#key = key;
  }

  #read(suffix = "") {
    try {
      return JSON.parse(this.#storage.getItem(this.#key + suffix)) ?? [];
    } catch {
      return []; // half-written at a power cut
    }
  }

  #write(items, suffix = "") {
    if (items.length) this.#storage.setItem(this.#key + suffix, JSON.stringify(items));
    else this.#storage.removeItem(this.#key + suffix);
  }

  get size() {
    return this.#read().length;
  }

  // rating: {rid, ticket, leg, score, reasons, comment, at_ms}
  add(rating) {
    this.#write([...this.#read(), rating]);
  }

  // The oldest ones, at most `most`, as the server takes them.
  batch(now, most = BATCH) {
    return this.#read().slice(0, Math.min(most, BATCH)).map(({ at_ms, ...item }) =>
      ({ ...item, age_ms: Math.max(0, Math.round(now - at_ms)) }));
  }

  // The server's results; `retry` stays, everything else is settled. Rejected ones are kept aside as evidence.
  settle(results) {
    const by = new Map(results.map((result) => [result.rid, result]));
    const settled = (item) => by.has(item.rid) && by.get(item.rid).status !== "retry";
    const items = this.#read();
    const refused = items.filter((item) => settled(item) && by.get(item.rid).status === "rejected")
      .map((item) => ({ ...item, code: by.get(item.rid).code }));
    this.#write(items.filter((item) => !settled(item)));
    if (refused.length) this.#write([...this.#read(":refused"), ...refused].slice(-REFUSED_KEPT), ":refused");
  }
}
