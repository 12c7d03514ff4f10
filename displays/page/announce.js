// Which call is announced when: in the order of the calls, one at a time, each once, none older than 30 s. Pure: calls
// and the time go in, the next call to announce comes out.

export const SPEAK_WITHIN_MS = 30000;
const REMEMBERED = 200;

const identity = (call) => `${call.ticket}|${call.window}|${call.n}|${call.at_ms}`;

export class Announcer {
  #queue = [];
  #known = new Set();
  #speaking = false;

  // Calls in any order; those offered before, and those too old already, are left out.
  offer(calls, now) {
    const fresh = calls.filter((call) => now - call.at_ms < SPEAK_WITHIN_MS && !this.#known.has(identity(call)));
    fresh.sort((a, b) => a.at_ms - b.at_ms || a.s - b.s);
    for (const call of fresh) {
      this.#known.add(identity(call));
      this.#queue.push(call);
    }
    for (const old of this.#known) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(old);
    }
  }

  // The call to announce now, or null: somebody speaks, or nothing is left that is young enough.
  next(now) {
    if (this.#speaking) return null;
    while (this.#queue.length) {
      const call = this.#queue.shift();
      if (now - call.at_ms < SPEAK_WITHIN_MS) {
        this.#speaking = true;
        return call;
      }
    }
    return null;
  }

  // The one given out by `next` has been said.
  done() {
    this.#speaking = false;
  }
}

const DIGITS = "零一二三四五六七八九";

// What is said, per language. Numbers are spelled out, since voices would read A1000 as "one thousand".
export function wording(call, window) {
  const spelled = [...call.ticket];
  const zh = spelled.map((c) => DIGITS[c] ?? c).join(" ");
  const number = window.match(/\d{1,4}/)?.[0];
  const place = window.includes("窗") ? window : `${number ? `${Number(number)}号` : window}窗口`;
  return {
    zh: `请 ${zh} 号到${place}`,
    en: `Ticket ${spelled.join(" ")}, please go to ${number ? `window ${Number(number)}` : window}`,
  };
}
