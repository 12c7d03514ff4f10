"""Whether the promises held on a played day. Each check says what it compared; one that compared nothing is broken.

Pure: reads the record of the day and the halls' definitions, answers with findings.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from qserver.domain.hall import Hall, ms
from qserver.domain.lifecycle import MOVES

from .record import Board, FeedEvent, Record

SHOWN = 5
"""How many findings of a check are told one by one."""
CALLS = ("ticket.called", "ticket.recalled")
COMMANDED = ("ticket.", "window.", "rating.recorded")
"""Beginnings of the kinds that nothing but a command (or time) leads to; the others follow from these."""
OVERTIME = ("overtime.wait", "overtime.service")


class Check(NamedTuple):
    """A promise, what was compared to see whether it held, and every way in which it did not."""

    name: str
    compared: str
    broken: list[str]

    @property
    def held(self) -> bool:
        """Whether nothing was found."""
        return not self.broken


def run(record: Record, halls: Sequence[Hall]) -> list[Check]:
    """All checks over a day played in these halls (as they were applied, limits scaled)."""
    by_hall = _by_hall(record.feed)
    return [
        numbers(record),
        calls(record, by_hall),
        boards(record),
        final_boards(record.boards),
        feed(record, by_hall),
        counts(record),
        overtime(by_hall, halls),
        ratings(record),
        day_ended(record),
    ]


def _by_hall(feed: Iterable[FeedEvent]) -> dict[str, list[FeedEvent]]:
    found: dict[str, list[FeedEvent]] = defaultdict(list)
    for event in feed:
        found[event.hall].append(event)
    for events in found.values():
        events.sort(key=lambda one: one.s)
    return found


def numbers(record: Record) -> Check:
    """No number twice: neither in the answers that printed slips nor in the feed."""
    slips = Counter((a.hall, a.no) for a in record.acks if a.kind == "ticket.issued")
    events = Counter((e.hall, e.data.ticket) for e in record.feed if e.kind == "ticket.issued")
    broken = [f"{hall} {no}: issued {n} times" for (hall, no), n in slips.items() if n > 1]
    broken += [f"{hall} {ticket}: issued {n} times in the feed" for (hall, ticket), n in events.items() if n > 1]
    if not slips:
        broken.append("no ticket was issued")
    return Check("号码不重复 no number twice", f"{slips.total()} slips, {events.total()} issues in the feed", broken)


def calls(record: Record, by_hall: Mapping[str, Sequence[FeedEvent]]) -> Check:
    """No ticket called twice: no call answered to two clerks, and in the feed's order every ticket is called only
    out of waiting or missed, and no window has two tickets.
    """
    answered = Counter((a.hall, a.ticket, a.n) for a in record.acks if a.kind in CALLS)
    broken = [f"{hall} {ticket}: call {n} was given {k} times" for (hall, ticket, n), k in answered.items() if k > 1]
    followed = 0
    for hall, events in by_hall.items():
        followed += len(events)
        broken += [f"{hall} {finding}" for finding in _follow(events)]
    return Check("同号不重叫 no ticket called twice", f"{answered.total()} calls, {followed} events followed", broken)


_EVENTS = {f"ticket.{move.event}": move for move in MOVES.values()}
_LEAVES_WINDOW = {f"ticket.{event}" for event in ("finished", "missed", "held", "transferred", "cancelled", "expired")}


def _follow(events: Sequence[FeedEvent]) -> list[str]:
    """Follows a hall's events by the table of moves; a ticket first seen in mid-life is taken as it comes."""
    broken: list[str] = []
    state: dict[str, str] = {}
    at: dict[str, str] = {}
    for event in events:
        kind, facts = event.kind, event.data
        if kind == "ticket.issued":
            if facts.ticket in state:
                broken.append(f"s={event.s} {facts.ticket}: issued again")
            state[facts.ticket] = "waiting"
            continue
        move = _EVENTS.get(kind)
        if move is None:
            continue
        was = state.get(facts.ticket)
        if was is not None and was not in move.sources:
            broken.append(f"s={event.s} {facts.ticket}: {move.event} while {was}")
        state[facts.ticket] = _target(event, move.target)
        if kind in ("ticket.called", "ticket.unheld", "ticket.undone"):
            there = at.get(facts.window)
            if there not in (None, facts.ticket):
                broken.append(f"s={event.s} {facts.ticket}: called to {facts.window} where {there} is")
            at[facts.window] = facts.ticket
        elif kind in _LEAVES_WINDOW and at.get(facts.window) == facts.ticket:
            del at[facts.window]
    return broken


def _target(event: FeedEvent, target: str) -> str:
    if event.kind == "ticket.finished" and event.data.next_service:
        return "waiting"
    if event.kind == "ticket.undone" and event.data.undid == "miss":
        return "called"
    return target


def boards(record: Record) -> Check:
    """Every call on every board of its hall, as an event or in the list of a snapshot, and none of them twice."""
    of_hall: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for ack in record.acks:
        if ack.kind in CALLS:
            of_hall[ack.hall].append((ack.no, ack.n))
    broken, compared, listed = [], 0, 0
    for board in record.boards:
        compared += len(of_hall[board.hall])
        missing = [call for call in of_hall[board.hall] if call not in board.shown and call not in board.listed]
        listed += sum(call not in board.shown for call in of_hall[board.hall]) - len(missing)
        broken += [f"{board.hall} {board.device}: never showed {no} (call {n})" for no, n in missing]
        broken += [
            f"{board.hall} {board.device}: {no} (call {n}) came {k + 1} times" for (no, n), k in board.twice.items()
        ]
    watched = {board.hall for board in record.boards}
    broken += [f"{hall}: no board" for hall in of_hall if hall not in watched]
    through = f", {listed} through a snapshot" if listed else ""
    return Check(
        "每屏每呼 every call on every board", f"{compared} showings on {len(record.boards)} boards{through}", broken
    )


def final_boards(found: Sequence[Board]) -> Check:
    """Every board ends showing what the server says it should."""
    broken = []
    for board in found:
        if board.last is None or board.truth is None:
            broken.append(f"{board.hall} {board.device}: nothing to compare")
            continue
        broken += [
            f"{board.hall} {board.device}: {part} differ: {_difference(board.last.get(part), board.truth.get(part))}"
            for part in ("calls", "windows", "waiting")
            if board.last.get(part) != board.truth.get(part)
        ]
    return Check("终态一致 boards end as the server's", f"calls, windows and waiting of {len(found)} boards", broken)


def _difference(shown: Any, truth: Any) -> str:
    if isinstance(shown, dict) and isinstance(truth, dict):
        keys = [key for key in sorted({*shown, *truth}) if shown.get(key) != truth.get(key)]
        return ", ".join(f"{key} {shown.get(key)} instead of {truth.get(key)}" for key in keys[:3])
    if isinstance(shown, list) and isinstance(truth, list):
        pairs = [(a, b) for a, b in zip(shown, truth, strict=False) if a != b]
        first = f", first {pairs[0][0]} instead of {pairs[0][1]}" if pairs else ""
        return f"{len(shown)} instead of {len(truth)} entries{first}"
    return f"{shown} instead of {truth}"


def feed(record: Record, by_hall: Mapping[str, Sequence[FeedEvent]]) -> Check:
    """Every state change in the feed: each acknowledged one exactly once with its instant, no sequence number left
    out, and nothing there that nobody asked for.
    """
    broken = ["the feed was cut: events were lost"] if record.truncated else []
    for hall, events in by_hall.items():
        for before, after in itertools.pairwise(events):
            if after.s != before.s + 1:
                broken.append(f"{hall}: after s={before.s} comes s={after.s}")
    timed: Counter[tuple[str, str, str, int]] = Counter()
    plain: Counter[tuple[str, str, str]] = Counter()
    by_time = 0
    for event in record.feed:
        if not event.kind.startswith(COMMANDED):
            continue
        if event.data.actor == "system":
            by_time += 1
            continue
        key = (event.hall, event.kind, event.data.ticket or event.data.window)
        timed[*key, event.data.at_ms] += 1
        plain[key] += 1
    for ack in record.acks:
        key = (ack.hall, ack.kind, ack.ticket or ack.window)
        plain[key] -= 1
        if ack.at_ms and not timed[*key, ack.at_ms]:
            broken.append(f"{ack.hall} {ack.kind} {key[2]}: acknowledged for {ack.at_ms}, not in the feed at that time")
    for (hall, kind, name), left in plain.items():
        if left < 0:
            broken.append(f"{hall} {kind} {name}: {-left} acknowledged, not in the feed")
        elif left > 0:
            broken.append(f"{hall} {kind} {name}: {left} in the feed, never acknowledged")
    own = f", {by_time} by time itself" if by_time else ""
    compared = f"{len(record.acks)} acknowledged changes with {len(record.feed)} events{own}"
    return Check("变更全入流 every state change in the feed", compared, broken)


def counts(record: Record) -> Check:
    """Counts are equal between commands acknowledged, feed and day report, per hall."""
    broken, compared = [], 0
    for hall, report in record.counted.items():
        events = [(e.kind, e.data.ticket, e.data.actor) for e in record.feed if e.hall == hall]
        in_feed = _tally((kind, ticket) for kind, ticket, _ in events)
        acknowledged = _tally(
            [(a.kind, a.ticket) for a in record.acks if a.hall == hall]
            # What time itself does nobody acknowledges.
            + [(kind, ticket) for kind, ticket, actor in events if actor == "system" or kind in OVERTIME]
        )
        for figure, in_report in report.items():
            compared += 3
            found = {"acknowledged": acknowledged[figure], "feed": in_feed[figure], "report": in_report}
            if len(set(found.values())) > 1:
                broken.append(f"{hall} {figure}: " + ", ".join(f"{where} {n}" for where, n in found.items()))
    if not record.counted:
        broken.append("no day report was read")
    return Check(
        "账实相符 counts equal: commands, feed, report", f"{compared} figures of {len(record.counted)} halls", broken
    )


FIGURES = ("issued", "called", "served", "missed", "left", "ratings.rated", "overtime.wait", "overtime.service")
"""Figures of a day report's totals that a run can count by itself."""


def _tally(changes: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The figures of a day report, counted from changes `(kind, ticket)`; visits of a played day have one leg."""
    of: dict[str, list[str]] = defaultdict(list)
    for kind, ticket in changes:
        of[kind].append(ticket)
    values = (
        len(of["ticket.issued"]),
        len(set(of["ticket.called"])),
        len(of["ticket.finished"]),
        len(of["ticket.missed"]) - len(of["ticket.returned"]),
        len(of["ticket.cancelled"]),
        len(of["rating.recorded"]),
        len(of["overtime.wait"]),
        len(of["overtime.service"]),
    )
    return dict(zip(FIGURES, values, strict=True))


def overtime(by_hall: Mapping[str, Sequence[FeedEvent]], halls: Sequence[Hall]) -> Check:
    """Every wait and every service over its limit is flagged exactly once, and no other."""
    broken: list[str] = []
    looked_at = flagged = 0
    for hall in halls:
        limits = {s.id: (ms(s.wait_limit_s), ms(s.service_limit_s)) for s in hall.services}
        events = by_hall.get(hall.id, ())
        flags = Counter((e.kind, e.data.ticket, e.data.leg) for e in events if e.kind in OVERTIME)
        flagged += flags.total()
        broken += [f"{hall.id} {of[0]} leg {of[1]}: {kind} {n} times" for (kind, *of), n in flags.items() if n > 1]
        firsts: set[tuple[str, int]] = set()
        for event in events:
            facts = event.data
            leg = (facts.ticket, facts.leg)
            if event.kind == "ticket.called" and leg not in firsts:
                firsts.add(leg)
                kind, spent, limit = "overtime.wait", facts.wait_ms or 0, limits.get(facts.service, (0, 0))[0]
            elif event.kind == "ticket.finished":
                kind, spent, limit = "overtime.service", facts.service_ms or 0, limits.get(facts.service, (0, 0))[1]
            else:
                continue
            looked_at += 1
            if (limit > 0 and spent > limit) != ((kind, *leg) in flags):
                was = "flagged" if (kind, *leg) in flags else "not flagged"
                broken.append(f"{hall.id} {facts.ticket} leg {facts.leg}: {kind} {was} at {spent} of {limit} ms")
    return Check(
        "超时必记 every overtime flagged once", f"{looked_at} waits and services, {flagged} over their limit", broken
    )


def ratings(record: Record) -> Check:
    """One service, one rating: none twice, and all of this run declared as played."""
    rated = Counter(
        (event.hall, event.data.ticket, event.data.leg) for event in record.feed if event.kind == "rating.recorded"
    )
    broken = [f"{hall} {ticket} leg {leg}: rated {n} times" for (hall, ticket, leg), n in rated.items() if n > 1]
    return Check("一次一评 one service, one rating", f"{rated.total()} ratings", broken)


def day_ended(record: Record) -> Check:
    """The day came to its end and no command was refused that should not have been."""
    broken = [*([record.unfinished] if record.unfinished else []), *record.refused]
    return Check("无意外 the day ended as played", f"{record.commands} commands", broken)
