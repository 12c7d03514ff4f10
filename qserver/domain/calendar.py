"""Business days, opening hours and working days, as pure functions of an instant and a hall's zone.

The function library needs the same answers without a zone database, so `zone_offsets` gives it the zone's
offset changes as data. Instants are integers, milliseconds since the Unix epoch.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_MS = 86_400_000
_OFFSETS_FROM = dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
_OFFSETS_YEARS = 40


def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises ValueError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error


def clock_ms(text: str) -> int:
    """Milliseconds after midnight of "HH:MM". Raises ValueError on anything else."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if not match:
        raise ValueError(f"{text!r} is not a time of day HH:MM")
    return (int(match[1]) * 60 + int(match[2])) * 60_000


@functools.cache
def zone_offsets(name: str) -> tuple[tuple[int, int], ...]:
    """`((from_ms, offset_ms), ...)`, rising: the zone's offset from UTC from each instant on, 2010 to 2050."""
    tz = zone(name)

    def offset(seconds: int) -> int:
        delta = dt.datetime.fromtimestamp(seconds, tz).utcoffset()
        assert delta is not None
        return int(delta.total_seconds()) * 1000

    start = int(_OFFSETS_FROM.timestamp())
    found = [(start * 1000, offset(start))]
    for day in range(_OFFSETS_YEARS * 366):
        low, high = start + day * 86_400, start + (day + 1) * 86_400
        if offset(high) == found[-1][1]:
            continue
        while high - low > 1:  # the change lies in (low, high]
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == found[-1][1] else (low, middle)
        found.append((high * 1000, offset(high)))
    return tuple(found)


def business_day(now_ms: int, zone_name: str, day_starts: str) -> tuple[str, int]:
    """`(day, end_ms)`: the business day `YYYY-MM-DD` that contains the instant and the instant it ends.

    A day runs from `day_starts` local time to the next day's `day_starts`, however long that is when clocks change.
    """
    tz, starts = zone(zone_name), dt.timedelta(milliseconds=clock_ms(day_starts))
    local = dt.datetime.fromtimestamp(now_ms / 1000, tz).replace(tzinfo=None) - starts
    day = local.date()

    def end_ms() -> int:
        end_local = dt.datetime.combine(day + dt.timedelta(days=1), dt.time()) + starts
        return int(end_local.replace(tzinfo=tz).timestamp() * 1000)

    if end_ms() <= now_ms:  # the day starts within an hour that clocks repeat, and this is its second time
        day += dt.timedelta(days=1)
    return day.isoformat(), end_ms()


class Span(tuple[int, str]):
    """A legal term: `(amount, unit)` with unit `ms` (elapsed time) or `wd` (working days)."""

    __slots__ = ()


_SPAN = re.compile(r"(\d{1,4})(s|m|h|d|wd)")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}


def parse_span(text: str) -> Span:
    """`"6h"` -> (21600000, "ms"); `"10wd"` -> (10, "wd"). Units s m h d wd. Raises ValueError otherwise."""
    match = _SPAN.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a term such as 6h or 10wd")
    amount = int(match[1])
    return Span((amount, "wd")) if match[2] == "wd" else Span((amount * _UNIT_MS[match[2]], "ms"))


def is_workday(day: dt.date, exceptions: Mapping[str, bool]) -> bool:
    """Whether people work that day: Monday to Friday, unless the calendar's exceptions say otherwise."""
    return exceptions.get(day.isoformat(), day.weekday() < 5)


def after_span(from_ms: int, span: Span, zone_name: str, exceptions: Mapping[str, bool]) -> int:
    """The instant a term ends that starts at `from_ms`.

    Working days count from the day after the start, as is usual for legal terms; the term ends at the last
    millisecond of its last working day, hall time.
    """
    amount, unit = span
    if unit == "ms":
        return from_ms + amount
    tz = zone(zone_name)
    day = dt.datetime.fromtimestamp(from_ms / 1000, tz).date()
    while amount > 0:
        day += dt.timedelta(days=1)
        amount -= is_workday(day, exceptions)
    midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), tz)
    return int(midnight.timestamp() * 1000) - 1
