"""A month recounted from the feed alone: legs from their first to their last event, ratings, cases, follow-ups.

Only instants and names of events are believed; every duration, limit, term and refusal is worked out again from
`month_rules`. Pure: no store, no clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from qserver.domain.events import Event
from tests.acceptance.month_people import Sent
from tests.acceptance.month_rules import (
    LATE_DAYS,
    LIMIT_MS,
    PAD_MS,
    SKEW_MS,
    TERM_DAYS,
    WAIT_MS,
    case_due,
    end_of,
)

Key = tuple[str, int]
"""A leg: ticket id and number."""
UNSERVED = ("transferred", "cancelled", "expired")


@dataclass
class Leg:
    """One service of a visit, as its events tell it."""

    ticket: str
    number: int
    service: str
    queued_ms: int
    window: str = ""
    staff: str = ""
    first_called_ms: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)  # in service from, to
    since_ms: int = 0  # in service since, 0 while it is not
    ended_ms: int = 0
    how: str = ""

    @property
    def key(self) -> Key:
        """Its name."""
        return self.ticket, self.number

    @property
    def served(self) -> bool:
        """Whether it was finished at a window."""
        return bool(self.how) and self.how not in UNSERVED

    @property
    def service_ms(self) -> int:
        """How long it was in service, without what was held."""
        return sum(end - start for start, end in self.spans)

    @property
    def is_over(self) -> bool:
        """Whether the service took longer than it may."""
        return 0 < LIMIT_MS[self.service] < self.service_ms

    @property
    def waited_too_long(self) -> bool:
        """Whether the first call, or the end without one, came later than it may."""
        return 0 < WAIT_MS[self.service] < (self.first_called_ms or self.ended_ms) - self.queued_ms

    @property
    def limit_at_ms(self) -> int:
        """The last instant at which the service was not over its limit."""
        left = LIMIT_MS[self.service]
        for start, end in self.spans:
            if end - start > left:
                return start + left
            left -= end - start
        raise ValueError("it never was")

    def stop(self, at_ms: int) -> None:
        """The service stops, for good or for a while."""
        if self.since_ms:
            self.spans.append((self.since_ms, at_ms))
        self.since_ms = 0

    def end(self, at_ms: int, how: str) -> None:
        """The leg is over."""
        self.stop(at_ms)
        self.ended_ms, self.how = at_ms, how


def legs_of(events: Iterable[Event]) -> dict[Key, Leg]:
    """All legs, each as it is after the last event."""
    visits: dict[str, list[Leg]] = {}
    for event in events:
        kind, at_ms, more = event.kind, event.at_ms, event.more()
        if kind == "ticket.issued":
            visits[event.ticket] = [Leg(event.ticket, 1, event.service, at_ms)]
        if not kind.startswith("ticket."):
            continue
        visit = visits[event.ticket]
        leg = visit[-1]
        if kind == "ticket.called":
            leg.first_called_ms = leg.first_called_ms or at_ms
            leg.window, leg.staff = event.window, event.staff
        elif kind in ("ticket.started", "ticket.unheld"):
            leg.since_ms, leg.window, leg.staff = at_ms, event.window, event.staff
        elif kind == "ticket.held":
            leg.stop(at_ms)
        elif kind in ("ticket.finished", "ticket.transferred"):
            leg.end(at_ms, more.get("outcome", "transferred"))
            if "next_service" in more:
                visit.append(Leg(event.ticket, leg.number + 1, more["next_service"], at_ms))
        elif kind in ("ticket.cancelled", "ticket.expired"):
            leg.end(at_ms, kind.removeprefix("ticket."))
        elif kind == "ticket.undone" and more["undid"] == "finish":
            del visit[event.leg :]
            leg = visit[-1]
            leg.since_ms, _ = leg.spans.pop()
            leg.ended_ms, leg.how = 0, ""
    return {leg.key: leg for visit in visits.values() for leg in visit}


@dataclass(frozen=True)
class Rating:
    """A rating that must have been recorded."""

    score: int
    source: str
    given_ms: int
    recorded_ms: int
    rid: str


class Judge:
    """What must become of each rating that was sent, in the order of sending."""

    def __init__(self, legs: dict[Key, Leg]) -> None:
        self._legs = legs
        self._tickets = {ticket for ticket, _ in legs}
        self.recorded: dict[Key, Rating] = {}

    def of(self, sent: Sent) -> str:
        """`recorded`, `duplicate`, or why not."""
        item, now = sent.item, sent.at_ms
        leg = self._legs.get((item.ticket, item.leg))
        if item.ticket not in self._tickets:
            return "not_found"
        if leg is None or not leg.served or leg.ended_ms > now:
            return "not_finished"
        late = now > end_of(leg.ended_ms, LATE_DAYS)
        stands = self.recorded.get(leg.key)
        if sent.window not in ("", leg.window):
            return "other_window"
        if not 1 <= item.score <= 5:
            return "no_level"
        if stands and not late:
            if stands.rid != item.rid:
                return "already_rated"
            return "duplicate" if stands.score == item.score else "other_score"
        given = now - item.age_ms
        if given < leg.ended_ms - SKEW_MS:
            return "before_the_finish"
        given = max(given, leg.ended_ms)
        if late:
            return "too_late"
        if sent.window and given > leg.ended_ms + PAD_MS:
            return "after_the_pads_time"
        source = "active" if sent.window else "active_late"
        self.recorded[leg.key] = Rating(item.score, source, given, now, item.rid)
        return "recorded"


SAID: dict[str, set[tuple[str, str]]] = {
    "recorded": {("recorded", "")},
    "duplicate": {("duplicate", "")},
    "already_rated": {("conflict", "already_rated")},
    "other_score": {("conflict", "other_score")},
    "not_found": {("rejected", "not_found")},
    "not_finished": {("rejected", "wrong_state")},
    "other_window": {("rejected", "forbidden")},
    "no_level": {("rejected", "validation")},
    "before_the_finish": {("rejected", "validation")},
    "after_the_pads_time": {("rejected", "wrong_state")},
    "too_late": {("rejected", "wrong_state"), ("rejected", "not_found")},  # the ticket may have left by then
}
"""What the answer to each must have been."""


@dataclass
class Case:
    """A promise, as its events tell it."""

    leg: Key
    accepted_ms: int
    due_ms: int
    told_due_ms: int
    ended_ms: int = 0
    how: str = ""

    def is_overdue(self, now: int) -> bool:
        """Whether it was not kept."""
        return self.how != "withdrawn" and (self.ended_ms or now) > self.due_ms


def cases_of(events: Iterable[Event]) -> dict[str, Case]:
    """All promises by number."""
    found: dict[str, Case] = {}
    for event in events:
        number = event.more().get("case", "")
        if event.kind == "case.accepted":
            due = case_due(event.service, event.at_ms)
            found[number] = Case((event.ticket, event.leg), event.at_ms, due, event.due_ms)
        elif event.kind in ("case.completed", "case.withdrawn"):
            found[number].ended_ms, found[number].how = event.at_ms, event.kind.removeprefix("case.")
    return found


_TERM = {"opened": "verify", "verified": "rectify", "rectified": "revisit", "appealed": "decide",
         "revisited": "", "closed": "", "excluded": ""}  # fmt: skip
"""The term that begins with a step; assigning begins none."""


@dataclass
class FollowUp:
    """A review, as its events tell it; `due_ms` 0 when nothing is waited for."""

    source: str
    leg: Key
    window: str
    staff: str
    opened_ms: int
    due_ms: int
    steps: list[str]
    term: str = "verify"
    before_appeal: str = ""
    lates: int = 0  # terms that have passed
    told_late: int = 0
    wrong: list[str] = field(default_factory=list)

    def step(self, event: Event, what: str) -> None:
        """One more event about it."""
        if what == "late":
            self.told_late += 1
            if event.due_ms != self.due_ms or event.at_ms <= self.due_ms:
                self.wrong.append(f"late {event.due_ms} for {self.due_ms} at {event.at_ms}")
            return
        self.steps.append(what)
        if what == "appealed":
            self.before_appeal = self.term
        term = self.before_appeal if what == "upheld" else _TERM.get(what, self.term)
        if what == "revisited" and event.more()["result"] == "reopened":
            term = "verify"
        if term != self.term or what == "opened":
            self.pass_(event.at_ms)
            self.term = term
            self.due_ms = end_of(event.at_ms, TERM_DAYS[term]) if term else 0
        if event.due_ms != self.due_ms:
            self.wrong.append(f"{what} due {event.due_ms} instead of {self.due_ms}")

    def pass_(self, now: int) -> None:
        """The running term ends, in time or not."""
        self.lates += bool(self.due_ms) and now > self.due_ms


def follow_ups_of(events: Iterable[Event], now: int) -> dict[str, FollowUp]:
    """All reviews by id."""
    found: dict[str, FollowUp] = {}
    for event in events:
        if not event.kind.startswith("review.") or event.kind == "review.reminded":
            continue
        what, more = event.kind.removeprefix("review."), event.more()
        if what == "opened":
            assert more["review"] not in found
            leg = (event.ticket, event.leg)
            found[more["review"]] = FollowUp(more["source"], leg, event.window, event.staff, event.at_ms, 0, [])
        found[more["review"]].step(event, what)
    for one in found.values():
        one.pass_(now)
    return found


def by_source(follow_ups: dict[str, FollowUp]) -> dict[str, dict[Key, list[FollowUp]]]:
    """The reviews of each leg by what they come from."""
    found: dict[str, dict[Key, list[FollowUp]]] = defaultdict(lambda: defaultdict(list))
    for one in follow_ups.values():
        found[one.source][one.leg].append(one)
    return found
