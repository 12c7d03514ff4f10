"""Counting: legs and reviews go in one after the other, the figures of a report's row come out.

A tally can be added to another, so that a month is counted from the legs of its days and never from the days' own
figures: its percentiles are those of all its durations. Only counting lives here; see `report` for what is asked.

Figures belong to legs: a visit with two services counts in both. A leg whose durations cannot be believed (the day
turned or the clock stepped within it) counts in its volumes, stays out of waits, services and overtime, and is
itself counted as unreliable. Overtime and default ratings never mix with what citizens said themselves.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from .lifecycle import LIVE, State
from .reviews import SOURCES
from .ticket import Leg, Review, Signal, Ticket

By = Literal["window", "staff", "service"]
"""What a report's rows stand for."""

SIGNALS = get_args(Signal)
GOOD_FROM = 3
"""Levels 3, 4 and 5 are good, 1 and 2 negative."""


class Spread(msgspec.Struct, frozen=True):
    """Mean, median and 90th percentile of durations in ms, None without any. Percentiles lie between neighbours
    (linear interpolation, as `statistics.quantiles(..., method="inclusive")`)."""

    count: int
    mean_ms: int | None
    p50_ms: int | None
    p90_ms: int | None


class OvertimeFigures(msgspec.Struct, frozen=True):
    """Legs over their limits, and their share; None when there is nothing to take a share of."""

    wait: int
    wait_rate: float | None
    service: int
    service_rate: float | None


class RatingFigures(msgspec.Struct, frozen=True):
    """Ratings of the day's finished legs. Shares are None when there is nothing to take a share of."""

    rated: int
    active: int
    active_late: int
    default: int
    rated_share: float | None
    good: int
    active_good_rate: float | None
    unrated: int
    unrated_rate: float | None


class Negatives(msgspec.Struct, frozen=True):
    """Negative reviews of the day's legs by who said it: the citizen (rating) or the system (the others)."""

    rating: int
    overtime: int
    wait: int
    case: int
    upheld: int
    rectified: int
    excluded: int


class SignalFigures(msgspec.Struct, frozen=True):
    """Legs marked by each integrity signal: for people to look at, part of no other figure."""

    short_service: int
    reissued: int
    cancelled_in_service: int
    many_recalls: int
    undone_before_rating: int
    rating_burst: int
    doubtful_pad: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one window, one member of staff or one service, or of the whole hall."""

    id: str
    name: str
    issued: int | None
    called: int
    served: int
    missed: int
    left: int
    transferred: int
    expired: int
    pending: int
    wait: Spread
    service: Spread
    overtime: OvertimeFigures
    ratings: RatingFigures
    negatives: Negatives
    signals: SignalFigures
    unreliable: int


class Part(NamedTuple):
    """One leg with what only its ticket knows."""

    ticket: Ticket
    leg: Leg
    state: State
    """The leg's own state: earlier legs are finished, transferred ones too (their outcome tells)."""


def parts(ticket: Ticket) -> list[Part]:
    """The legs of a ticket, each with its own state."""
    return [Part(ticket, leg, ticket.state if leg.leg == ticket.leg else State.FINISHED) for leg in ticket.legs]


def served(part: Part) -> bool:
    """Whether the leg was finished at a window, and so may be rated."""
    return part.state is State.FINISHED and part.leg.outcome != "transferred"


def percentile(ordered: Sequence[int], share: int) -> int:
    """The percentile of rising values, `share` in percent, linear between neighbours, half a ms rounded up."""
    whole, rest = divmod((len(ordered) - 1) * share, 100)
    if not rest:
        return ordered[whole]
    low, high = ordered[whole], ordered[whole + 1]
    return (low * 200 + (high - low) * rest * 2 + 100) // 200


def spread(values: Iterable[int]) -> Spread:
    """Mean and percentiles of durations in ms."""
    ordered = sorted(values)
    if not ordered:
        return Spread(0, None, None, None)
    count = len(ordered)
    mean = (2 * sum(ordered) + count) // (2 * count)
    return Spread(count, mean, percentile(ordered, 50), percentile(ordered, 90))


def rate(part: int, whole: int) -> float | None:
    """A share with four places, None of nothing."""
    return round(part / whole, 4) if whole else None


_COUNTS: Final = (
    "issued", "legs", "called", "served", "missed", "left", "transferred", "expired", "pending", "sure", "begun",
    "over_wait", "over_service", "active", "active_late", "default", "good", "upheld", "rectified", "excluded",
)  # fmt: skip


class Tally:
    """What stands behind one row. `negatives`, `signals`: counts by name."""

    __slots__ = (*_COUNTS, "negatives", "services", "signals", "waits")
    issued: int
    legs: int
    called: int
    served: int
    missed: int
    left: int
    transferred: int
    expired: int
    pending: int
    sure: int
    begun: int
    over_wait: int
    over_service: int
    active: int
    active_late: int
    default: int
    good: int
    upheld: int
    rectified: int
    excluded: int

    def __init__(self) -> None:
        for name in _COUNTS:
            setattr(self, name, 0)
        self.negatives = dict.fromkeys(SOURCES, 0)
        self.signals = dict.fromkeys(SIGNALS, 0)
        self.waits = array("q")
        self.services = array("q")

    def leg(self, part: Part) -> None:
        """Count a leg."""
        leg, state = part.leg, part.state
        self.legs += 1
        self.called += leg.first_called_ms is not None
        self.left += state is State.CANCELLED
        self.expired += state is State.EXPIRED
        self.pending += state in LIVE
        self.transferred += leg.outcome == "transferred"
        self.missed += (
            leg.first_called_ms is not None
            and leg.started_ms is None
            and (state is State.MISSED or (state is State.EXPIRED and part.ticket.hold_since_ms is None))
        )
        for name in leg.signals:
            self.signals[name] += 1
        ended = served(part)
        if not leg.unreliable:
            self.sure += 1
            self.begun += leg.started_ms is not None
            self.over_wait += leg.overtime.wait
            self.over_service += leg.overtime.service
            if leg.wait_ms is not None:
                self.waits.append(leg.wait_ms)
            if ended and leg.service_ms is not None:
                self.services.append(leg.service_ms)
        if ended:
            self.served += 1
            if leg.rating:
                setattr(self, leg.rating.source, getattr(self, leg.rating.source) + 1)
                self.good += leg.rating.source != "default" and leg.rating.score >= GOOD_FROM

    def review(self, review: Review) -> None:
        """Count a negative review."""
        if review.state == "excluded":
            self.excluded += 1
            return
        self.negatives[review.source] += 1
        steps = {one["step"] for one in review.history}
        self.upheld += "upheld" in steps
        self.rectified += "rectified" in steps

    def add(self, other: Tally) -> None:
        """Count all that another one has counted."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.negatives, other.negatives), (self.signals, other.signals)):
            for key, number in theirs.items():
                mine[key] += number
        # In rising runs: sorting a month of them at the end is then merging, which holds up nobody for long.
        self.waits.extend(sorted(other.waits))
        self.services.extend(sorted(other.services))

    def row(self, key: str, name: str, issued: int | None) -> Row:
        """The figures."""
        rated = self.active + self.active_late
        return Row(
            id=key,
            name=name,
            issued=issued,
            called=self.called,
            served=self.served,
            missed=self.missed,
            left=self.left,
            transferred=self.transferred,
            expired=self.expired,
            pending=self.pending,
            wait=spread(self.waits),
            service=spread(self.services),
            overtime=OvertimeFigures(
                self.over_wait,
                rate(self.over_wait, self.sure),
                self.over_service,
                rate(self.over_service, self.begun),
            ),
            ratings=RatingFigures(
                rated=rated,
                active=self.active,
                active_late=self.active_late,
                default=self.default,
                rated_share=rate(rated, self.served),
                good=self.good,
                active_good_rate=rate(self.good, rated),
                unrated=self.served - rated,
                unrated_rate=rate(self.served - rated, self.served),
            ),
            negatives=Negatives(**self.negatives, upheld=self.upheld, rectified=self.rectified, excluded=self.excluded),
            signals=SignalFigures(**self.signals),
            unreliable=self.legs - self.sure,
        )


class Count:
    """Tallies by window, member of staff or service; what belongs to none under an empty key."""

    def __init__(self, by: By) -> None:
        self.by: By = by
        self.issued = 0
        self._tallies: dict[str, Tally] = {}

    def _of(self, key: str | None) -> Tally:
        found = self._tallies.get(key or "")
        if found is None:
            found = self._tallies[key or ""] = Tally()
        return found

    def ticket(self, ticket: Ticket) -> None:
        """Count a ticket with all its legs."""
        self.issued += 1
        if self.by == "service":
            self._of(ticket.legs[0].service).issued += 1
        for part in parts(ticket):
            self._of(getattr(part.leg, self.by)).leg(part)

    def review(self, review: Review) -> None:
        """Count a negative review."""
        self._of(getattr(review, self.by)).review(review)

    def add(self, other: Count) -> None:
        """Count all that another one has counted."""
        self.issued += other.issued
        for key, tally in other._tallies.items():
            self._of(key).add(tally)

    @property
    def keys(self) -> Set[str]:
        """Windows, staff or services that something was counted of; "" for none."""
        return self._tallies.keys()

    def rows(self, names: Mapping[str, str]) -> list[Row]:
        """A row for each of `names` in their order, then for what else was counted, by key, the empty one last."""
        others = sorted(key for key in self._tallies if key and key not in names)
        order = [*names, *others, *([""] if "" in self._tallies else [])]
        return [
            tally.row(key, names.get(key, key), tally.issued if self.by == "service" else None)
            for key in order
            for tally in [self._tallies.get(key) or Tally()]
        ]

    def totals(self, key: str, name: str) -> Row:
        """The row of everything."""
        whole = Tally()
        for tally in self._tallies.values():
            whole.add(tally)
        return whole.row(key, name, self.issued)
