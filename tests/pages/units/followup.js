import { Problem } from "/web/api.js";
import { history } from "/web/history.js";
import { naming } from "/web/i18n.js";
import { answered, Kept } from "/web/kept.js";
import { Reviews } from "/web/reviews.js";
import { bodyOf, byUrgency, FORMS, missing, overdue } from "/web/review-steps.js";
import { between, isoDay, months, Workdays } from "/web/workdays.js";
import { ok, same } from "./check.js";

class Shelf {
  kept = new Map();
  getItem(name) { return this.kept.get(name) ?? null; }
  setItem(name, text) { this.kept.set(name, text); }
  removeItem(name) { this.kept.delete(name); }
}

// An Api whose answers are told before; keeps what it was asked.
const api = (...answers) => ({
  asked: [],
  post(address, body, key) {
    this.asked.push([address, body, key]);
    const answer = answers.shift();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  },
});
const lost = () => new Problem(0, { code: "unknown" });
const away = () => new Problem(503, { code: "unavailable" });
const refused = () => new Problem(409, { code: "wrong_state" });
const fails = async (work) => {
  try {
    await work;
  } catch (error) {
    return error.code;
  }
  return "";
};

export const forms = () => Object.fromEntries(Object.entries(FORMS).map(([step, fields]) =>
  [step, Object.fromEntries(fields.map(({ name, required = false, of = null }) => [name, { required, of }]))]));

// A list whose server knows these reviews; keeps the questions it was asked, and lets a test wait for their answers.
function list(known) {
  const asked = [];
  const api = {
    async get(address) {
      const query = new URLSearchParams(address.split("?")[1]);
      asked.push(address.includes("/workdays/") ? "workdays" : query.get("pending") ? "pending" : `past ${query.get("after")}`);
      if (address.includes("/workdays/")) return { workdays: [] };
      if (query.get("pending")) return { reviews: known.filter((one) => !one.state.match("closed|excluded")), next: null };
      const past = known.filter((one) => [one.state, ""].includes(query.get("state")));
      return query.get("after") ? { reviews: past.slice(1), next: null } : { reviews: past.slice(0, 1), next: past[1] ? "7" : null };
    },
  };
  const root = document.createElement("div");
  const reviews = new Reviews(root, { api, hall: "h1", names: naming({}), now: () => 0, workdays: new Workdays(api, "h1", "") });
  const rows = () => [...root.querySelectorAll("[data-review]")].map((row) => row.dataset.review);
  const choose = (name, value) => {
    root.querySelector(`[name=${name}]`).value = value;
    root.querySelector(`[name=${name}]`).dispatchEvent(new Event("change"));
  };
  const more = [...root.querySelectorAll("button")].at(-1);
  return { reviews, asked, rows, choose, more };
}
const listed = (id, state) => ({ id, state, source: "rating", ticket: "20261122-A001", window: "w1", service: "a", opened_ms: 0, due_ms: null, history: [] });
async function until(true_, what) {
  for (let n = 0; n < 1000 && !true_(); n += 1) await new Promise((resolve) => setTimeout(resolve));
  ok(true_(), what);
}

export const tests = {
  async "what has ended is asked for page by page when somebody looks, and not again and again"() {
    const one = list([listed("r1", "open"), listed("r2", "closed"), listed("r3", "closed")]);
    await one.reviews.load();
    same([one.rows(), one.asked], [["r1"], ["pending"]]);
    one.choose("state", "closed");
    await until(() => one.rows().length, "the newest page");
    same([one.rows(), one.more.hidden], [["r2"], false]);
    one.more.click();
    one.more.click(); // a double press is one question's answer
    await until(() => one.rows().length === 2, "the next page");
    await one.reviews.load();
    same([one.rows(), one.more.hidden], [["r2", "r3"], true]);
    same(one.asked.filter((what) => what.startsWith("past")), ["past ", "past 7", "past 7"]);
  },
  async "nothing found is an answer too"() {
    const one = list([listed("r1", "open")]);
    one.choose("state", "excluded");
    await until(() => one.asked.includes("past "), "asked once");
    await one.reviews.load();
    await one.reviews.load();
    same(one.asked.filter((what) => what.startsWith("past")), ["past "]);
  },
  async "a press whose answer was lost goes again under its key, whatever happened to the page"() {
    const [shelf, doors] = [new Shelf(), api(lost(), away(), { done: 1 })];
    for (const code of ["unknown", "unavailable", ""]) {
      same(await fails(new Kept("r1", "li", shelf).send(doors, "/a", { note: "x" })), code);
    }
    same(new Set(doors.asked.map(([, , key]) => key)).size, 1);
    same(shelf.kept.size, 0, "nothing is kept of what is on record");
  },
  async "another body, or the same to another address, is another press"() {
    const [shelf, doors] = [new Shelf(), api(lost(), lost(), lost())];
    for (const [address, note] of [["/a", "x"], ["/a", "y"], ["/b", "y"]]) {
      await fails(new Kept("r1", "li", shelf).send(doors, address, { note }));
    }
    same(new Set(doors.asked.map(([, , key]) => key)).size, 3);
  },
  async "a refusal is an answer: the words stay, the press is over"() {
    const [shelf, doors] = [new Shelf(), api(refused(), { done: 1 })];
    const kept = new Kept("r1", "li", shelf);
    kept.keep({ verify: { note: "x" } });
    same(await fails(kept.send(doors, "/a", { note: "x" })), "wrong_state");
    same([new Kept("r1", "li", shelf).values, kept.press], [{ verify: { note: "x" } }, null]);
    await kept.send(doors, "/a", { note: "x" });
    ok(doors.asked[0][2] !== doors.asked[1][2], "two keys");
    same(answered(refused()) && !answered(lost()) && !answered(away()) && !answered(new Error("x")), true);
  },
  async "whose session has ended goes on in the next one, and nobody else does"() {
    const ended = new Problem(401, { code: "unauthorized" });
    const [shelf, doors] = [new Shelf(), api(ended, { done: 1 }, { done: 2 })];
    const kept = new Kept("r1", "li", shelf);
    kept.keep({ appeal: { reason: "误评" } });
    same(await fails(kept.send(doors, "/a", { reason: "误评" })), "unauthorized");
    same([new Kept("r1", "wang", shelf).values, new Kept("r1", "wang", shelf).press], [{}, null]);
    await new Kept("r1", "wang", shelf).send(doors, "/a", { reason: "误评" });
    await new Kept("r1", "li", shelf).send(doors, "/a", { reason: "误评" });
    const [first, others, again] = doors.asked.map(([, , key]) => key);
    same([first === again, first === others], [true, false]);
  },
  "what others left in the storage is no accident"() {
    const shelf = new Shelf();
    shelf.setItem("qserver:kept:li:r1", "{broken");
    same([new Kept("r1", "li", shelf).values, new Kept("r1", "li", shelf).press], [{}, null]);
    same(new Kept("r2", "li", shelf).values, {});
  },
  "only what was filled in is sent, and what is needed is asked for in order"() {
    same(bodyOf("assign", { to: " li ", note: " \n" }), { to: "li" });
    same(bodyOf("close", {}), {});
    same([missing("verify", {}).name, missing("verify", { result: "valid", note: " " }).name], ["result", "note"]);
    same(missing("verify", { result: "valid", note: "x" }), undefined);
  },
  "what is overdue longest comes first, what waits for nothing last"() {
    const list = [[1, null], [2, 30], [3, 10], [4, 30], [5, 20]].map(([opened_ms, due_ms]) => ({ opened_ms, due_ms }));
    same(list.sort(byUrgency).map((one) => one.opened_ms), [3, 5, 2, 4, 1]);
    same([overdue({ due_ms: 5 }, 5), overdue({ due_ms: 5 }, 6), overdue({ due_ms: null }, 6)], [false, true, false]);
  },
  "months and working days between two days"() {
    same(months("2026-11-28", "2027-01-04"), ["2026-11", "2026-12", "2027-01"]);
    same(months("2026-11-28", "2026-11-01"), ["2026-11"]);
    same([between(["2026-11-27", "2026-11-30", "2026-12-01"], "2026-11-27", "2026-12-01"), between([], "a", "b")], [2, 0]);
    same(isoDay(Date.UTC(2026, 10, 30, 16, 0, 0), "Asia/Shanghai"), "2026-12-01");
  },
  async "working days are counted once the months have come"() {
    const asked = [];
    const days = { "2026-11": ["2026-11-27", "2026-11-30"], "2026-12": ["2026-12-01", "2026-12-02"] };
    const get = async (address) => {
      asked.push(address.split("/").at(-1));
      return { workdays: days[asked.at(-1)] };
    };
    const one = new Workdays({ get }, "h1", "Asia/Shanghai");
    const at = (month, day) => Date.UTC(2026, month - 1, day, 4);
    same(one.until(at(11, 27), at(12, 1)), null, "not known yet");
    await one.load(at(11, 27), [at(12, 1), at(11, 30), null]);
    await one.load(at(11, 27), [at(12, 2)]);
    same(asked.sort(), ["2026-11", "2026-12"], "each month once");
    same(one.until(at(11, 27), at(12, 1)), { late: false, days: 2 });
    same(one.until(at(11, 27), at(11, 27) + 1), { late: false, days: 0 });
    same(one.until(at(12, 2), at(11, 27)), { late: true, days: 3 });
    same(one.until(at(11, 28), at(11, 27)), { late: true, days: 0 }, "a Saturday later");
  },
  async "a calendar that cannot be had leaves the date"() {
    const one = new Workdays({ get: () => Promise.reject(lost()) }, "h1", "Asia/Shanghai");
    await one.load(0, [1]);
    same(one.until(0, 1), null);
  },
  "a history says who took each step: people by name and number, devices by their role, strangers as they are"() {
    const actors = {
      900: { role: "supervisor", name: "王<b>芳", person: true },
      "5f0c2a9be1d4": { role: "pad", name: "", person: false },
      tok: { role: "admin", name: "市局值班", person: false },
    };
    const who = ["900", "5f0c2a9be1d4", "tok", "gone"].map((actor) =>
      history([{ at_ms: 0, step: "assigned", actor, to: "900" }], "Asia/Shanghai", actors).querySelector(".step").textContent);
    ok(who[0].endsWith("值班长Supervisor 王<b>芳 900"), who[0]);
    ok(who[1].endsWith("评价器Pad"), who[1]);
    ok(who[2].endsWith("管理员Administrator 市局值班"), who[2]);
    ok(who[3].endsWith("gone"), who[3]);
  },
  "a history tells what was said as text, and nothing it does not know"() {
    const node = history([
      { at_ms: 0, step: "opened", actor: "holder:h1:A001", score: 1, reasons: ["慢"], comment: "<b>x</b>", colour: "red" },
      { at_ms: 0, step: "verified", actor: "system", result: "valid", note: "" },
    ], "Asia/Shanghai", undefined);
    same(node.querySelectorAll("b").length, 0);
    const text = node.textContent;
    for (const said of ["<b>x</b>", "非常不满意", "慢", "群众", "系统", "属实"]) ok(text.includes(said), said);
    ok(!text.includes("red") && !text.includes("holder"), text);
  },
};
