// What a supervisor should look at now, from the live figures and the reviews that have not ended. Pure: those, the hall
// and the time go in, [{kind: "bad" | "warn", key, values}] come out, the worst first.

import { timer } from "./clerk-commands.js";
import { byUrgency, overdue } from "./review-steps.js";

export function alerts(stats, hall, now, reviews = [], staff = []) {
  const found = [];
  const warn = hall.overtime?.warn_at ?? 0.8;
  for (const w of stats.windows) {
    if (w.state !== "serving") continue;
    const { level, ms } = timer(w, now, warn);
    if (level) {
      found.push({ kind: level === "over" ? "bad" : "warn", key: `alert_service_${level}`, window: w.id, ticket: w.ticket, ms });
    }
  }
  for (const service of hall.services) {
    const figures = stats.services[service.id];
    if (figures?.doubtful) found.push({ kind: "warn", key: "alert_doubtful", service: service.id, n: figures.doubtful });
    if (!figures?.waiting) continue;
    const waited = figures.longest_wait_ms + (figures.longest_wait_ms ? now - stats.now_ms : 0);
    const limit = (service.wait_limit_s ?? 0) * 1000;
    if (limit && waited >= limit * warn) {
      found.push({
        kind: waited >= limit ? "bad" : "warn", key: waited >= limit ? "alert_wait_over" : "alert_wait_soon",
        service: service.id, ms: waited,
      });
    }
    const serving = stats.windows.filter((w) => w.services.includes(service.id) && !["closed", "paused"].includes(w.state));
    if (!serving.length) found.push({ kind: "bad", key: "alert_no_window", service: service.id, n: figures.waiting });
    for (const w of serving) {
      if (w.state === "idle" && now - w.since_ms > 60000 && !found.some((one) => one.key === "alert_idle" && one.window === w.id)) {
        found.push({ kind: "warn", key: "alert_idle", window: w.id, ms: now - w.since_ms });
      }
    }
  }
  const late = reviews.filter((one) => overdue(one, now)).sort(byUrgency);
  if (late.length) found.push({ kind: "bad", key: "alert_reviews_late", n: late.length, review: late[0].id });
  for (const { id, locked_until_ms: until } of staff) {
    if (until && until > now) found.push({ kind: "bad", key: "alert_locked", staff: id, at: until });
  }
  if (stats.open_reviews) found.push({ kind: "warn", key: "alert_reviews", n: stats.open_reviews });
  return found.sort((a, b) => (a.kind === b.kind ? 0 : a.kind === "bad" ? -1 : 1));
}
