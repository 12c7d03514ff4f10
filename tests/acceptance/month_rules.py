"""The hall of the month, and its rules told a second time: what the recount goes by, taken from nothing of the product.

Working days are those of the State Council's notice for the autumn of 2026, limits and terms those of the definition
below, the rest what docs/evaluation.md says.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

H = "h1"
ZONE = ZoneInfo("Asia/Shanghai")
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
FIRST, LAST = dt.date(2026, 9, 20), dt.date(2026, 10, 20)
"""From the Sunday that is worked for Mid-autumn, over the National Day week, to the week after the next."""
OFF = {dt.date(2026, 9, 25), *(dt.date(2026, 10, day) for day in range(1, 8))}
WORKED = {dt.date(2026, 9, 20), dt.date(2026, 10, 10)}

TICKETS = 600
"""Issued on each working day."""
LIMIT_MS: dict[str, int] = {"a": 600_000, "b": 120_000, "c": 300_000, "d": 60_000, "e": 0}
"""How long a service may take; 0 = as long as it does."""
WAIT_MS = {"a": 480_000, "b": 0, "c": 240_000, "d": 0, "e": 0}
CASE: dict[str, str] = {"a": "3wd", "b": "6h", "c": "", "d": "", "e": ""}
PAD_MS = 1_800_000
"""How long after the finish a citizen may rate on the pad."""
LATE_DAYS = 5
"""Working days after the finish until whose end a rating is taken at all."""
SKEW_MS = 5_000
TERM_DAYS = {"verify": 1, "rectify": 5, "revisit": 15, "decide": 5}

FRONT = [f"w{n}" for n in range(1, 14)]
BACK_OFFICE = [f"w{n}" for n in range(14, 17)]
CERTIFICATES = ["w17", "w18"]
ANYTHING = ["w19", "w20"]
WINDOWS = [*FRONT, *BACK_OFFICE, *CERTIFICATES, *ANYTHING]


def _services(window: str) -> list[str]:
    if window in FRONT:
        return ["a", "b", "e"]
    if window in ANYTHING:
        return ["d", "c", "b", "a", "e"]
    return ["c"] if window in BACK_OFFICE else ["d"]


HALL: dict[str, Any] = {
    "id": H,
    "services": [
        {"id": id_, "prefix": id_.upper()}
        | ({"service_limit_s": LIMIT_MS[id_] / 1000} if LIMIT_MS[id_] else {})
        | ({"wait_limit_s": WAIT_MS[id_] / 1000} if WAIT_MS[id_] else {})
        | ({"case_limit": CASE[id_]} if CASE[id_] else {})
        for id_ in LIMIT_MS
    ],
    "windows": [{"id": window, "services": _services(window)} for window in WINDOWS],
    "priorities": [{"id": "elder", "boost_s": 600}],
    "overtime": {"wait_review": True},
    "rating": {"window_s": PAD_MS / 1000, "late_within": f"{LATE_DAYS}wd"},
    "reviews": {f"{term}_within": f"{days}wd" for term, days in TERM_DAYS.items()},
}


def works(day: dt.date) -> bool:
    """Whether people work that day."""
    return day in WORKED or (day.weekday() < 5 and day not in OFF)


def days() -> list[dt.date]:
    """The days of the month, also those on which nobody works."""
    return [FIRST + dt.timedelta(days=n) for n in range((LAST - FIRST).days + 1)]


def at(day: dt.date, hour: int, minute: int = 0) -> int:
    """An instant of a day, ms."""
    return int(dt.datetime.combine(day, dt.time(hour, minute), ZONE).timestamp() * 1000)


def end_of(start_ms: int, working_days: int) -> int:
    """The last instant of the n-th working day after that of an instant."""
    day = dt.datetime.fromtimestamp(start_ms / 1000, ZONE).date()
    while working_days:
        day += dt.timedelta(days=1)
        working_days -= works(day)
    return at(day + dt.timedelta(days=1), 0) - 1


def case_due(service: str, accepted_ms: int) -> int:
    """When a promise that began then ends."""
    term = CASE[service]
    return end_of(accepted_ms, int(term[:-2])) if term.endswith("wd") else accepted_ms + int(term[:-1]) * HOUR
