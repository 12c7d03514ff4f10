"""The rules of a hall, table by table, as people write them: calls, ratings, overtime, follow-up, marks, retention.

Each stands at its defaults where a definition says nothing. `hall.Hall` has them all.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

TERMS = ("verify", "rectify", "revisit", "decide", "appeal")
"""Terms of `[reviews]`, without their `_within`."""

Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$(?!\n)")]
"""Identifier of a hall, a service, a window or a priority."""
Name = Annotated[str, msgspec.Meta(max_length=300)]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$(?!\n)")]
"""A time of day in the hall's zone, HH:MM."""
Term = Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}(s|m|h|d|wd)$(?!\n)")]
"""A legal term: elapsed (s m h d) or working days (wd)."""
Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 86400)]
Boost = Annotated[float, msgspec.Meta(ge=0, le=7 * 86400)]


class Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, omit_defaults=False):
    """Base of the definition's tables: unknown names are mistakes."""


class Calls(Table, frozen=True, kw_only=True):
    """How often a ticket is called, where a missed one returns to, when a called one counts as missed by itself."""

    max_calls: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    return_after: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 3
    max_returns: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    miss_after_s: Seconds | None = None


class Rating(Table, frozen=True, kw_only=True):
    """When and how a finished service may be rated 好差评.

    What may be chosen beside a level - `indicators`, and `reasons` by level - is versioned: every rating says from
    which list its words were chosen (`form`). `version` is the list's name as the central office gives it.
    """

    window_s: Seconds = 1800.0
    late_within: Term = "5wd"
    default_level: Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None
    default_after: Term | None = None
    version: Annotated[str, msgspec.Meta(max_length=32, pattern=r"^[A-Za-z0-9._-]*$(?!\n)")] = ""
    indicators: Annotated[list[Name], msgspec.Meta(max_length=10)] = []
    """Offered where a level names no reasons; empty = 服务效率, 服务水平, 服务态度."""
    indicators_en: Annotated[list[Name], msgspec.Meta(max_length=10)] = []
    reasons: dict[str, list[Name]] = {}
    """By level, what may be chosen. The words chosen stand on record."""
    reasons_en: dict[str, list[Name]] = {}
    """The same in English, in the same order, shown beside them."""


INDICATORS = (("服务效率", "Efficiency"), ("服务水平", "Competence"), ("服务态度", "Attitude"))
"""The indicators where a hall names none: those of the public outline of GB/T 39735-2020, claiming no conformity."""


class Overtime(Table, frozen=True, kw_only=True):
    """At which share of a limit to warn, whether a wait over its limit opens a review too, and whether time on hold
    counts towards the limit of a service (it stops its clock otherwise)."""

    warn_at: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.8
    wait_review: bool = False
    count_holds: bool = False


class Reviews(Table, frozen=True, kw_only=True):
    """Terms of the follow-up of a negative review; an appeal comes within `appeal_within` of its opening."""

    verify_within: Term = "1wd"
    rectify_within: Term = "5wd"
    revisit_within: Term = "15wd"
    decide_within: Term = "5wd"
    appeal_within: Term = "15wd"


class Integrity(Table, frozen=True, kw_only=True):
    """What is marked as odd, for people to look at; each 0 = never.

    A service below `short_share` of its mean, `many_calls` of one ticket, a person again within `reissue_within_s` of a
    finish, `burst` ratings on a pad each within `burst_s` of the one before. `marks` false: nothing at all.
    """

    marks: bool = True
    short_share: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    many_calls: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5
    reissue_within_s: Boost = 1800.0
    burst: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 3
    burst_s: Boost = 10.0


class Retention(Table, frozen=True, kw_only=True):
    """How long what is kept.

    Tickets stay in the data server until they can be rated no more, and `live_days` at least; telephone numbers until
    the day turns. What is personal in the archive (the keyed hash of a person) and in reviews that have ended (the
    citizen's words) stays `personal_days`, the records of a day and its reviews `record_days`; 0 = for ever.
    """

    live_days: Annotated[int, msgspec.Meta(ge=0, le=400)] = 0
    personal_days: Annotated[int, msgspec.Meta(ge=1, le=3660)] = 180
    record_days: Annotated[int, msgspec.Meta(ge=0, le=36600)] = 1830


class CalendarRef(Table, frozen=True, kw_only=True):
    """Which holidays working days follow: `china`, `weekdays` or a country's ISO code; "" = by the zone.

    `days` adds or overrides days (`YYYY-MM-DD` -> whether people work). `file` names a TOML file of such days beside
    the hall's own; `load` puts them into `days`, where those given there already go first.
    """

    name: Annotated[str, msgspec.Meta(max_length=32)] = ""
    file: Annotated[str, msgspec.Meta(max_length=300)] = ""
    days: Annotated[dict[str, bool], msgspec.Meta(max_length=2000)] = {}


def offered(rating: Rating, level: int) -> list[tuple[str, str]]:
    """What may be chosen beside a level, in Chinese and English: its reasons, else the indicators."""
    named, english = rating.reasons.get(str(level), []), rating.reasons_en.get(str(level), [])
    if not named:
        named, english = rating.indicators, rating.indicators_en
        if not named:
            return list(INDICATORS)
    return list(zip(named, english or [""] * len(named), strict=True))


def named(rating: Rating) -> dict[str, list[tuple[str, str]]]:
    """What may be chosen beside each level, as far as the hall names it itself."""
    levels = [level for level in range(1, 6) if rating.indicators or rating.reasons.get(str(level))]
    return {str(level): offered(rating, level) for level in levels}


def form(rating: Rating) -> str:
    """Names what citizens may choose from: the version, and a digest of the words, so that no two lists are alike."""
    words = msgspec.json.encode([offered(rating, level) for level in range(1, 6)])
    return "-".join(filter(None, (rating.version, hashlib.sha256(words).hexdigest()[:8])))
