"""The performance report of a business day, counted from its tickets and reviews alone.

Every figure is exact and can be recounted by hand; what each one means stands in `figures.py` and goes out with it.
Only counting lives here; what a report looks like in a file does not.

Figures belong to legs: a visit with two services counts in both. A leg whose durations cannot be believed (the day
turned or the clock stepped within it) counts in its volumes, stays out of waits, services and overtime, and is
itself counted as unreliable. Overtime and default ratings never mix with what citizens said themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import msgspec

from .figures import COLUMNS
from .hall import Hall
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


class Definition(msgspec.Struct, frozen=True):
    """What a figure means, in Chinese and English."""

    figure: str
    zh: str
    en: str


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of one hall's business day as of an instant; of a day still running it is what happened so far."""

    hall: str
    name: str
    day: str
    by: By
    as_of_ms: int
    rows: list[Row]
    totals: Row
    definitions: list[Definition]


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


def _took(review: Review, step: str) -> bool:
    """Whether the follow-up took a step."""
    return any(one["step"] == step for one in review.history)


def _row(key: str, name: str, legs: Sequence[Part], reviews: Sequence[Review], issued: int | None) -> Row:
    ended = [part for part in legs if served(part)]
    sure = [part.leg for part in legs if not part.leg.unreliable]
    over_wait = sum(leg.overtime.wait for leg in sure)
    over_service = sum(leg.overtime.service for leg in sure)
    ratings = [part.leg.rating for part in ended if part.leg.rating]
    own = [rating for rating in ratings if rating.source != "default"]
    good = sum(rating.score >= GOOD_FROM for rating in own)
    counted = [review for review in reviews if review.state != "excluded"]
    by_source = {source: sum(review.source == source for review in counted) for source in SOURCES}
    return Row(
        id=key,
        name=name,
        issued=issued,
        called=sum(part.leg.first_called_ms is not None for part in legs),
        served=len(ended),
        missed=sum(
            part.leg.first_called_ms is not None
            and part.leg.started_ms is None
            and (part.state is State.MISSED or (part.state is State.EXPIRED and part.ticket.hold_since_ms is None))
            for part in legs
        ),
        left=sum(part.state is State.CANCELLED for part in legs),
        transferred=sum(part.leg.outcome == "transferred" for part in legs),
        expired=sum(part.state is State.EXPIRED for part in legs),
        pending=sum(part.state in LIVE for part in legs),
        wait=spread(leg.wait_ms for leg in sure if leg.wait_ms is not None),
        service=spread(
            part.leg.service_ms for part in ended if not part.leg.unreliable and part.leg.service_ms is not None
        ),
        overtime=OvertimeFigures(
            over_wait,
            rate(over_wait, len(sure)),
            over_service,
            rate(over_service, sum(leg.started_ms is not None for leg in sure)),
        ),
        ratings=RatingFigures(
            rated=len(own),
            active=sum(rating.source == "active" for rating in own),
            active_late=sum(rating.source == "active_late" for rating in own),
            default=len(ratings) - len(own),
            rated_share=rate(len(own), len(ended)),
            good=good,
            active_good_rate=rate(good, len(own)),
            unrated=len(ended) - len(own),
            unrated_rate=rate(len(ended) - len(own), len(ended)),
        ),
        negatives=Negatives(
            **by_source,
            upheld=sum(_took(review, "upheld") for review in counted),
            rectified=sum(_took(review, "rectified") for review in counted),
            excluded=len(reviews) - len(counted),
        ),
        signals=SignalFigures(**{name: sum(name in part.leg.signals for part in legs) for name in SIGNALS}),
        unreliable=len(legs) - len(sure),
    )


def _named(hall: Hall, by: By) -> dict[str, str]:
    if by == "staff":
        return {}
    things = hall.windows if by == "window" else hall.services
    return {thing.id: thing.name or thing.id for thing in things}


def day_report(
    hall: Hall, day: str, by: By, tickets: Iterable[Ticket], reviews: Iterable[Review], as_of_ms: int
) -> DayReport:
    """The report of the business day `day` (YYYY-MM-DD).

    `tickets` are the day's; of `reviews` those about other days' tickets are passed over. Rows stand in the order of
    the hall's definition, staff by id; what belongs to no window or nobody stands last, under an empty id.
    """
    tickets = list(tickets)
    legs = [part for ticket in tickets for part in parts(ticket)]
    stamp = day.replace("-", "") + "-"
    about = [review for review in reviews if review.ticket.startswith(stamp)]
    names = _named(hall, by)
    grouped: dict[str, list[Part]] = {key: [] for key in names}
    for part in legs:
        grouped.setdefault(getattr(part.leg, by) or "", []).append(part)
    for review in about:
        grouped.setdefault(getattr(review, by) or "", [])
    order = [*names, *sorted(key for key in grouped if key and key not in names), *([""] if "" in grouped else [])]
    issued = dict.fromkeys(order, 0)
    if by == "service":
        for ticket in tickets:
            issued[ticket.legs[0].service] += 1
    return DayReport(
        hall=hall.id,
        name=hall.name or hall.id,
        day=day,
        by=by,
        as_of_ms=as_of_ms,
        rows=[
            _row(
                key,
                names.get(key, key),
                grouped[key],
                [review for review in about if (getattr(review, by) or "") == key],
                issued[key] if by == "service" else None,
            )
            for key in order
        ],
        totals=_row("", hall.name or hall.id, legs, about, len(tickets)),
        definitions=[Definition(c.path, c.meaning_zh, c.meaning_en) for c in COLUMNS if c.meaning_en],
    )
