// Ratings that were given and prompts that were shown but not yet acknowledged, kept in the browser's storage over
// reloads and power cuts. The age of a rating is the difference of two readings of the server's clock, so a tablet's own
// clock plays no part. The storage has an id of its own (`device`) and counts its ratings (`n`): when it is wiped it is
// another device, so a number that stands twice under one id shows a copy.

import { newKey } from "/web/api.js";
import { signature, signingKey } from "./sign.js";

const BATCH = 50;
const REFUSED_KEPT = 100;
const DEVICE = /^[A-Za-z0-9_-]{8,64}$/; // of another form, the server knows it for no device

export class Spool {
  #storage;
  #key;

  constructor(storage, key) {
    this.#storage = storage;
    this.#key = key;
    const before = storage.getItem(`${key}:device`) ?? "";
    this.device = DEVICE.test(before) ? before : newKey();
    storage.setItem(`${key}:device`, this.device);
  }

  #read(suffix = "") {
    try {
      const found = JSON.parse(this.#storage.getItem(this.#key + suffix)) ?? [];
      return found.filter((one) => one instanceof Object);
    } catch {
      return []; // half-written at a power cut, or not ours
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
    const n = 1 + (Number(this.#storage.getItem(`${this.#key}:n`)) || 0);
    this.#storage.setItem(`${this.#key}:n`, String(n)); // first: a number may be left out, never given twice
    this.#write([...this.#read(), { n, ...rating }]);
  }

  // The question was shown; the first time counts.
  show(ticket, leg, at_ms) {
    const before = this.#read(":shown");
    if (before.some((one) => one.ticket === ticket && one.leg === leg)) return;
    this.#write([...before, { ticket, leg, at_ms }].slice(-BATCH), ":shown");
  }

  // Prompts that were shown and not told, as the server takes them.
  prompts(now) {
    return this.#read(":shown").map(({ at_ms, ...one }) => ({ ...one, age_ms: Math.max(0, Math.round(now - at_ms)) }));
  }

  // The server has heard of these prompts.
  told(prompts) {
    const is = (a, b) => a.ticket === b.ticket && a.leg === b.leg;
    this.#write(this.#read(":shown").filter((one) => !prompts.some((prompt) => is(prompt, one))), ":shown");
  }

  // The body of a request with these ratings and prompts, signed as the pad with this token at this place. What was
  // kept before there were numbers goes as it is.
  signed({ token, hall, window }, items, shown) {
    const key = signingKey(token);
    const sign = (what, ...fields) => signature(key, what, hall, window, this.device, ...fields);
    return {
      device: this.device,
      items: items.map((one) => (one.n ? { ...one, sig: sign("rating", one.n, one.rid, one.ticket, one.leg, one.score,
        one.age_ms, [], one.reasons, one.comment) } : one)),
      shown: shown.map((one) => ({ ...one, sig: sign("shown", one.ticket, one.leg, one.age_ms) })),
    };
  }

  // The oldest ones, at most `most`, as the server takes them, without a signature.
  batch(now, most = BATCH) {
    return this.#read().slice(0, Math.min(most, BATCH)).map(({ at_ms, ...item }) =>
      ({ ...item, age_ms: Math.max(0, Math.round(now - at_ms)) }));
  }

  // The server's results, one for each of these in their order; `retry` stays, everything else is settled, also what is so
  // broken that the server cannot name it. Rejected ones are kept aside as evidence.
  settle(sent, results) {
    const by = new Map(results.map((result, i) => [sent[i]?.rid, result]));
    const settled = (item) => by.has(item.rid) && by.get(item.rid).status !== "retry";
    const items = this.#read();
    const refused = items.filter((item) => settled(item) && by.get(item.rid).status === "rejected")
      .map((item) => ({ ...item, code: by.get(item.rid).code }));
    this.#write(items.filter((item) => !settled(item)));
    if (refused.length) this.#write([...this.#read(":refused"), ...refused].slice(-REFUSED_KEPT), ":refused");
  }
}
