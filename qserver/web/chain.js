// What a client of the socket says and when, without a socket: messages and the time go in, steps come out.
//
//   event with p = s       applied, s moves on
//   event with s <= ours   known already, dropped
//   any other event        something is missing: resync
//   hb ahead for 1 s       something was lost and nothing follows that would show it: resync
//   another epoch          what we show is of another record: resync, and a snapshot replaces everything
//   nothing for 2.5 hb     the server is gone: close, show since when, come back

const DEAD_AFTER = 2.5;
const BEHIND_MS = 1000;
const FINAL = 4100; // codes from here on: stop and show it
const RETRY_MS = { least: 200, first: 1000, most: 10000 };

// Steps: {do: "send", message} {do: "welcome", now_ms} {do: "snapshot", board} {do: "event", event} {do: "state",
// state} {do: "clock", now_ms} {do: "close"}.
export class Chain {
  constructor(hello) {
    this.hello = hello; // {token, hall, topic, device}
    this.ep = "";
    this.s = null; // null: nothing to stand on
    this.hb_ms = 5000;
    this.failures = 0; // connections in a row that ended before a heartbeat
    this.bye = null;
    this.#rest();
  }

  #rest() {
    this.welcomed = false;
    this.heard = 0;
    this.acked = 0;
    this.behind = 0; // since when the server is known to be ahead, 0 = it is not
    this.ahead = 0; // how far it said to be
    this.asked = 0; // when the last resync was sent, 0 = answered
  }

  // A connection was made.
  opened(now) {
    this.#rest();
    this.bye = null;
    this.heard = now;
    const message = { t: "hello", ...this.hello };
    if (this.s !== null) Object.assign(message, { ep: this.ep, s: this.s });
    return [{ do: "send", message }];
  }

  received(message, now) {
    this.heard = now;
    switch (message.t) {
      case "welcome": return this.#welcome(message, now);
      case "snapshot": return this.#stand(message, { do: "snapshot", board: message.board });
      case "state": return this.#stand(message, { do: "state", state: message });
      case "event": return this.#event(message, now);
      case "hb": return [{ do: "clock", now_ms: message.now_ms }, ...this.#heartbeat(message, now)];
      case "bye":
        this.bye = message;
        return [{ do: "close" }];
      default: return []; // newer servers may say more
    }
  }

  #welcome(message, now) {
    this.welcomed = true;
    this.hb_ms = message.hb_ms;
    this.acked = now;
    if (message.mode === "snapshot" || message.ep !== this.ep) this.s = null; // nothing to go on from
    return [{ do: "welcome", now_ms: message.now_ms, mode: message.mode }];
  }

  #stand(message, step) {
    if (this.s !== null && message.ep === this.ep && message.s < this.s) return []; // overtaken by something newer
    [this.ep, this.s] = [message.ep, message.s];
    [this.asked, this.behind] = [0, 0];
    return [step];
  }

  #event(message, now) {
    if (this.s === null || message.s <= this.s) return [];
    if (message.p !== this.s) return this.asked ? [] : this.#resync(now);
    this.s = message.s;
    this.asked = 0;
    if (this.s >= this.ahead) this.behind = 0;
    return [{ do: "event", event: message }];
  }

  #heartbeat(message, now) {
    this.failures = 0;
    const steps = this.#ack(now);
    if (this.s === null) return steps; // the snapshot is on its way
    if (message.ep !== this.ep) return this.asked ? steps : [...steps, ...this.#resync(now)];
    if (message.s <= this.s) this.behind = 0;
    else if (!this.behind) [this.behind, this.ahead] = [now, message.s];
    return steps;
  }

  // Answers each heartbeat, since browsers slow the timers of hidden pages down but not what comes from a socket.
  #ack(now) {
    this.acked = now;
    return [{ do: "send", message: { t: "ack", s: this.s ?? 0 } }];
  }

  #resync(now) {
    [this.asked, this.behind] = [now, 0];
    return [{ do: "send", message: { t: "resync", ep: this.ep, s: this.s ?? 0 } }];
  }

  // Call it a few times a second while connected.
  tick(now) {
    if (now - this.heard > DEAD_AFTER * this.hb_ms) return [{ do: "close" }];
    const steps = [];
    const since = this.asked || this.behind; // a repair that does not come is asked for again
    if (this.welcomed && since && now - since >= BEHIND_MS) steps.push(...this.#resync(now));
    if (this.welcomed && now - this.acked >= this.hb_ms) steps.push(...this.#ack(now));
    return steps;
  }

  // The connection ended. Answers how long to wait before the next one, in ms, or null: stop and show `code`.
  closed(code, random = Math.random) {
    const last = this.bye?.code ?? code;
    if (last >= FINAL && last < 5000) return null;
    const between = ([low, high]) => low + random() * (high - low);
    if (this.bye) return between(this.bye.retry_ms);
    // Jitter under a doubling roof, so that a hall's screens do not come back in step.
    const roof = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** this.failures);
    this.failures += 1;
    return between([RETRY_MS.least, roof]);
  }
}
