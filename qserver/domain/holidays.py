"""Which days people work: public holidays and make-up workdays 调休, from a kept library and the hall's own days.

China moves its days off by a notice of the State Council each autumn; the library `holidays` holds those notices. Of a
year whose notice it does not know yet it still knows the statutory days, so terms stay nearly right, but the
swapped weekends are missing: `warning` says so, loudly, until the library is renewed or the hall gives the days itself.
Terms that run are not counted anew when the calendar changes: whoever was told a day keeps it.

Pure functions of names and dates; no clock is read here.
"""

from __future__ import annotations

import datetime as dt
import functools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

FROM_YEAR: Final = 2024
TO_YEAR: Final = 2040
"""Years of which exceptions are given; the same for everybody, so that a definition compiles to the same everywhere."""
CHINA: Final = "china"
WEEKDAYS: Final = "weekdays"
_CHINESE_ZONES: Final = frozenset({"Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "Asia/Harbin", "PRC"})
_AHEAD: Final = dt.timedelta(days=45)
"""Terms reach about so far: from then on an unknown year matters."""
_FILE_MAX: Final = 64 * 1024


def country(name: str, time_zone: str) -> str:
    """The country whose holidays a calendar's name stands for, as an ISO code; "" when Monday to Friday are all.

    `china`, `weekdays`, or an ISO code; without a name China's in China's zones and `weekdays` elsewhere.
    Raises ValueError for a name that stands for nothing.
    """
    if not name:
        return "CN" if time_zone in _CHINESE_ZONES else ""
    if name == WEEKDAYS:
        return ""
    code = "CN" if name.lower() == CHINA else name.upper()
    _of(code)
    return code


@functools.cache
def _of(code: str) -> Any:
    import holidays  # not before a calendar is asked for: it takes a tenth of a second

    try:
        return holidays.country_holidays(code, years=range(FROM_YEAR, TO_YEAR + 1))
    except NotImplementedError as error:  # so the library says that it knows no such country
        raise ValueError(f"{code!r} is no calendar: china, weekdays or a country's two letters") from error


@functools.cache
def _exceptions(code: str) -> dict[str, bool]:
    known, day, found = _of(code), dt.date(FROM_YEAR, 1, 1), {}
    while day.year <= TO_YEAR:
        works = bool(known.is_working_day(day))
        if works != (day.weekday() < 5):
            found[day.isoformat()] = works
        day += dt.timedelta(days=1)
    return found


def exceptions(name: str, time_zone: str, days: Mapping[str, bool]) -> dict[str, bool]:
    """The days on which Monday-to-Friday is wrong: `YYYY-MM-DD` -> whether people work. `days` goes before the library.

    Raises ValueError as `country`.
    """
    code = country(name, time_zone)
    return {**(_exceptions(code) if code else {}), **days}


def published_until(code: str) -> int | None:
    """The last year whose make-up workdays are known; None for countries that move none."""
    return max(day.year for day in _of(code).weekend_workdays) if code == "CN" else None


def warning(name: str, time_zone: str, days: Mapping[str, bool], on: dt.date) -> str | None:
    """What is wrong with the calendar as of a day: a sentence for whoever runs the hall, or None.

    A hall that gives days of the year itself is believed to know them.
    """
    code = country(name, time_zone)
    last, year = published_until(code) if code else None, (on + _AHEAD).year
    if last is None or year <= last or any(day.startswith(f"{year}-") for day in days):
        return None
    return (
        f"the make-up workdays of {year} are not known yet: terms in working days that reach into {year} follow the "
        "statutory holidays alone; renew the package `holidays`, or give the days in [calendar]"
    )


def mistakes(name: str, time_zone: str, file: str, days: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    """`(field, what is wrong)` of a hall's `[calendar]`."""
    try:
        country(name, time_zone)
    except ValueError as error:
        yield "name", str(error)
    for day in days:
        if not is_day(day):
            yield "days", f"{day!r} is not a day YYYY-MM-DD"
    if file and not days:
        yield "file", "a file is read where the hall's TOML file is; here its days stand in `days`"


def is_day(text: str) -> bool:
    """Whether that is a day `YYYY-MM-DD` which exists."""
    try:
        return len(text) == 10 and dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def read_days(path: Path) -> dict[str, bool]:
    """The days of an override file: TOML, one `YYYY-MM-DD = true` (people work) or `= false` (they do not) a line.

    Raises OSError, ValueError (tomllib's own with the line among them).
    """
    if path.stat().st_size > _FILE_MAX:
        raise ValueError(f"{path.name} is longer than {_FILE_MAX} bytes")
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    for day, works in found.items():
        if not is_day(day) or not isinstance(works, bool):
            raise ValueError(f"{day} = {works!r}: a line is a day and true or false, as in 2026-10-10 = true")
    if not found:
        raise ValueError(f"{path.name} has no day in it")
    return found
