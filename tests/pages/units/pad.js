import { ASK_MS, Prompt, THANKS_MS, WHY_MS } from "/evaluator/prompt.js";
import { offered } from "/web/faces.js";
import { Spool } from "/evaluator/spool.js";
import { ok, same } from "./check.js";

const asked = (ticket = "20260102-A001", leg = 1, until_ms = 1800000) => ({ state: "idle", ticket: null, rate: { ticket, leg, until_ms } });
const quiet = (state = "idle") => ({ state, ticket: state === "serving" ? "A002" : null, rate: null });

function pad(answered = []) {
  const [given, shown] = [[], []];
  const prompt = new Prompt({ answered, onRating: (rating) => given.push(rating), onAsked: (...what) => shown.push(what) });
  return { prompt, given, shown, at: (now) => prompt.screen(now).name };
}

class Storage {
  items = new Map();
  getItem(key) { return this.items.get(key) ?? null; }
  setItem(key, value) { this.items.set(key, value); }
  removeItem(key) { this.items.delete(key); }
}

const rating = (rid, at_ms = 1000) => ({ rid, ticket: "20260102-A001", leg: 1, score: 5, reasons: [], comment: "", at_ms });

export const tests = {
  "beside a level stand its reasons, else the hall's indicators, else the three of the standard"() {
    const rating = { reasons: { 1: ["慢"], 2: [] }, reasons_en: { 1: ["Slow"] }, indicators: ["态度"], indicators_en: [] };
    same(offered(rating, 1), [["慢", "Slow"]]);
    same(offered(rating, 2), [["态度", ""]]);
    same(offered(null, 2).map(([zh]) => zh), ["服务效率", "服务水平", "服务态度"]);
    same(offered({ reasons: {}, indicators: [] }, 1), offered(null, 1));
  },
  "it follows the window until there is something to ask"() {
    const { prompt, at } = pad();
    same(at(0), "waiting");
    for (const state of ["closed", "idle", "called", "serving", "paused"]) {
      prompt.window(quiet(state), 0);
      same(at(0), state);
    }
    prompt.window(asked(), 0);
    same(at(0), "ask");
  },
  "a good face is the rating, given once, with its instant"() {
    const { prompt, given, at } = pad();
    prompt.window(asked(), 1000);
    prompt.press(5, 4000);
    same(given, [{ ticket: "20260102-A001", leg: 1, score: 5, reasons: [], comment: "", at_ms: 4000 }]);
    same(at(4000), "thanks");
    prompt.press(1, 4001);
    prompt.window(asked(), 4002);
    same(at(4000 + THANKS_MS), "idle");
    same(given.length, 1);
  },
  "a bad face asks why; the instant is that of the face"() {
    const { prompt, given, at } = pad();
    prompt.window(asked(), 0);
    prompt.press(1, 5000);
    same(at(5000), "why");
    same(given.length, 0);
    prompt.submit(["服务态度"], "太慢", 20000);
    same(given, [{ ticket: "20260102-A001", leg: 1, score: 1, reasons: ["服务态度"], comment: "太慢", at_ms: 5000 }]);
  },
  "the wrong face can be taken back before it is sent"() {
    const { prompt, given, at } = pad();
    prompt.window(asked(), 0);
    prompt.press(2, 5000);
    prompt.back(6000);
    same(at(6000), "ask");
    prompt.press(4, 7000);
    same(given.map((one) => one.score), [4]);
  },
  "a pressed face can be kept against a power cut, until it is sent or taken back"() {
    const { prompt } = pad();
    prompt.window(asked(), 0);
    same(prompt.pressed, null);
    prompt.press(1, 5000);
    same(prompt.pressed, { ticket: "20260102-A001", leg: 1, score: 1, reasons: [], comment: "", at_ms: 5000 });
    prompt.back(6000);
    same(prompt.pressed, null);
    prompt.press(2, 7000);
    prompt.submit([], "", 8000);
    same(prompt.pressed, null);
  },
  "leaving during the reasons still sends the face"() {
    const { prompt, given } = pad();
    prompt.window(asked(), 0);
    prompt.press(2, 5000);
    prompt.tick(5000 + WHY_MS);
    same(given.map((one) => [one.score, one.at_ms]), [[2, 5000]]);
  },
  "the next service beginning during the reasons sends the face too"() {
    const { prompt, given, at } = pad();
    prompt.window(asked(), 0);
    prompt.press(1, 5000);
    prompt.window(quiet("serving"), 6000);
    same(given.length, 1);
    same(at(6000 + THANKS_MS), "serving");
  },
  "silence is no rating, and may be broken while the server allows it"() {
    const { prompt, given, at } = pad();
    prompt.window(asked(), 0);
    prompt.tick(ASK_MS - 1);
    same(at(ASK_MS - 1), "ask");
    prompt.tick(ASK_MS);
    same(at(ASK_MS), "idle");
    prompt.window(asked(), ASK_MS + 1);
    same(at(ASK_MS + 1), "idle", "asked once");
    ok(prompt.screen(ASK_MS + 1).may_rate, "may still rate");
    prompt.again(ASK_MS + 2);
    same(at(ASK_MS + 2), "ask");
    same(given, []);
    prompt.window(quiet("serving"), ASK_MS + 3);
    ok(!prompt.screen(ASK_MS + 3).may_rate, "not any more");
  },
  "it says what it asked and when"() {
    const { prompt, shown } = pad(["20260102-A009:1"]);
    prompt.window(asked("20260102-A009"), 500);
    prompt.window(asked(), 1000);
    prompt.window(asked(), 2000);
    prompt.tick(1000 + ASK_MS);
    prompt.again(95000);
    same(shown, [["20260102-A001", 1, 1000], ["20260102-A001", 1, 95000]]);
  },
  "it never asks beyond the server's time"() {
    const { prompt, at } = pad();
    prompt.window(asked("20260102-A001", 1, 2000), 0);
    prompt.tick(2000);
    same(at(2000), "idle");
    ok(!prompt.screen(2000).may_rate, "over");
  },
  "what was answered before a reload is not asked again; another leg is"() {
    const { prompt, at } = pad(["20260102-A001:1"]);
    prompt.window(asked("20260102-A001", 1), 0);
    same(at(0), "idle");
    prompt.window(asked("20260102-A001", 2), 1);
    same(at(1), "ask");
  },
  "the next question replaces an unanswered one"() {
    const { prompt, given, at } = pad();
    prompt.window(asked("20260102-A001"), 0);
    prompt.window(asked("20260102-A002"), 10);
    same(at(10), "ask");
    prompt.press(3, 20);
    same(given.map((one) => one.ticket), ["20260102-A002"]);
  },

  "the spool keeps ratings over a reload, with their age by the server's clock"() {
    const storage = new Storage();
    new Spool(storage, "k").add(rating("r1", 1000));
    const later = new Spool(storage, "k");
    later.add(rating("r2", 5000));
    same(later.size, 2);
    same(later.batch(9000.4).map((one) => [one.rid, one.age_ms]), [["r1", 8000], ["r2", 4000]]);
    ok(!("at_ms" in later.batch(9000)[0]), "no instant of the device is sent");
    same(later.batch(900)[0].age_ms, 0, "never negative");
  },
  "only what the server settled leaves the spool"() {
    const spool = new Spool(new Storage(), "k");
    for (const rid of ["a", "b", "c", "d", "e"]) spool.add(rating(rid));
    spool.settle(spool.batch(0).slice(0, 4), ["recorded", "duplicate", "conflict", "retry"].map((status) => ({ status })));
    same(spool.batch(0).map((one) => one.rid), ["d", "e"]);
  },
  "rejected ones are kept aside"() {
    const storage = new Storage();
    const spool = new Spool(storage, "k");
    spool.add(rating("a"));
    spool.settle(spool.batch(0), [{ rid: "a", status: "rejected", code: "wrong_state" }]);
    same(spool.size, 0);
    same(JSON.parse(storage.getItem("k:refused"))[0].code, "wrong_state");
  },
  "what the server cannot even name is kept aside too, and holds up nothing"() {
    const storage = new Storage();
    storage.setItem("k", JSON.stringify([null, 7, { score: 5 }, rating("a")]));
    const spool = new Spool(storage, "k");
    const sent = spool.batch(0);
    same(sent.map((one) => one.rid), [undefined, "a"]);
    spool.settle(sent, [{ rid: "", status: "rejected", code: "validation" }, { rid: "a", status: "recorded" }]);
    same(spool.size, 0);
    same(JSON.parse(storage.getItem("k:refused")).map((one) => [one.score, one.code]), [[5, "validation"]]);
  },
  "an id of the storage that no server takes is drawn anew"() {
    for (const broken of ["short", "a b c d e f g h", "d".repeat(65), ""]) {
      const storage = new Storage();
      storage.setItem("k:device", broken);
      const { device } = new Spool(storage, "k");
      ok(/^[0-9a-f]{32}$/.test(device), device);
      same(new Spool(storage, "k").device, device);
    }
  },
  "a storage that holds something else is no accident"() {
    for (const odd of ["5", '"text"', "{}", "null"]) {
      const storage = new Storage();
      storage.setItem("k", odd);
      same(new Spool(storage, "k").size, 0, odd);
    }
  },
  "a batch holds at most fifty"() {
    const spool = new Spool(new Storage(), "k");
    for (let i = 0; i < 60; i += 1) spool.add(rating(`r${i}`));
    same(spool.batch(0).length, 50);
    same(spool.batch(0, 1).map((one) => one.rid), ["r0"]);
  },
  "a spool cut off while it was written begins anew"() {
    const storage = new Storage();
    storage.setItem("k", '[{"rid":"r');
    const spool = new Spool(storage, "k");
    same(spool.size, 0);
    spool.add(rating("r1"));
    same(spool.size, 1);
  },
};
