import { el } from "/web/dom.js";
import { apply, fromSnapshot } from "/web/board-fold.js";
import { both, words } from "/web/i18n.js";
import { denied, place, storeKey, takeCode } from "/web/pair.js";
import { secretOf } from "/web/slip.js";
import { hm, hms, stopwatch, waitRange } from "/web/time.js";
import { ok, same } from "./check.js";

// For the comparison with the server's own fold: the board after these events, as plain data.
export function fold(board, events) {
  const state = fromSnapshot(board);
  for (const event of events) apply(state, event);
  return { ...state, windows: [...state.windows.values()] };
}

export const tests = {
  "text never becomes markup"() {
    const node = el("p", { title: '"><img src=x>' }, "<img src=x onerror=alert(1)>", [["<b>"]]);
    same(node.children.length, 0);
    same(node.textContent, "<img src=x onerror=alert(1)><b>");
    same(both("<i>", "<u>").querySelectorAll("i, u").length, 0);
  },
  "values stand in texts as they are"() {
    same(words("alert_no_window", { service_en: "$& {n}", n: 3 })[1], "$& {n}: 3 waiting, no window open");
    same(words("no such key"), ["no such key", ""]);
  },
  "a code leaves the address at once"() {
    history.replaceState(null, "", "/board?hall=h1#pair=ID.mac-_1");
    same(takeCode(), "ID.mac-_1");
    same(location.href.split("/").at(-1), "board?hall=h1");
    same(takeCode(), "");
  },
  "a place is its page, hall and window"() {
    same(place({ pathname: "/clerk", search: "?hall=h1&window=w2" }), { page: "clerk", hall: "h1", window: "w2" });
    same(storeKey({ page: "clerk", hall: "h1", window: "w2" }), "qserver:token:clerk|h1|w2");
  },
  "a late refusal forgets the token it was about, and no newer one"() {
    const where = { page: "clerk", hall: "h1", window: "w2" };
    const over = el("div", { id: "denied" }); // the form to log in stands there already
    document.body.append(over);
    localStorage.setItem(storeKey(where), JSON.stringify({ token: "newer" }));
    denied({}, "older", where);
    same(JSON.parse(localStorage.getItem(storeKey(where))).token, "newer");
    denied({}, "newer", where);
    same(localStorage.getItem(storeKey(where)), null);
    over.remove();
  },
  "the secret of a ticket's url, whatever stands before it"() {
    same(secretOf("https://hall.example/base/t/h1.20260102-A001.mac_-x"), "h1.20260102-A001.mac_-x");
    same(secretOf("/t/h1.20260102-A001.mac"), "h1.20260102-A001.mac");
  },
  "times are the hall's"() {
    const noon = Date.UTC(2026, 0, 2, 4, 5, 6);
    same(hm(noon, "Asia/Shanghai"), "12:05");
    same(hms(noon, "Asia/Shanghai"), "12:05:06");
    same(hm(Date.UTC(2026, 0, 1, 16, 0, 0), "Asia/Shanghai"), "00:00");
    ok(hm(noon, "Not/AZone").length === 5, "an unknown zone is no accident");
  },
  "durations and ranges are whole"() {
    same([stopwatch(0), stopwatch(65999), stopwatch(3729000), stopwatch(-5)], ["0:00", "1:05", "1:02:09", "0:00"]);
    same(waitRange([0, 30000])[0], "不到 1 分钟");
    same(waitRange([0, 240000])[0], "最多 4 分钟");
    same(waitRange([600000, 1200000])[1], "about 10–20 min");
    same(waitRange([600000, 600000])[0], "约 10 分钟");
  },
};
