"""The performance report of a business day or a month, from what `tally` counted.

Every figure is exact and can be recounted by hand; what each one means stands in `figures.py` and goes out with it.
What is reported lives here; what a report looks like in a file does not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from . import figures
from .hall import Hall
from .tally import By, Count, Row
from .ticket import Review, Ticket


class Definition(msgspec.Struct, frozen=True):
    """What a figure means, in Chinese and English. `name`, `name_en`: its headings; `kind`: count, duration (ms), rate
    (0 to 1) or text."""

    figure: str
    zh: str
    en: str
    name: str
    name_en: str
    kind: str


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


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of another month beside those of the report's own; `days`: how many days they are from."""

    month: str
    days: int
    rows: list[Row]
    totals: Row


class MonthReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of one hall's month as of an instant, of a running one as far as it has come.

    `days`: the totals of each day on which anything happened; `before`, `year_before`: the month before and the same
    month a year ago, None when nothing is known of them.
    """

    hall: str
    name: str
    month: str
    by: By
    as_of_ms: int
    rows: list[Row]
    totals: Row
    days: list[Row]
    before: Compared | None
    year_before: Compared | None
    definitions: list[Definition]


Report = DayReport | MonthReport


NOBODY_NAMED: Final[Mapping[str, str]] = {}


class MonthCount:
    """A month as it is counted, day by day: of a day only its totals and the durations stay."""

    def __init__(self, by: By) -> None:
        self.days: list[Row] = []
        self.count = Count(by)

    def add(self, day: str, count: Count) -> None:
        """Add a day; the days come in order."""
        self.days.append(count.totals(day, day))
        self.count.add(count)


def day_of(ticket: str) -> str:
    """The business day of a ticket's id."""
    return f"{ticket[:4]}-{ticket[4:6]}-{ticket[6:8]}"


def compared_months(month: str) -> tuple[str, str]:
    """The month before and the same month a year ago, of a month YYYY-MM."""
    first = dt.date.fromisoformat(month + "-01")
    return (first - dt.timedelta(days=1)).strftime("%Y-%m"), f"{first.year - 1:04d}-{first.month:02d}"


def _names(hall: Hall, count: Count, people: Mapping[str, str]) -> dict[str, str]:
    if count.by == "staff":
        return {staff: people.get(staff) or staff for staff in sorted(count.keys - {""})}
    things = hall.windows if count.by == "window" else hall.services
    return {thing.id: thing.name or thing.id for thing in things}


def _definitions(columns: Iterable[figures.Column]) -> list[Definition]:
    return [Definition(c.path, c.meaning_zh, c.meaning_en, c.zh, c.en, c.kind) for c in columns if c.meaning_en]


def counted_day(
    hall: Hall, day: str, count: Count, as_of_ms: int, people: Mapping[str, str] = NOBODY_NAMED
) -> DayReport:
    """The report of a counted day. `people`: what staff are called, by their ids."""
    name = hall.name or hall.id
    return DayReport(
        hall=hall.id,
        name=name,
        day=day,
        by=count.by,
        as_of_ms=as_of_ms,
        rows=count.rows(_names(hall, count, people)),
        totals=count.totals("", name),
        definitions=_definitions(figures.COLUMNS),
    )


def day_report(
    hall: Hall, day: str, by: By, tickets: Iterable[Ticket], reviews: Iterable[Review], as_of_ms: int
) -> DayReport:
    """The report of the business day `day` (YYYY-MM-DD).

    `tickets` are the day's; of `reviews` those about other days' tickets are passed over. Rows stand in the order of
    the hall's definition, staff by id; what belongs to no window or nobody stands last, under an empty id.
    """
    count = Count(by)
    for ticket in tickets:
        count.ticket(ticket)
    for review in reviews:
        if day_of(review.ticket) == day:
            count.review(review)
    return counted_day(hall, day, count, as_of_ms)


def month_report(
    hall: Hall,
    month: str,
    counts: Mapping[str, MonthCount],
    as_of_ms: int,
    people: Mapping[str, str] = NOBODY_NAMED,
) -> MonthReport:
    """The report of a month (YYYY-MM) from the counts of it and of the months it is compared with. `people`: what staff
    are called, by their ids.
    """
    own, name = counts[month], hall.name or hall.id

    def compared(month: str) -> Compared | None:
        other = counts.get(month)
        if other is None or not other.days:
            return None
        count = other.count
        return Compared(
            month=month,
            days=len(other.days),
            rows=count.rows(_names(hall, count, people)),
            totals=count.totals("", name),
        )

    before, year_before = compared_months(month)
    return MonthReport(
        hall=hall.id,
        name=name,
        month=month,
        by=own.count.by,
        as_of_ms=as_of_ms,
        rows=own.count.rows(_names(hall, own.count, people)),
        totals=own.count.totals("", name),
        days=own.days,
        before=compared(before),
        year_before=compared(year_before),
        definitions=_definitions((*figures.COLUMNS, *figures.MONTH)),
    )
