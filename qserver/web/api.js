// HTTP with a token, problem documents and repeats. Every press of a button is one key: whatever happens to the
// connection, asking again with the same key and the same bytes can do the thing at most once.

const TIMEOUT_MS = 8000;
const TRIES = 5;
const LONGEST_WAIT_MS = 5000;
const PATIENCE_MS = 120000;

// The server understood and refused, or (code "unknown") could not be asked in time.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || body.code);
    this.status = status;
    this.code = body.code || "unknown";
    this.body = body;
  }
}

// Random and unguessable; randomUUID would need a secure context, which tablets on plain HTTP do not have.
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Api {
  // `onDenied(problem, token)` is told when the token no longer holds. `fetch` and `pause` can be replaced in tests.
  constructor(token, { onDenied = () => {}, fetch = window.fetch.bind(window), wait = pause } = {}) {
    this.token = token;
    this.onDenied = onDenied;
    this.fetch = fetch;
    this.wait = wait;
  }

  get(path) {
    return this.#send("GET", path, undefined, {});
  }

  // Throws Problem; "unknown" means: it may have happened, press again with the same key to learn.
  post(path, body = {}, key = newKey()) {
    return this.#send("POST", path, JSON.stringify(body), { "Idempotency-Key": key });
  }

  // One try with much patience, for what takes long to make; answers the response, whose body is still to be read.
  async patient(path, patience = PATIENCE_MS) {
    let answer;
    try {
      const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
      answer = await this.fetch(path, { headers, cache: "no-store", signal: limit(patience) });
    } catch (error) {
      throw new Problem(0, { code: "unknown", detail: String(error) });
    }
    if (answer.ok) return answer;
    const problem = new Problem(answer.status, await read(answer));
    if (answer.status === 401) this.onDenied(problem, this.token);
    throw problem;
  }

  async #send(method, path, body, headers) {
    const request = { method, body, headers: { ...headers, Accept: "application/json" }, cache: "no-store" };
    if (body !== undefined) request.headers["Content-Type"] = "application/json";
    if (this.token) request.headers.Authorization = `Bearer ${this.token}`;
    let last = new Problem(0, { code: "unknown", detail: "no answer" });
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      let retry = 300 * 2 ** attempt;
      try {
        const answer = await this.fetch(path, { ...request, signal: limit(TIMEOUT_MS) });
        const data = await read(answer);
        if (answer.ok) return data;
        last = new Problem(answer.status, data);
        if (answer.status === 401) this.onDenied(last, this.token);
        if (answer.status < 500 && answer.status !== 429) throw last;
        const asked = 1000 * Number(answer.headers.get("Retry-After"));
        if (answer.status === 429 && asked > LONGEST_WAIT_MS) throw last; // whoever pressed should know
        retry = Math.min(LONGEST_WAIT_MS, asked || retry);
      } catch (error) {
        if (error === last) throw error;
        last = new Problem(0, { code: "unknown", detail: String(error) });
      }
      if (attempt < TRIES - 1) await this.wait(retry);
    }
    throw last;
  }
}

function limit(ms) {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), ms);
  return abort.signal;
}

async function read(answer) {
  const text = await answer.text();
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    if (answer.ok) throw new Error("the answer was cut short");
    return { code: "unknown", detail: text.slice(0, 200) };
  }
}

export const path = (hall, ...parts) =>
  ["/api/v1/halls", encodeURIComponent(hall), ...parts.map((part) => encodeURIComponent(part))].join("/");

// The hall's definition. Without it no page has names, so it is asked for until it comes; `onWait` is told meanwhile.
export async function loadHall(api, hall, onWait = () => {}) {
  for (;;) {
    try {
      const answer = await api.get(path(hall));
      return answer.services ? answer : answer.hall;
    } catch (error) {
      onWait(error);
      await api.wait(error.code === "unknown" ? 1000 : 10000);
    }
  }
}
