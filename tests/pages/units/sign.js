import { Spool } from "/evaluator/spool.js";
import { hmac, sha256, signature, signingKey } from "/evaluator/sign.js";
import { ok, same } from "./check.js";

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const utf8 = (text) => new TextEncoder().encode(text);

class Storage {
  items = new Map();
  getItem(key) { return this.items.get(key) ?? null; }
  setItem(key, value) { this.items.set(key, value); }
  removeItem(key) { this.items.delete(key); }
}

const rating = (rid) => ({ rid, ticket: "20260102-A001", leg: 1, score: 1, reasons: ["服务态度"], comment: "太“慢”", at_ms: 1000 });

// For test_modules.py: the same fields signed here and by the server's own code.
export const signatures = (token, all) => all.map((fields) => signature(signingKey(token), ...fields));

export const tests = {
  "digests are those of FIPS 180-4, at every length around a block"() {
    same(hex(sha256(utf8("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    same(hex(sha256(utf8(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    same(hex(sha256(utf8("a".repeat(1000000)))), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  },
  "codes are those of RFC 4231"() {
    same(hex(hmac(new Uint8Array(20).fill(0x0b), utf8("Hi There"))),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    same(hex(hmac(new Uint8Array(131).fill(0xaa), utf8("Test Using Larger Than Block-Size Key - Hash Key First"))),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  },
  async "the browser's own, where it has one, says the same"() {
    if (!crypto.subtle) return;
    for (let length = 0; length < 200; length += 1) {
      const bytes = crypto.getRandomValues(new Uint8Array(length));
      same(hex(sha256(bytes)), hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))), String(length));
    }
  },
  "a spool is one device and gives each number once, over reloads"() {
    const storage = new Storage();
    const first = new Spool(storage, "k");
    first.add(rating("a"));
    first.settle([{ rid: "a" }], [{ rid: "a", status: "recorded" }]);
    const later = new Spool(storage, "k");
    same(later.device, first.device);
    later.add(rating("b"));
    same(later.batch(0).map((one) => [one.rid, one.n]), [["b", 2]]);
    ok(new Spool(new Storage(), "k").device !== first.device, "a wiped storage is another device");
  },
  "a body is signed as it is sent; what has no number goes as it is"() {
    const storage = new Storage();
    storage.setItem("k", JSON.stringify([rating("old")]));
    const spool = new Spool(storage, "k");
    spool.add(rating("new"));
    const at = { token: "t", hall: "h1", window: "w1" };
    const body = spool.signed(at, spool.batch(3000), []);
    same(Object.keys(body), ["device", "items", "shown"]);
    ok(!("sig" in body.items[0]) && !("n" in body.items[0]), "from before there were numbers");
    same(body.items[1].sig, signature(signingKey("t"), "rating", "h1", "w1", spool.device, 1, "new", "20260102-A001", 1, 1, 2000,
      [], ["服务态度"], "太“慢”"));
    same(JSON.parse(JSON.stringify(body.items[1])), body.items[1]);
  },
  "a prompt that was shown is told once, with its age"() {
    const spool = new Spool(new Storage(), "k");
    spool.show("20260102-A001", 1, 1000);
    spool.show("20260102-A001", 1, 9000);
    spool.show("20260102-A001", 2, 2000);
    const prompts = spool.prompts(5000);
    same(prompts, [{ ticket: "20260102-A001", leg: 1, age_ms: 4000 }, { ticket: "20260102-A001", leg: 2, age_ms: 3000 }]);
    same(spool.signed({ token: "t", hall: "h1", window: "w1" }, [], prompts).shown[0].sig.length, 64);
    spool.told(prompts.slice(0, 1));
    same(spool.prompts(5000).length, 1);
    same(spool.size, 0, "prompts are no ratings");
  },
};
