// Building elements. User text only ever becomes text nodes; there is no way to pass markup through here.

export const $ = (selector, root = document) => root.querySelector(selector);

// el("button", {class: "big", onclick: press, disabled: true, "data-id": 3}, "text", node, [nodes])
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function show(node, visible) {
  node.hidden = !visible;
}

// Replaces the children only when `key` differs from the last time, so that a repaint neither loses the focus nor
// makes a screen reader read everything again.
const painted = new WeakMap();
export function paint(node, key, children) {
  const text = JSON.stringify(key);
  if (painted.get(node) === text) return false;
  painted.set(node, text);
  node.replaceChildren(...children());
  return true;
}

// A message at the foot of the page that goes by itself; `role=status` has it read out.
export function toast(content, kind = "note") {
  let shelf = $("#toasts");
  if (!shelf) {
    shelf = el("div", { id: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(shelf);
  }
  const note = el("p", { class: `toast ${kind}` }, content);
  shelf.append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 9000 : 5000);
}

// Asks in a dialog; resolves to the form's values, or null when it was closed. `fields` are nodes with names.
export function ask(title, fields, yes, no) {
  return new Promise((resolve) => {
    const form = el("form", { method: "dialog" }, el("h2", {}, title), fields,
      el("p", { class: "row end" },
        el("button", { type: "button", class: "quiet", onclick: () => box.close() }, no),
        el("button", { type: "submit", class: "main", value: "yes" }, yes)));
    const box = el("dialog", {}, form);
    let answer = null;
    form.addEventListener("submit", () => {
      answer = Object.fromEntries(new FormData(form));
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.tagName !== "SELECT") return;
      event.preventDefault(); // lists do not submit by themselves
      form.requestSubmit();
    });
    box.addEventListener("close", () => {
      box.remove();
      resolve(answer);
    });
    document.body.append(box);
    box.showModal();
  });
}
