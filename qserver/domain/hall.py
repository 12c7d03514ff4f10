"""The definition of a hall: its services, windows, priorities and rules, as people write it in TOML or JSON.

`Hall` is the public form (also the body of `PUT /api/v1/halls/{hall}`). `compiled` turns it into the record the
function library works with. Only definitions live here, never what happens in a hall.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from . import calendar, holidays, profiles, rules
from .rules import Boost, Clock, Id, Name, Seconds, Table, Term


class Service(Table, frozen=True, kw_only=True):
    """One business people take a ticket for 事项. Limits in seconds; hours in the hall's zone."""

    id: Id
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{1,2}$(?!\n)")]
    name: Name = ""
    name_en: Name = ""
    wait_limit_s: Seconds | None = None
    service_limit_s: Seconds | None = None
    case_limit: Term | None = None
    daily_quota: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    opens: Clock | None = None
    closes: Clock | None = None


class Window(Table, frozen=True, kw_only=True):
    """One window 窗口 and the services it gives; the order breaks ties, a penalty makes a service less preferred."""

    id: Id
    services: Annotated[list[Id], msgspec.Meta(max_length=200)]
    name: Name = ""
    name_en: Name = ""
    zone: Name = ""
    service_penalty_s: dict[Id, Boost] = msgspec.field(default_factory=dict)


class Priority(Table, frozen=True, kw_only=True):
    """A priority class 优先: its tickets count as if they had come `boost_s` earlier."""

    id: Id
    boost_s: Boost
    name: Name = ""
    name_en: Name = ""


class Hall(Table, frozen=True, kw_only=True):
    """A government service hall."""

    id: Id
    services: Annotated[list[Service], msgspec.Meta(min_length=1, max_length=200)]
    windows: Annotated[list[Window], msgspec.Meta(max_length=400)]
    name: Name = ""
    name_en: Name = ""
    profile: Name = ""
    """The provincial rules that stand where `rating` and `reviews` say nothing."""
    time_zone: Annotated[str, msgspec.Meta(max_length=64)] = "Asia/Shanghai"
    day_starts: Clock = "04:00"
    priorities: Annotated[list[Priority], msgspec.Meta(max_length=50)] = msgspec.field(default_factory=list)
    calls: rules.Calls = rules.Calls()
    rating: rules.Rating = rules.Rating()
    overtime: rules.Overtime = rules.Overtime()
    reviews: rules.Reviews = rules.Reviews()
    integrity: rules.Integrity = rules.Integrity()
    calendar: rules.CalendarRef = rules.CalendarRef()
    retention: rules.Retention = rules.Retention()

    def service(self, service_id: str) -> Service | None:
        """The service of that id, if the hall has it."""
        return next((s for s in self.services if s.id == service_id), None)

    def window(self, window_id: str) -> Window | None:
        """The window of that id, if the hall has it."""
        return next((w for w in self.windows if w.id == window_id), None)


class HallError(ValueError):
    """A definition with mistakes; `mistakes` is a list of `(path, what is wrong)`."""

    def __init__(self, mistakes: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {what}" for path, what in mistakes))
        self.mistakes = mistakes


def parse(data: object) -> Hall:
    """A checked, completed definition (names default to ids) from decoded TOML or JSON. Raises HallError."""
    try:
        data = profiles.applied(data)
    except ValueError as error:
        raise HallError([("$.profile", str(error))]) from error
    try:
        hall = msgspec.convert(data, Hall)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        raise HallError([(path.rstrip("`") or "$", what)]) from error
    mistakes = list(_mistakes(hall))
    if mistakes:
        raise HallError(mistakes)
    return msgspec.structs.replace(
        hall,
        name=hall.name or hall.id,
        services=[msgspec.structs.replace(s, name=s.name or s.id) for s in hall.services],
        windows=[msgspec.structs.replace(w, name=w.name or w.id) for w in hall.windows],
        priorities=[msgspec.structs.replace(p, name=p.name or p.id) for p in hall.priorities],
    )


def _mistakes(hall: Hall) -> Any:
    for table, ids in (
        ("services", [s.id for s in hall.services]),
        ("windows", [w.id for w in hall.windows]),
        ("priorities", [p.id for p in hall.priorities]),
    ):
        for twice in sorted({i for i in ids if ids.count(i) > 1}):
            yield f"$.{table}", f"id {twice!r} stands twice"
    known = {s.id for s in hall.services}
    for n, window in enumerate(hall.windows):
        for service in [*window.services, *window.service_penalty_s]:
            if service not in known:
                yield f"$.windows[{n}].services", f"no service {service!r}"
    for n, one in enumerate(hall.services):
        if one.opens and one.closes and one.opens >= one.closes:
            yield f"$.services[{n}].closes", "must be later than opens"
    for n, priority in enumerate(hall.priorities):
        if priority.id == "normal" and priority.boost_s:
            yield f"$.priorities[{n}].boost_s", "normal is always 0"
    kept = hall.retention
    if 0 < kept.record_days < kept.personal_days:
        yield "$.retention.record_days", "must not be shorter than personal_days"
    try:
        calendar.zone(hall.time_zone)
    except ValueError as error:
        yield "$.time_zone", str(error)
    own = hall.calendar
    for field, what in holidays.mistakes(own.name, hall.time_zone, own.file, own.days):
        yield f"$.calendar.{field}", what
    if (hall.rating.default_level is None) != (hall.rating.default_after is None):
        yield "$.rating.default_level", "a default level and default_after come together"
    if hall.rating.indicators_en and len(hall.rating.indicators_en) != len(hall.rating.indicators):
        yield "$.rating.indicators_en", "needs one text for each of the indicators"
    for level in hall.rating.reasons:
        if level not in {"1", "2", "3", "4", "5"}:
            yield "$.rating.reasons", f"{level!r} is not a level 1..5"
    for level, texts in hall.rating.reasons_en.items():
        if len(texts) != len(hall.rating.reasons.get(level, [])):
            yield f"$.rating.reasons_en.{level}", "needs one text for each of the level's reasons"


def load(path: Path) -> list[Hall]:
    """The halls of a TOML file: one at top level, or several as `[[halls]]`.

    Raises HallError (with the path of each mistake), tomllib.TOMLDecodeError (with the line), OSError.
    """
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    if "halls" not in data:
        return [parse(_with_days(data, path))]
    if set(data) != {"halls"} or not isinstance(data["halls"], list):
        raise HallError([("$", "a file with [[halls]] holds nothing else")])
    halls, mistakes = [], []
    for n, one in enumerate(data["halls"]):
        try:
            halls.append(parse(_with_days(one, path)))
        except HallError as error:
            mistakes += [(path.replace("$", f"$.halls[{n}]", 1), what) for path, what in error.mistakes]
    ids = [hall.id for hall in halls]
    mistakes += [("$.halls", f"id {i!r} stands twice") for i in sorted({i for i in ids if ids.count(i) > 1})]
    if mistakes:
        raise HallError(mistakes)
    return halls


def _with_days(data: Any, path: Path) -> Any:
    """The definition with the days of its calendar's file, which lies beside the definition's."""
    own = data.get("calendar") if isinstance(data, dict) else None
    if not isinstance(own, dict) or not isinstance(own.get("file"), str) or not own["file"]:
        return data
    try:
        read = holidays.read_days(path.parent / own["file"])
    except (OSError, ValueError) as error:
        raise HallError([("$.calendar.file", str(error))]) from error
    days = own.get("days", {})
    return data | {"calendar": own | {"days": read | days if isinstance(days, dict) else days}}


def ms(seconds: float | None) -> int:
    """Seconds as whole milliseconds, at least 1; 0 stands for "no limit"."""
    return 0 if seconds is None else max(1, math.floor(seconds * 1000 + 0.5))


def scaled(hall: Hall, speed: float) -> Hall:
    """The same hall with every limit in seconds divided by `speed`, for days played faster than real time."""
    replace = msgspec.structs.replace

    def fewer(value: float | None) -> float | None:
        return None if value is None else value / speed

    return replace(
        hall,
        services=[
            replace(s, wait_limit_s=fewer(s.wait_limit_s), service_limit_s=fewer(s.service_limit_s))
            for s in hall.services
        ],
        windows=[
            replace(w, service_penalty_s={k: v / speed for k, v in w.service_penalty_s.items()}) for w in hall.windows
        ],
        priorities=[replace(p, boost_s=p.boost_s / speed) for p in hall.priorities],
        calls=replace(hall.calls, miss_after_s=fewer(hall.calls.miss_after_s)),
        rating=replace(hall.rating, window_s=hall.rating.window_s / speed),
        integrity=replace(
            hall.integrity,
            reissue_within_s=hall.integrity.reissue_within_s / speed,
            burst_s=hall.integrity.burst_s / speed,
        ),
    )


def digest(hall: Hall) -> str:
    """Identifies a definition by its content: the ETag, and the function library's cache key."""
    return hashlib.sha256(msgspec.json.encode(hall, order="sorted")).hexdigest()[:16]


def compiled(hall: Hall, exceptions: dict[str, bool] | None = None) -> dict[str, Any]:
    """The definition as the function library reads it: durations in ms, times of day in ms after midnight.

    Absent limits are 0, absent texts ''; maps and lists only, so that it packs as MessagePack. Terms are
    `[amount, unit]`. `exceptions` are the days that differ from Monday-to-Friday; None = those of the hall's calendar.
    """
    own = hall.calendar
    if exceptions is None:
        exceptions = holidays.exceptions(own.name, hall.time_zone, own.days)

    def span(term: str | None) -> list[Any]:
        return list(calendar.parse_span(term)) if term else [0, "ms"]

    return {
        "zone": [list(pair) for pair in calendar.zone_offsets(hall.time_zone)],
        "starts": calendar.clock_ms(hall.day_starts),
        "workdays": exceptions,
        "service_order": [s.id for s in hall.services],
        "window_order": [w.id for w in hall.windows],
        "services": {
            s.id: {
                "prefix": s.prefix,
                "wait": ms(s.wait_limit_s),
                "limit": ms(s.service_limit_s),
                "case": span(s.case_limit),
                "quota": -1 if s.daily_quota is None else s.daily_quota,
                "opens": calendar.clock_ms(s.opens) if s.opens else 0,
                "closes": calendar.clock_ms(s.closes) if s.closes else calendar.DAY_MS,
            }
            for s in hall.services
        },
        "windows": {
            w.id: {
                "name": w.name or w.id,
                "services": w.services,
                "penalty": {k: math.floor(v * 1000) for k, v in w.service_penalty_s.items()},
            }
            for w in hall.windows
        },
        "priorities": {"normal": 0} | {p.id: math.floor(p.boost_s * 1000) for p in hall.priorities},
        "calls": {
            "max": hall.calls.max_calls,
            "return_after": hall.calls.return_after,
            "max_returns": hall.calls.max_returns,
            "miss_after": ms(hall.calls.miss_after_s),
        },
        "rating": {
            "window": ms(hall.rating.window_s),
            "late": span(hall.rating.late_within),
            "default": hall.rating.default_level or 0,
            "default_after": span(hall.rating.default_after),
            "form": rules.form(hall.rating),
        },
        "overtime": {
            "warn_at": hall.overtime.warn_at,
            "wait_review": hall.overtime.wait_review,
            "count_holds": hall.overtime.count_holds,
        },
        "integrity": {
            "short": hall.integrity.short_share,
            "calls": hall.integrity.many_calls,
            "reissue": math.floor(hall.integrity.reissue_within_s * 1000),
            "burst": hall.integrity.burst,
            "burst_ms": math.floor(hall.integrity.burst_s * 1000),
        }
        if hall.integrity.marks
        else False,
        "retention": {
            "live": hall.retention.live_days * calendar.DAY_MS,
            "personal": hall.retention.personal_days * calendar.DAY_MS,
            "records": hall.retention.record_days * calendar.DAY_MS,
        },
        "reviews": {term: span(getattr(hall.reviews, f"{term}_within")) for term in rules.TERMS},
    }
