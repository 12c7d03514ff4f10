// What a client of the socket says and when, without a socket: messages and the time go in, steps come out. The
// rules are those of the contract: an event is applied only if its `p` is where we stand; otherwise, or when the
// heartbeat stays ahead for a second, we ask for a repair; another epoch throws the state away; 2.5 heartbeats of
// silence mean the other side is gone.

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
    if (message.mode === "snapshot") this.s = null;
    return [{ do: "welcome", now_ms: message.now_ms, mode: message.mode }];
  }

  #stand(message, step) {
    this.ep = message.ep;
    this.s = message.s;
    this.asked = 0;
    if (this.s >= this.ahead) this.behind = 0;
    return [step];
  }

  #event(message, now) {
    if (message.p !== this.s) return this.#resync(now);
    this.s = message.s;
    this.asked = 0;
    if (this.s >= this.ahead) this.behind = 0;
    return [{ do: "event", event: message }];
  }

  #heartbeat(message, now) {
    this.failures = 0;
    if (message.ep !== this.ep && this.s !== null) return this.#resync(now);
    if (this.s !== null && message.s <= this.s) this.behind = 0;
    else if (!this.behind) [this.behind, this.ahead] = [now, message.s];
    return this.#ack(now);
  }

  // Answers each heartbeat, since browsers slow the timers of hidden pages down but not what comes from a socket.
  #ack(now) {
    this.acked = now;
    return [{ do: "send", message: { t: "ack", s: this.s ?? 0 } }];
  }

  #resync(now) {
    if (this.asked && now - this.asked < this.hb_ms) return []; // asked already: what is on its way cannot be helped
    this.asked = now;
    return [{ do: "send", message: { t: "resync", ep: this.ep, s: this.s ?? 0 } }];
  }

  // Call it a few times a second while connected.
  tick(now) {
    if (now - this.heard > DEAD_AFTER * this.hb_ms) return [{ do: "close" }];
    const steps = [];
    if (this.welcomed && this.behind && now - this.behind >= BEHIND_MS) {
      steps.push(...this.#resync(now));
    }
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
