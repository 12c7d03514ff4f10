"""The summary of a played day: what happened, how fast, and whether every promise held.

Pure: figures from the record, words for people. `figures` is for programs, `summary` for the terminal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from . import habits
from .checks import CALLS, SHOWN, Check
from .record import Record


class Spread(NamedTuple):
    """Median, 99th percentile and largest of some durations in ms, and how many there were."""

    p50: float
    p99: float
    largest: float
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "—"
        return f"p50 {self.p50:.1f}  p99 {self.p99:.1f}  max {self.largest:.1f} ms  (n={self.of})"


def spread(values: Iterable[float]) -> Spread:
    """The spread of these values; nearest rank, so that every figure is one that was measured."""
    ranked = sorted(values)
    if not ranked:
        return Spread(0.0, 0.0, 0.0, 0)
    last = len(ranked) - 1
    return Spread(ranked[round(0.5 * last)], ranked[round(0.99 * last)], ranked[-1], len(ranked))


def press_to_screen(record: Record) -> tuple[Spread, Spread]:
    """How long from a clerk's press to a screen, over all boards: by the recorded instant, and by the local clock
    from the moment the command was first sent. Calls shown through a snapshot have no such time.
    """
    recorded: list[float] = []
    sent: list[float] = []
    presses = {(a.hall, a.no, a.n): a.sent_s for a in record.acks if a.kind in CALLS}
    for board in record.boards:
        for (no, n), (arrived_s, late_ms) in board.shown.items():
            recorded.append(late_ms)
            press = presses.get((board.hall, no, n))
            if press is not None:
                sent.append((arrived_s - press) * 1000)
    return spread(recorded), spread(sent)


def figures(record: Record, speed: float) -> dict[str, float]:
    """The run in numbers; durations in ms of real time, waits in seconds of the day."""
    kinds = Counter(ack.kind for ack in record.acks)
    events = Counter(event.kind for event in record.feed)
    recorded, sent = press_to_screen(record)
    waits = spread(_first_waits(record, speed))
    commands, lag = spread(record.command_ms), spread(record.lag_ms)
    return {
        "tickets": kinds["ticket.issued"],
        "calls": kinds["ticket.called"],
        "recalls": kinds["ticket.recalled"],
        "finished": kinds["ticket.finished"],
        "missed": events["ticket.missed"] or kinds["ticket.missed"],
        "returned": kinds["ticket.returned"],
        "cancelled": kinds["ticket.cancelled"],
        "left_over": record.left_over,
        "walked_out": record.walked_out,
        "ratings": kinds["rating.recorded"],
        "overtime_wait": events["overtime.wait"],
        "overtime_service": events["overtime.service"],
        "reviews": events["review.opened"],
        "wait_p50_s": waits.p50,
        "wait_p99_s": waits.p99,
        "commands": record.commands,
        "retries": record.retries,
        "replayed": record.replayed,
        "events": len(record.feed),
        "played_s": record.played_s,
        "tickets_per_s": kinds["ticket.issued"] / record.played_s if record.played_s else 0.0,
        "commands_per_s": record.commands / record.played_s if record.played_s else 0.0,
        "command_p50_ms": commands.p50,
        "command_p99_ms": commands.p99,
        "command_max_ms": commands.largest,
        "screen_recorded_p50_ms": recorded.p50,
        "screen_recorded_p99_ms": recorded.p99,
        "screen_recorded_max_ms": recorded.largest,
        "screen_sent_p50_ms": sent.p50,
        "screen_sent_p99_ms": sent.p99,
        "screen_sent_max_ms": sent.largest,
        "lag_p50_ms": lag.p50,
        "lag_p99_ms": lag.p99,
        "lag_max_ms": lag.largest,
    }


def _first_waits(record: Record, speed: float) -> list[float]:
    seen: set[tuple[str, str, int]] = set()
    waits = []
    for event in record.feed:
        key = (event.hall, event.data.ticket, event.data.leg)
        if event.kind == "ticket.called" and key not in seen:
            seen.add(key)
            waits.append((event.data.wait_ms or 0) * speed / 1000)
    return waits


def summary(record: Record, checks: Sequence[Check], *, speed: float, source: str, notes: Sequence[str]) -> str:
    """The whole summary as lines of text: Chinese first, English beside it."""
    f = figures(record, speed)
    recorded, sent = press_to_screen(record)
    n = {name: f"{value:.0f}" for name, value in f.items()}
    scores = Counter(event.data.score for event in record.feed if event.kind == "rating.recorded")
    stars = "  ".join(f"{score}: {scores[score]}" for score in habits.SCORES)
    boards = record.boards
    rows = [
        ("一天 day", f"{source}, speed {speed:g}, {f['played_s']:.1f} s of real time"),
        ("取号 tickets", f"{n['tickets']} issued ({f['tickets_per_s']:.1f}/s), {n['finished']} finished"),
        ("叫号 calls", f"{n['calls']} calls, {n['recalls']} recalls"),
        ("过号 missed", f"{n['missed']} missed, {n['returned']} returned"),
        (
            "离开 left",
            f"{n['walked_out']} ran out of patience, {n['left_over']} sent home at closing, "
            f"{n['cancelled']} cancelled in all",
        ),
        (
            "等候 wait",
            f"p50 {f['wait_p50_s']:.0f} s, p99 {f['wait_p99_s']:.0f} s of the day; "
            f"{n['overtime_wait']} over their limit",
        ),
        ("超时 overtime", f"{n['overtime_service']} services over their limit, {n['reviews']} reviews opened"),
        ("评价 ratings", f"{n['ratings']} generated ({stars})"),
        ("按键到屏 press to screen", f"since recorded: {recorded}"),
        ("", f"since pressed:  {sent}"),
        ("命令 commands", f"{n['commands']} ({f['commands_per_s']:.0f}/s)  {spread(record.command_ms)}"),
        ("", f"{n['retries']} sent again, {n['replayed']} answers replayed"),
        ("事件 feed", f"{n['events']} events, {record.redelivered} delivered again"),
        ("", f"arrival: {spread(record.feed_late_ms)}"),
        (
            "屏 boards",
            f"{len(boards)} boards, {sum(b.events for b in boards)} events, "
            f"{sum(b.snapshots for b in boards)} snapshots, {sum(b.connects for b in boards)} connections, "
            f"{sum(b.resyncs for b in boards)} resyncs",
        ),
        ("时钟 lag", f"arrivals behind the day's clock: {spread(record.lag_ms)}"),
    ]
    lines = [f"{label:<{_room(label)}} {text}" for label, text in rows]
    lines += [f"  - refused as a hall may: {what} {times} times" for what, times in sorted(record.turned_away.items())]
    lines += [f"  - {note}" for note in [*notes, f"invented: {habits.declaration()}"]]
    lines.append("")
    for check in checks:
        lines.append(f"{'✓' if check.held else '✗'} {check.name}: {check.compared}")
        lines += [f"    {finding}" for finding in check.broken[:SHOWN]]
        if len(check.broken) > SHOWN:
            lines.append(f"    ... and {len(check.broken) - SHOWN} more")
    held = sum(check.held for check in checks)
    lines.append("")
    lines.append(
        f"全部承诺兑现 all {held} promises held"
        if held == len(checks)
        else f"承诺未兑现 {len(checks) - held} of {len(checks)} promises broken"
    )
    return "\n".join(lines)


def _room(label: str, width: int = 26) -> int:
    """Field width of a label on a terminal, where a Chinese character takes two columns."""
    return width - sum(ord(c) > 0x2E80 for c in label)
