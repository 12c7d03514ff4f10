import { Api, Problem, newKey } from "/web/api.js";
import { ok, same } from "./check.js";

// A server of prepared answers: {status, body, headers} or an Error; records what was asked.
function prepared(...answers) {
  const asked = [];
  const fetch = async (path, request) => {
    asked.push({ path, ...request, signal: undefined });
    const next = answers[Math.min(asked.length, answers.length) - 1];
    if (next instanceof Error) throw next;
    const body = typeof next.body === "string" ? next.body : JSON.stringify(next.body ?? {});
    return new Response(body, { status: next.status ?? 200, headers: next.headers });
  };
  const waits = [];
  const denied = [];
  const api = new Api("tok", { fetch, wait: async (ms) => waits.push(ms), onDenied: (error, token) => denied.push([error.code, token]) });
  return { api, asked, waits, denied };
}

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    ok(error instanceof Problem, `a Problem, not ${error}`);
    return [error.status, error.code];
  }
  throw new Error("was not refused");
}

const unavailable = { status: 503, body: { code: "unavailable" }, headers: { "Retry-After": "2" } };

export const tests = {
  async "a broken connection and 5xx are repeated with the same key and the same bytes"() {
    const { api, asked, waits } = prepared(new TypeError("broken"), unavailable, { status: 201, body: { a: 1 } });
    same(await api.post("/x", { b: 2 }), { a: 1 });
    same(asked.length, 3);
    same(new Set(asked.map((one) => one.headers["Idempotency-Key"])).size, 1);
    same(asked.map((one) => one.body), ['{"b":2}', '{"b":2}', '{"b":2}']);
    same(waits[1], 2000, "waits as long as it was told");
  },
  async "two presses have two keys"() {
    const { api, asked } = prepared({ body: {} });
    await api.post("/x");
    await api.post("/x");
    same(new Set(asked.map((one) => one.headers["Idempotency-Key"])).size, 2);
    ok(/^[0-9a-f]{32}$/.test(newKey()), "a key");
  },
  async "a refusal is final and keeps its data"() {
    const { api, asked } = prepared({ status: 409, body: { code: "wrong_state", state: "called" } });
    same(await refused(api.post("/x")), [409, "wrong_state"]);
    same(asked.length, 1);
  },
  async "too many requests are asked again"() {
    const { api, asked } = prepared({ status: 429, body: { code: "rate_limited" } }, { body: { fine: true } });
    same(await api.post("/x"), { fine: true });
    same(asked.length, 2);
  },
  async "a wait too long to sit through is told at once"() {
    const { api, asked } = prepared({ status: 429, body: { code: "rate_limited" }, headers: { "Retry-After": "900" } });
    same(await refused(api.post("/x")), [429, "rate_limited"]);
    same(asked.length, 1);
  },
  async "an answer cut short is no answer"() {
    const { api, asked } = prepared({ body: '{"ticket":' }, { body: { ticket: 1 } });
    same(await api.post("/x"), { ticket: 1 });
    same(asked.length, 2);
  },
  async "after the last try it is unknown, and the same key may be pressed again"() {
    const { api, asked } = prepared(new TypeError("broken"));
    same(await refused(api.post("/x", {}, "key-1")), [0, "unknown"]);
    same(await refused(api.post("/x", {}, "key-1")), [0, "unknown"]);
    same(new Set(asked.map((one) => one.headers["Idempotency-Key"])).size, 1);
  },
  async "a page that is no problem document is unknown, not shown"() {
    const { api } = prepared({ status: 502, body: "<html>bad gateway</html>" });
    same(await refused(api.post("/x")), [502, "unknown"]);
  },
  async "a token that no longer holds is told"() {
    const { api, denied } = prepared({ status: 401, body: { code: "unauthorized" } });
    same(await refused(api.get("/x")), [401, "unauthorized"]);
    same(denied, [["unauthorized", "tok"]]);
  },
  async "a token stands in the header, never in the address; without one there is no header"() {
    const { api, asked } = prepared({ body: {} });
    await api.get("/x");
    same([asked[0].path, asked[0].headers.Authorization], ["/x", "Bearer tok"]);
    const open = new Api("", { fetch: async (path, request) => new Response(JSON.stringify(request.headers)) });
    ok(!("Authorization" in await open.get("/x")), "no header");
  },
};
