// What a clerk is asked before a command is sent; each resolves to the command's body, or null.

import { ask, el } from "./dom.js";
import { both, label, say } from "./i18n.js";

const PAUSES = [["午休", "Lunch"], ["暂时离岗", "Away"], ["设备故障", "Equipment fault"], ["业务会议", "Meeting"]];
const HOLDS = [["补材料", "Documents missing"], ["填表", "Filling in a form"], ["系统等待", "Waiting for a system"]];

export function dialogs({ hall, names, staff, window: own }) {
  // A list to choose from and a line of one's own, which wins.
  const reason = (presets) => [
    el("div", {}, presets.map(([zh, en], i) => el("label", { class: "pick" },
      el("input", { type: "radio", name: "preset", value: zh, checked: i === 0 }), both(zh, en)))),
    el("label", {}, label("other_reason"), " ", el("input", { name: "reason", maxlength: 200 })),
  ];
  const because = async (title, presets) => {
    const answer = await ask(label(title), reason(presets), label("yes"), label("no"));
    return answer && { reason: answer.reason.trim() || answer.preset };
  };
  const choice = (name, first, options) => el("select", { name },
    el("option", { value: "" }, first), options.map(([id, text]) => el("option", { value: id }, text)));

  return {
    open: async () => {
      const answer = await ask(label("do_open"), el("label", {}, label("staff_id"), " ",
        el("input", { name: "staff", required: true, maxlength: 64, value: staff(), autocomplete: "off" })),
      label("do_open"), label("no"));
      return answer && { staff: answer.staff.trim() };
    },
    pause: () => because("do_pause", PAUSES),
    hold: () => because("do_hold", HOLDS),
    named: async () => {
      const answer = await ask(label("do_named"), el("label", {}, label("ticket_no"), " ",
        el("input", { name: "ticket", required: true, maxlength: 20, autocomplete: "off" })), label("do_named"), label("no"));
      return answer && { ticket: answer.ticket.trim().toUpperCase() };
    },
    accept: async () => {
      const answer = await ask(label("do_accept"), el("label", {}, label("case_number"), " ",
        el("input", { name: "case", required: true, maxlength: 64, autocomplete: "off", pattern: ".*\\S.*" })),
      label("do_accept"), label("no"));
      return answer && { outcome: "accepted", case: answer.case.trim() };
    },
    transfer: async () => {
      const answer = await ask(label("do_transfer"), [
        el("label", {}, label("to_service"), " ", choice("service", say("same_service"),
          hall.services.map((one) => [one.id, names.service(one.id).filter(Boolean).join(" ")]))),
        el("label", {}, label("to_window"), " ", choice("window", say("any_window"),
          hall.windows.filter((one) => one.id !== own).map((one) => [one.id, names.window(one.id)]))),
        el("label", {}, label("position"), " ", el("select", { name: "position" },
          ["arrival", "first", "last"].map((id) => el("option", { value: id }, say(`position_${id}`))))),
      ], label("do_transfer"), label("no"));
      if (!answer) return null;
      return Object.fromEntries(Object.entries(answer).filter(([, value]) => value));
    },
  };
}
