// One's own password 修改密码, in a dialog over any page that somebody logged in at. Nothing of it is kept anywhere.

import { newKey } from "./api.js";
import { el, show, toast } from "./dom.js";
import { label } from "./i18n.js";
import { answered } from "./kept.js";
import { trouble } from "./login.js";

const LEAST = 8; // characters, as the server has it
const MOST = 128;

function wrong(error) {
  if (!answered(error)) return label("password_unsure");
  return error.code === "forbidden" ? label("password_wrong") : trouble(error);
}

export function changePassword(api) {
  const line = (name, text, autocomplete, least = 1) => [
    el("label", { for: `password-${name}` }, label(text)),
    el("input", { id: `password-${name}`, name, type: "password", required: true, minlength: least, maxlength: MOST, autocomplete }),
  ];
  const told = el("p", { class: "bad", role: "alert", id: "password-trouble", hidden: true });
  const submit = el("button", { class: "main", type: "submit", id: "password-send" }, label("password_change"));
  const form = el("form", { id: "password-form" }, el("h2", { id: "password-title" }, label("password_change")), told,
    line("password", "password_old", "current-password"), line("new", "password_new", "new-password", LEAST),
    line("again", "password_again", "new-password", LEAST),
    el("p", { class: "row end" }, el("button", { type: "button", class: "quiet", onclick: () => box.close() }, label("no")), submit));
  const box = el("dialog", { id: "password-box", "aria-labelledby": "password-title" }, form);
  let press = { text: "", key: "" }; // the same words are the same press, also when its answer was lost

  const say = (content, field) => {
    told.replaceChildren(content);
    show(told, true);
    form.elements[field].focus();
    form.elements[field].select();
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    const { password, new: next, again } = Object.fromEntries(new FormData(form));
    if (next !== again) {
      say(label("password_differs"), "again");
      return;
    }
    const text = JSON.stringify([password, next]);
    if (press.text !== text) press = { text, key: newKey() };
    submit.disabled = true;
    try {
      await api.post("/api/v1/password", { password, new: next }, press.key);
      box.close();
      toast(label("password_changed"), "good");
    } catch (error) {
      say(wrong(error), "password");
    }
    submit.disabled = false;
  });
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}
