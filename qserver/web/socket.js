// The browser's socket around the chain: connects, keeps connected, tells the page what came. A page sees `onSnapshot`
// `onEvent` `onState` and, on every change of the connection, `onLink({live, since, final})`.

import { Chain } from "./chain.js";
import { newKey } from "./api.js";
import { ServerClock } from "./time.js";

const TICK_MS = 250;

export class Follow {
  #chain;
  #on;
  #socket = null;
  #timer = 0;
  #retry = 0;
  #stopped = false;
  #told = null; // what onLink heard last

  // `device` names this page load; a reconnect replaces its own half-dead predecessor, never another tab.
  constructor({ token, hall, topic, page, onSnapshot, onEvent, onState, onLink, clock = new ServerClock() }) {
    this.clock = clock;
    this.live = false; // welcomed, and the state that follows has come
    this.seen_ms = clock.now(); // when we last knew the truth, by the server's clock
    this.#on = { onSnapshot, onEvent, onState, onLink };
    this.#chain = new Chain({ token, hall, topic, device: `${page}-${newKey().slice(0, 12)}` });
    this.wake = () => {
      if (document.visibilityState === "visible") this.#tick(); // timers slept with the phone
    };
    this.online = () => {
      if (!this.#socket) this.#connect();
    };
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.online);
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.online);
    clearTimeout(this.#retry);
    this.#socket?.close();
  }

  #connect() {
    clearTimeout(this.#retry);
    if (this.#stopped) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`, "qserver.v1.json");
    this.#socket = socket;
    const now = () => performance.now();
    const mine = (take) => (event) => {
      if (socket === this.#socket) take(event);
    };
    socket.onopen = mine(() => this.#run(this.#chain.opened(now())));
    socket.onmessage = mine((event) => this.#run(this.#chain.received(JSON.parse(event.data), now())));
    socket.onclose = mine((event) => this.#lost(event.code));
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#chain.opened(now()); // the silence is counted from here, also while connecting
  }

  #tick() {
    if (this.#socket) this.#run(this.#chain.tick(performance.now()));
  }

  #lost(code) {
    clearInterval(this.#timer);
    this.#socket = null;
    const wait = this.#chain.closed(code);
    this.#link(false, wait === null ? this.#chain.bye?.code ?? code : 0);
    if (wait !== null && !this.#stopped) this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #link(live, final = 0) {
    this.live = live;
    if (this.#told === live && !final) return;
    this.#told = live;
    this.#on.onLink?.({ live, since: this.seen_ms, final });
  }

  #run(steps) {
    for (const step of steps) {
      switch (step.do) {
        case "send":
          if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(step.message));
          break;
        case "close": {
          const socket = this.#socket;
          this.#lost(1006); // a dead connection's own close event may take minutes
          socket?.close();
          return;
        }
        case "welcome":
          this.clock.sync(step.now_ms);
          if (step.mode === "resume") this.#know();
          break;
        case "clock":
          this.clock.sync(step.now_ms);
          if (this.live) this.seen_ms = step.now_ms;
          break;
        case "snapshot":
          this.#on.onSnapshot?.(step.board);
          this.#know();
          break;
        case "state":
          this.#on.onState?.(step.state);
          this.#know();
          break;
        case "event":
          this.#on.onEvent?.(step.event);
          this.#know();
          break;
      }
    }
  }

  #know() {
    this.seen_ms = this.clock.now();
    this.#link(true);
  }
}
