// How a page comes to its token: a one-time code in the fragment of its link is exchanged for a token of its own, or
// somebody logs in; the token stays in this browser's storage per page, hall and window. The code leaves the address
// bar at once.

import { Api } from "./api.js";
import { $, el, show } from "./dom.js";
import { explain, label, say } from "./i18n.js";
import { focusFirst, isForPeople, loginForm, logOut, whyEnded } from "./login.js";
import { changePassword } from "./password.js";

const PREFIX = "qserver:token:";
const AT_A_WINDOW = ["clerk", "window", "pad"];

// The page belongs to a window, the code to none.
class NoWindow extends Error {
  code = "no_such_window";
}

// Where this page stands: {page, hall, window}.
export function place(location = window.location) {
  const query = new URLSearchParams(location.search);
  return {
    page: location.pathname.split("/")[1] || "",
    hall: query.get("hall") || "",
    window: query.get("window") || "",
  };
}

export const storeKey = ({ page, hall, window }) => `${PREFIX}${page}|${hall}|${window}`;

// Every pairing this browser holds, for the list of screens.
export function known(storage = localStorage) {
  const found = [];
  for (let i = 0; i < storage.length; i += 1) {
    const key = storage.key(i);
    if (!key.startsWith(PREFIX)) continue;
    const [page, hall, window] = key.slice(PREFIX.length).split("|");
    found.push({ page, hall, window });
  }
  return found.sort((a, b) => `${a.page}${a.window}`.localeCompare(`${b.page}${b.window}`));
}

export function forget(where, storage = localStorage) {
  storage.removeItem(storeKey(where));
}

// Reads and removes the code of the fragment; '' when there is none.
export function takeCode(location = window.location, history = window.history) {
  const code = new URLSearchParams(location.hash.slice(1)).get("pair") || "";
  if (code) history.replaceState(null, "", location.pathname + location.search);
  return code;
}

// The answer's hall and window win over the address, which is then made to agree.
async function redeem(code, where) {
  const answer = await new Api("").post("/api/v1/pair", { code });
  if (AT_A_WINDOW.includes(where.page) && !answer.window && !where.window) throw new NoWindow();
  return keep(answer, where);
}

export function keep(answer, where) {
  const at = { page: where.page, hall: answer.hall || where.hall, window: answer.window || where.window };
  const query = new URLSearchParams(window.location.search);
  if (at.hall) query.set("hall", at.hall);
  if (at.window) query.set("window", at.window);
  history.replaceState(null, "", `${window.location.pathname}?${query}`);
  const session = { token: answer.token, role: answer.role, hall: at.hall, window: at.window };
  if (answer.staff) Object.assign(session, { staff: answer.staff, name: answer.name });
  localStorage.setItem(storeKey(at), JSON.stringify(session));
  return session;
}

// The session of this page: {token, role, hall, window}, and {staff, name} of who logged in. Asks for a code or a log-in
// when there is none; resolves once there is.
export async function session() {
  const where = place();
  const code = takeCode();
  if (code) {
    try {
      return await redeem(code, where);
    } catch (error) {
      // A link opened a second time: the pairing it made is still here.
      const why = unknown(error) ? label("pair_used") : explain(error);
      return stored(where) || enter(where, why);
    }
  }
  return stored(where) || enter(where);
}

function stored(where) {
  const text = localStorage.getItem(storeKey(where));
  if (text) return JSON.parse(text);
  const mine = known().filter((one) => one.page === where.page && (!where.hall || one.hall === where.hall));
  if (mine.length !== 1 || (where.window && where.window !== mine[0].window)) return null;
  return keep(JSON.parse(localStorage.getItem(storeKey(mine[0]))), where);
}

// Nothing is kept of a code once it was used: one that is not known was used, ran out, or never was.
const unknown = (error) => error.code === "not_found";

// Shows what lets somebody in, and nothing else of the page. `why`: what was wrong with the code that was tried.
function enter(where, why = null) {
  return new Promise((resolve) => {
    const done = (session) => {
      box.remove();
      document.body.classList.remove("unpaired");
      resolve(session);
    };
    const pairing = pairingForm(where, done, why);
    const login = isForPeople(where.page) ? loginForm(where, (session) => done(keep(session, where))) : null;
    const box = el("main", { id: "entry" }, login,
      login ? el("details", { class: "narrow", open: why !== null }, el("summary", {}, label("pair_instead")), pairing) : pairing);
    document.body.classList.add("unpaired");
    document.body.append(box);
    focusFirst(login && why === null ? login : pairing);
  });
}

// `why`: what was wrong with the code that was tried; it stays until there is a better one.
function pairingForm(where, done, why) {
  const input = el("input", { name: "code", required: true, autocomplete: "off", spellcheck: "false", id: "pair-code" });
  const trouble = el("p", { class: "bad", role: "alert", id: "pair-trouble" }, why);
  show(trouble, why !== null);
  const form = el("form", { class: "card narrow", id: "pairing" }, el("h1", {}, label("pair_title")), trouble,
    el("p", {}, label("pair_text")), el("label", { for: "pair-code" }, label("pair_code")), input,
    el("p", {}, el("button", { class: "main", type: "submit" }, label("pair"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      done(await redeem(input.value.trim(), where));
    } catch (error) {
      trouble.replaceChildren(unknown(error) ? label("pair_wrong") : explain(error));
      show(trouble, true);
    }
  });
  return form;
}

// Who is logged in, the own password, and the way out; nothing on a paired device.
export function signedIn(me) {
  if (!me.staff) return "";
  const leave = async () => {
    await logOut(me.token);
    forget(place());
    location.reload();
  };
  return el("span", { class: "row", id: "signed-in" }, `${me.staff} ${me.name ?? ""}`.trim(),
    el("button", { type: "button", class: "quiet", id: "change-password", title: say("password_change"),
      onclick: () => changePassword(new Api(me.token, { onDenied: denied })) }, label("password")),
    el("button", { type: "button", class: "quiet", id: "log-out", onclick: leave }, label("log_out")));
}

// The token no longer holds: forget it and say so. Who had logged in may do so again, and the page goes on where it
// was; a device is paired again. `problem`: the refusal that told of it, of this `token`. What was asked before somebody
// logged in anew may be refused after it, and another tab may have done so: the newer token stays, and is taken up.
export function denied(problem, token, where = place()) {
  const mine = JSON.parse(localStorage.getItem(storeKey(where))) ?? {};
  const renewed = mine.token !== undefined && mine.token !== token;
  if (!renewed) forget(where);
  if ($("#denied")) return;
  if (renewed) {
    location.reload();
    return;
  }
  for (const box of document.querySelectorAll("dialog[open]")) box.close(); // nothing below one can be reached
  if (mine.staff) {
    const again = (session) => {
      keep(session, where);
      location.reload(); // what it shows is the server's; what was pressed and not answered is kept beside it
    };
    const form = loginForm({ ...where, staff: mine.staff }, again, whyEnded(problem.body));
    document.body.append(el("div", { class: "cover", id: "denied" }, form));
    focusFirst(form);
    return;
  }
  document.body.append(el("div", { class: "cover", id: "denied", role: "alert" },
    el("div", { class: "card narrow" }, el("h1", {}, label("denied_title")), el("p", {}, label("denied_text")),
      el("p", {}, el("button", { class: "main", onclick: () => location.reload() }, label("pair"))))));
}
