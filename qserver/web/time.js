// Instants and durations for people. The clock is the server's: tablets' own clocks are often wrong.

export class ServerClock {
  #base = Date.now();
  #at = performance.now();

  // now_ms comes with every heartbeat; the stopwatch bridges the time between.
  sync(now_ms) {
    this.#base = now_ms;
    this.#at = performance.now();
  }

  now() {
    return this.#base + (performance.now() - this.#at);
  }
}

const formats = new Map();

function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat("zh-CN", { ...options, timeZone: zone || undefined, hourCycle: "h23" });
    } catch {
      made = new Intl.DateTimeFormat("zh-CN", { ...options, hourCycle: "h23" }); // a zone this browser does not know
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

export const hm = (ms, zone) => format(zone, { hour: "2-digit", minute: "2-digit" }).format(ms);
export const hms = (ms, zone) => format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
export const monthDay = (ms, zone) => format(zone, { month: "2-digit", day: "2-digit" }).format(ms);
// YYYY-MM-DD, as the server writes days
export const isoDay = (ms, zone) =>
  format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }).format(ms).replaceAll("/", "-");
export const day = (ms, zone) =>
  format(zone, { year: "numeric", month: "long", day: "numeric", weekday: "long" }).format(ms);

// 4:05, 1:02:09
export function stopwatch(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

// A wait as the range it is, in whole minutes: [中文, English].
export function waitRange([low, high]) {
  const [from, to] = [Math.floor(low / 60000), Math.ceil(high / 60000)];
  if (from === 0 && to > 1) return [`最多 ${to} 分钟`, `up to ${to} min`];
  if (to <= 1) return ["不到 1 分钟", "under 1 min"];
  if (from === to) return [`约 ${to} 分钟`, `about ${to} min`];
  return [`约 ${from}–${to} 分钟`, `about ${from}–${to} min`];
}
