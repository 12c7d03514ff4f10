// What the pad shows and when, without a screen: the window as the server tells it, touches and the time go in, the
// screen and finished ratings come out. Asks once per finished service and counts down; silence is no rating. A face
// that was pressed is the rating: its reasons are optional, and leaving during them still sends it.

export const ASK_MS = 90000;
export const WHY_MS = 60000;
export const THANKS_MS = 5000;

const NEGATIVE = 2;
const REMEMBERED = 50;

export class Prompt {
  #answered; // "ticket:leg" of what was rated here, so that nothing is asked twice, also offline
  #window = null;
  #asked = null; // {id, ticket, leg, until, since} the service being asked about
  #score = 0; // pressed, reasons still open
  #chosenAt = 0;
  #thanksUntil = 0;
  #dismissed = ""; // the service whose countdown ran out

  // `onRating({ticket, leg, score, reasons, comment, at_ms})` is called exactly once per rating, `onAsked(ticket, leg,
  // at_ms)` whenever a question appears.
  constructor({ answered = [], onRating, onAsked = () => {} }) {
    this.#answered = [...answered];
    this.onRating = onRating;
    this.onAsked = onAsked;
  }

  get answered() {
    return [...this.#answered];
  }

  // The window's state came.
  window(w, now) {
    this.#window = w;
    const id = w.rate ? `${w.rate.ticket}:${w.rate.leg}` : "";
    if (this.#asked && this.#asked.id !== id) this.#end(now);
    if (id && !this.#asked && id !== this.#dismissed && !this.#answered.includes(id)) this.#ask(w.rate, id, now);
  }

  #ask(rate, id, now) {
    this.#asked = { id, ticket: rate.ticket, leg: rate.leg, until: Math.min(rate.until_ms, now + ASK_MS) };
    this.#score = 0;
    this.onAsked(rate.ticket, rate.leg, now);
  }

  // The person wants to rate after the countdown ran out and the server still allows it.
  again(now) {
    const rate = this.#window?.rate;
    if (!rate || this.#asked) return;
    this.#dismissed = "";
    this.window(this.#window, now);
  }

  press(score, now) {
    if (!this.#asked || this.#score) return;
    this.#score = score;
    this.#chosenAt = now;
    if (score > NEGATIVE) this.#send([], "", now);
  }

  // What would be sent if the pad lost its power now: the pressed face, or null.
  get pressed() {
    if (!this.#asked || !this.#score) return null;
    const { ticket, leg } = this.#asked;
    return { ticket, leg, score: this.#score, reasons: [], comment: "", at_ms: this.#chosenAt };
  }

  // Pressed the wrong face: back to all five, before anything was sent.
  back(now) {
    if (!this.#score || !this.#asked) return;
    this.#score = 0;
    this.#asked.until = Math.max(this.#asked.until, Math.min(this.#window?.rate?.until_ms ?? 0, now + ASK_MS));
  }

  submit(reasons, comment, now) {
    if (this.#asked && this.#score) this.#send(reasons, comment, now);
  }

  #send(reasons, comment, now) {
    const { ticket, leg, id } = this.#asked;
    const rating = { ticket, leg, score: this.#score, reasons, comment, at_ms: this.#chosenAt };
    this.#answered = [...this.#answered, id].slice(-REMEMBERED);
    this.#asked = null;
    this.#score = 0;
    this.#thanksUntil = now + THANKS_MS;
    this.onRating(rating);
  }

  // The question is over: another service began, the server took it back, or the time ran out.
  #end(now) {
    if (this.#score) this.#send([], "", now);
    else this.#asked = null;
  }

  tick(now) {
    if (!this.#asked) return;
    const until = this.#score ? this.#chosenAt + WHY_MS : this.#asked.until;
    if (now < until) return;
    this.#dismissed = this.#asked.id;
    this.#end(now);
  }

  // {name: closed | idle | called | serving | paused | ask | why | thanks, score, left_ms, may_rate}
  screen(now) {
    const w = this.#window;
    if (!w) return { name: "waiting" };
    if (this.#asked && this.#score) {
      return { name: "why", score: this.#score, left_ms: Math.max(0, this.#chosenAt + WHY_MS - now) };
    }
    if (this.#asked) return { name: "ask", left_ms: Math.max(0, this.#asked.until - now) };
    if (now < this.#thanksUntil) return { name: "thanks" };
    const id = w.rate ? `${w.rate.ticket}:${w.rate.leg}` : "";
    return { name: w.state, may_rate: Boolean(id) && now < w.rate.until_ms && !this.#answered.includes(id) };
  }
}
