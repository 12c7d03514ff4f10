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
  const choice = (name, first, options, more = {}) => el("select", { name, ...more },
    el("option", { value: "" }, first), options.map(([id, text]) => el("option", { value: id }, text)));
  const services = () => hall.services.map((one) => [one.id, names.service(one.id).filter(Boolean).join(" ")]);
  const others = () => hall.windows.filter((one) => one.id !== own).map((one) => [one.id, names.place(one.id).filter(Boolean).join(" ")]);
  const chosen = (answer) => answer && Object.fromEntries(Object.entries(answer).filter(([, value]) => value));

  // Where a visit goes on 受审分离: a service and, once there is one, a window of it.
  const onward = (first, required) => {
    const window = choice("then_window", say("any_window"), others(), { disabled: true });
    const change = (event) => { window.disabled = !event.target.value; };
    return [
      el("label", {}, label("to_service"), " ", choice("then", say(first), services(), { required, onchange: change })),
      el("label", {}, label("to_window"), " ", window),
    ];
  };

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
      const answer = await ask(label("do_accept"), [
        el("label", {}, label("case_number"), " ",
          el("input", { name: "case", required: true, maxlength: 64, autocomplete: "off", pattern: ".*\\S.*" })),
        onward("not_sent_on", false),
      ], label("do_accept"), label("no"));
      return answer && { ...chosen(answer), outcome: "accepted", case: answer.case.trim() };
    },
    onward: async () => chosen(await ask(label("do_onward"), onward("choose_service", true), label("do_onward"), label("no"))),
    transfer: async () => {
      const answer = await ask(label("do_transfer"), [
        el("label", {}, label("to_service"), " ", choice("service", say("same_service"), services())),
        el("label", {}, label("to_window"), " ", choice("window", say("any_window"), others())),
        el("label", {}, label("position"), " ", el("select", { name: "position" },
          ["arrival", "first", "last"].map((id) => el("option", { value: id }, say(`position_${id}`))))),
      ], label("do_transfer"), label("no"));
      return chosen(answer);
    },
  };
}
