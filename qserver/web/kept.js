// What somebody typed into a form and the press it became, kept in this tab until the server has answered: a failed
// request, a closed dialog or a reload loses neither, and the same press goes again under its first key.

import { newKey, Problem } from "./api.js";

// The server understood and refused; anything else may have happened. Whose session has ended may ask again in the next.
export const answered = (error) =>
  error instanceof Problem && error.status >= 400 && error.status < 500 && error.code !== "unauthorized";

// `staff`: who logged in; nobody finds another's words in his form. `name`: what the form is for.
export class Kept {
  #name;
  #storage;
  #state;

  constructor(name, staff = "", storage = sessionStorage) {
    this.#name = `qserver:kept:${staff}:${name}`;
    this.#storage = storage;
    try {
      this.#state = JSON.parse(storage.getItem(this.#name));
    } catch {
      this.#state = null; // not ours
    }
    this.#state ??= { values: {}, press: null };
  }

  get values() {
    return this.#state.values;
  }

  // The press whose answer was never seen: {address, text, key}, or null.
  get press() {
    return this.#state.press;
  }

  keep(values) {
    this.#state.values = { ...this.#state.values, ...values };
    this.#write();
  }

  forget() {
    this.#state = { values: {}, press: null };
    this.#storage.removeItem(this.#name);
  }

  // Posts; the same body to the same address goes under the key it had, another one under its own. Throws Problem.
  async send(api, address, body) {
    const text = JSON.stringify(body);
    const before = this.#state.press;
    const press = before?.address === address && before.text === text ? before : { address, text, key: newKey() };
    this.#state.press = press;
    this.#write();
    try {
      const answer = await api.post(address, body, press.key);
      this.forget();
      return answer;
    } catch (error) {
      if (answered(error)) {
        this.#state.press = null;
        this.#write();
      }
      throw error;
    }
  }

  #write() {
    this.#storage.setItem(this.#name, JSON.stringify(this.#state));
  }
}
