// How the report's panel reads figures and finds the business day.

import { called, shown, today } from "/web/report.js";
import { same } from "./check.js";

const AT = Date.UTC(2026, 10, 23, 19, 59); // 03:59 of the 24th in Shanghai

export const tests = {
  "staff stand there with number and name, once where they are the same"() {
    const rows = [{ id: "301", name: "李敏" }, { id: "302", name: "302" }, { id: "", name: "" }];
    same(rows.map((row) => called(row, "staff")), ["301 李敏", "302", ""]);
    same(called({ id: "w1", name: "一号窗口" }, "window"), "一号窗口");
  },
  "figures read as people say them"() {
    same([shown(null, "count"), shown(0, "count"), shown(245000, "duration"), shown(0.9354, "rate"), shown(0, "rate")],
      ["–", "0", "4:05", "93.5%", "0.0%"]);
  },
  "the business day begins when the hall says so"() {
    same([today(AT, "Asia/Shanghai"), today(AT + 60000, "Asia/Shanghai"), today(AT, "Asia/Shanghai", "00:00")],
      ["2026-11-23", "2026-11-24", "2026-11-24"]);
  },
};
