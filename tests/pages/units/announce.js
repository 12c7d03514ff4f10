import { Announcer, wording } from "/displays/announce.js";
import { ok, same } from "./check.js";

const call = (s, at_ms, ticket = `A${String(s).padStart(3, "0")}`, n = 1) => ({ s, ticket, window: "w1", service: "a", n, at_ms });
const said = (announcer, now) => announcer.next(now)?.ticket ?? null;

export const tests = {
  "in the order of the calls, never two at once"() {
    const announcer = new Announcer();
    announcer.offer([call(3, 1300), call(2, 1200), call(1, 1100)], 2000);
    same(said(announcer, 2000), "A001");
    same(said(announcer, 2000), null, "while one is said");
    announcer.done();
    same(said(announcer, 2000), "A002");
    announcer.done();
    same(said(announcer, 2000), "A003");
    announcer.done();
    same(said(announcer, 2000), null);
  },
  "a second call neither skips nor overrides the first"() {
    const announcer = new Announcer();
    announcer.offer([call(1, 1000)], 1000);
    same(said(announcer, 1000), "A001");
    announcer.offer([call(2, 1500, "A001", 2)], 1500);
    same(said(announcer, 1500), null);
    announcer.done();
    same(announcer.next(1600).n, 2);
  },
  "none older than thirty seconds, neither when offered nor when its turn comes"() {
    const announcer = new Announcer();
    announcer.offer([call(1, 1000), call(2, 2000)], 31000);
    same(said(announcer, 31000), "A002");
    announcer.done();
    announcer.offer([call(3, 31000), call(4, 31500)], 31500);
    same(said(announcer, 31500), "A003");
    announcer.done();
    same(said(announcer, 61500), null);
  },
  "each once, also after a snapshot of another epoch numbers it anew"() {
    const announcer = new Announcer();
    announcer.offer([call(7, 1000, "A001")], 1000);
    same(said(announcer, 1000), "A001");
    announcer.done();
    announcer.offer([call(2, 1000, "A001")], 1500);
    same(said(announcer, 1500), null);
  },
  "calls missed while away are said if they are young"() {
    const announcer = new Announcer();
    announcer.offer([call(9, 40000), call(8, 20000), call(7, 5000)], 45000);
    same(said(announcer, 45000), "A008");
    announcer.done();
    same(said(announcer, 45000), "A009");
  },
  "it forgets what is long past"() {
    const announcer = new Announcer();
    for (let s = 1; s <= 1000; s += 1) {
      announcer.offer([call(s, s * 1000)], s * 1000);
      ok(announcer.next(s * 1000), `call ${s}`);
      announcer.done();
    }
  },
  "numbers are spelled, windows are named"() {
    const at = (window) => wording(call(12, 0, "A1012"), window);
    same(at("3号窗口").zh, "请 A 一 零 一 二 号到3号窗口");
    same(at("12").zh, "请 A 一 零 一 二 号到12号窗口");
    same(at("服务台").zh, "请 A 一 零 一 二 号到服务台窗口");
    same(at("3号窗口").en, "Ticket A 1 0 1 2, please go to window 3");
  },
};
