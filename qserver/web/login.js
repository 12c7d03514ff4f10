// Logging in 登录: hall, window, staff number, password. The form stands where a page has no token, and over a page whose
// session has ended; what the page shows comes from the server, so nothing is lost meanwhile.

import { Api } from "./api.js";
import { el, show } from "./dom.js";
import { explain, label } from "./i18n.js";

// Pages of people, and the roles they are for. The others are devices', which are paired.
const FOR = {
  clerk: ["clerk"], guide: ["guide"], supervisor: ["supervisor", "admin"], assessor: ["assessor", "admin"],
};

export const isForPeople = (page) => Boolean(FOR[page]);

// Another role's person: the page would be of no use.
class OtherRole extends Error {
  code = "other_role";
}

// Answers the session {token, role, hall, window, staff, name, expires_ms}. Throws Problem or OtherRole.
async function logIn(page, { hall, window, staff, password }) {
  const body = { hall: hall.trim(), staff: staff.trim(), password };
  if (window !== undefined) body.window = window.trim();
  const session = await new Api("").post("/api/v1/login", body);
  if (FOR[page].includes(session.role)) return session;
  await logOut(session.token);
  throw new OtherRole();
}

// Ends a session; one that has ended already is as good.
export async function logOut(token) {
  try {
    await new Api(token).post("/api/v1/logout");
  } catch {
    // it ends by itself
  }
}

// Why a session ended, in words, from the refusal that told of it.
export function whyEnded({ reason, by } = {}) {
  return label(`ended_${reason ?? "expired"}`, { by: by ?? "" });
}

// Why no password was taken, in words.
export function trouble(error) {
  const wait = error.body?.retry_after_s ?? 0;
  if (error.code === "unauthorized") return label("login_wrong");
  if (error.code === "rate_limited" && wait > 60) return label("login_locked", { n: Math.ceil(wait / 60) });
  if (error.code === "forbidden") return label("login_elsewhere");
  if (error.code === "not_found") return label("login_no_hall");
  return error.code === "other_role" ? label("login_other_role") : explain(error);
}

// The form for a page at `where` ({page, hall, window, staff?}); `onDone` gets the session. `why`: what led here.
export function loginForm(where, onDone, why = null) {
  const told = el("p", { class: "bad", role: "alert", id: "login-trouble" }, why);
  show(told, why !== null);
  const line = (name, text, more = {}) => {
    const input = el("input", { name, id: `login-${name}`, required: true, spellcheck: "false", autocapitalize: "off", ...more });
    return [el("label", { for: `login-${name}` }, label(text)), input];
  };
  const submit = el("button", { class: "main", type: "submit", id: "log-in" }, label("log_in"));
  const form = el("form", { class: "card narrow", id: "login" }, el("h1", {}, label("login_title")), told,
    line("hall", "hall_id", { value: where.hall, maxlength: 32, autocomplete: "organization" }),
    where.page === "clerk" ? line("window", "window", { value: where.window, maxlength: 32, autocomplete: "off" }) : "",
    line("staff", "staff_id", { value: where.staff ?? "", maxlength: 32, autocomplete: "username" }),
    line("password", "password", { type: "password", maxlength: 128, autocomplete: "current-password" }),
    el("p", { class: "row end" }, submit));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    try {
      onDone(await logIn(where.page, Object.fromEntries(new FormData(form))));
    } catch (error) {
      told.replaceChildren(trouble(error));
      show(told, true);
      form.elements.password.value = "";
      form.elements.password.focus();
    }
    submit.disabled = false;
  });
  return form;
}

// The first field that is still to be filled in.
export function focusFirst(form) {
  ([...form.elements].find((one) => one.matches("input") && !one.value) ?? form.elements[0]).focus();
}
