import { Chain } from "/web/chain.js";
import { ok, same } from "./check.js";

const HELLO = { token: "t", hall: "h", topic: "board", device: "d" };
const snapshot = (s, ep = "e1") => ({ t: "snapshot", ep, s, board: { s } });
const event = (p, s) => ({ t: "event", p, s, k: "issue" });
const hb = (s, ep = "e1") => ({ t: "hb", ep, s, now_ms: 1 });
const welcome = (mode, s, ep = "e1") => ({ t: "welcome", mode, ep, s, hb_ms: 5000, now_ms: 1 });
const sent = (steps) => steps.filter((step) => step.do === "send").map((step) => step.message.t);
const names = (steps) => steps.map((step) => step.do);

function standing(s = 10) {
  const chain = new Chain(HELLO);
  chain.opened(1);
  chain.received(welcome("snapshot", s), 2);
  chain.received(snapshot(s), 3);
  return chain;
}

export const tests = {
  "the first hello has no place, a later one has"() {
    const chain = new Chain(HELLO);
    same(chain.opened(1), [{ do: "send", message: { t: "hello", ...HELLO } }]);
    chain.received(welcome("snapshot", 4), 2);
    chain.received(snapshot(4), 3);
    same(chain.opened(9)[0].message, { t: "hello", ...HELLO, ep: "e1", s: 4 });
  },
  "events are applied one upon the other"() {
    const chain = standing(10);
    same(names(chain.received(event(10, 12), 4)), ["event"]);
    same(names(chain.received(event(12, 13), 5)), ["event"]);
    same(chain.s, 13);
  },
  "a gap asks for a repair once, and again after a second without one"() {
    const chain = standing(10);
    same(chain.received(event(11, 12), 100), [{ do: "send", message: { t: "resync", ep: "e1", s: 10 } }]);
    same(chain.received(event(12, 13), 101), []);
    same(sent(chain.tick(900)), []);
    same(sent(chain.tick(1101)), ["resync"]);
    same(names(chain.received(event(10, 11), 1102)), ["event"]);
    same(sent(chain.tick(2500)), []);
  },
  "a gap is mended by a snapshot too"() {
    const chain = standing(10);
    chain.received(event(11, 12), 100);
    same(names(chain.received(snapshot(12), 110)), ["snapshot"]);
    same(names(chain.received(event(12, 15), 120)), ["event"]);
  },
  "what is known already is dropped"() {
    const chain = standing(10);
    same(chain.received(event(8, 9), 4), []);
    same(chain.received(snapshot(9), 5), []);
    same(chain.s, 10);
  },
  "nothing is applied before there is something to stand on"() {
    const chain = new Chain(HELLO);
    chain.opened(1);
    chain.received(welcome("snapshot", 5), 2);
    same(chain.received(event(5, 6), 3), []);
  },
  "a heartbeat that stays ahead for a second means a loss"() {
    const chain = standing(10);
    same(sent(chain.received(hb(12), 1000)), ["ack"]);
    same(sent(chain.tick(1900)), []);
    same(sent(chain.tick(2000)), ["resync"]);
  },
  "a heartbeat ahead of events that are on their way is none"() {
    const chain = standing(10);
    chain.received(hb(12), 1000);
    chain.received(event(10, 12), 1500);
    same(sent(chain.tick(2500)), []);
  },
  "another epoch in a heartbeat asks, its snapshot replaces even a larger s"() {
    const chain = standing(10);
    same(sent(chain.received(hb(3, "e2"), 1000)), ["ack", "resync"]);
    same(names(chain.received(snapshot(3, "e2"), 1001)), ["snapshot"]);
    same([chain.ep, chain.s], ["e2", 3]);
  },
  "a welcome of another epoch leaves nothing to go on from"() {
    const chain = standing(10);
    chain.opened(50);
    chain.received(welcome("snapshot", 2, "e2"), 51);
    same(chain.received(event(10, 11), 52), []);
    same(names(chain.received(snapshot(2, "e2"), 53)), ["snapshot"]);
  },
  "a resume goes on where it stood"() {
    const chain = standing(10);
    chain.opened(50);
    same(chain.received(welcome("resume", 12), 51)[0].mode, "resume");
    same(names(chain.received(event(10, 12), 52)), ["event"]);
  },
  "silence of two and a half heartbeats closes"() {
    const chain = standing(10);
    same(names(chain.tick(12500)), ["send"]);
    ok(names(chain.tick(12504)).includes("close"), "closes");
  },
  "signs of life go out at least every heartbeat"() {
    const chain = standing(10);
    same(sent(chain.tick(4000)), []);
    same(chain.tick(5002), [{ do: "send", message: { t: "ack", s: 10 } }]);
    same(sent(chain.received(hb(10), 6000)), ["ack"]);
  },
  "a bye says when to come back, within its range"() {
    const chain = standing(10);
    same(names(chain.received({ t: "bye", code: 4001, retry_ms: [200, 800] }, 4)), ["close"]);
    same(chain.closed(1006, () => 0.5), 500);
  },
  "codes from 4100 on end it"() {
    const chain = standing(10);
    same(chain.closed(4101), null);
    chain.opened(9);
    chain.received({ t: "bye", code: 4103, retry_ms: [0, 0] }, 10);
    same(chain.closed(1006), null);
  },
  "without a bye the waits double up to ten seconds, and a heartbeat starts them over"() {
    const chain = standing(10);
    const longest = () => chain.closed(1006, () => 1);
    same([longest(), longest(), longest(), longest(), longest(), longest()], [1000, 2000, 4000, 8000, 10000, 10000]);
    chain.opened(1);
    chain.received(hb(10), 2);
    same(longest(), 1000);
    same(chain.closed(1006, () => 0), 200);
  },
  "states of a small topic replace each other"() {
    const chain = new Chain({ ...HELLO, topic: "stats" });
    chain.opened(1);
    chain.received(welcome("snapshot", 3), 2);
    const state = { t: "state", topic: "stats", ep: "e1", s: 3, stats: {} };
    same(names(chain.received(state, 3)), ["state"]);
    same(names(chain.received({ ...state, s: 7 }, 4)), ["state"]);
    same(chain.received({ ...state, s: 5 }, 5), []);
  },
};
