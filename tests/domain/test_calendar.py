"""Business days and working days over every kind of clock change."""

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qserver.domain import calendar

ZONES = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # clocks change by half an hour
    "America/Havana",  # clocks change at midnight
    "Asia/Kathmandu",
    "Pacific/Apia",  # a whole day was left out in 2011
)
FIRST_MS = int(dt.datetime(2012, 1, 1, tzinfo=dt.UTC).timestamp() * 1000)
LAST_MS = int(dt.datetime(2049, 12, 1, tzinfo=dt.UTC).timestamp() * 1000)

instants = st.integers(FIRST_MS, LAST_MS)
clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from((0, 30)))


def at(zone: str, year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(dt.datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def shown_once(zone: str, day: dt.date, clock: str) -> bool:
    """Whether the zone's clocks show that time of that day exactly once."""
    hour, minute = map(int, clock.split(":"))
    tz = ZoneInfo(zone)
    early = dt.datetime.combine(day, dt.time(hour, minute), tz)
    late = early.replace(fold=1)
    return early.timestamp() == late.timestamp()


@given(instants, st.sampled_from(ZONES), clocks)
@example(at("Europe/Berlin", 2026, 3, 29, 3, 30), "Europe/Berlin", "04:00")
@example(at("Europe/Berlin", 2026, 10, 25, 2, 30), "Europe/Berlin", "04:00")
def test_every_instant_lies_within_its_business_day(now_ms: int, zone: str, starts: str) -> None:
    day, end_ms = calendar.business_day(now_ms, zone, starts)
    date = dt.date.fromisoformat(day)
    if not (shown_once(zone, date, starts) and shown_once(zone, date + dt.timedelta(days=1), starts)):
        return  # a day that starts while clocks change starts at an hour that is shown twice or never
    hour, minute = map(int, starts.split(":"))
    start_ms = at(zone, date.year, date.month, date.day, hour, minute)
    assert start_ms <= now_ms < end_ms
    assert calendar.business_day(start_ms, zone, starts)[0] == day
    assert calendar.business_day(end_ms - 1, zone, starts) == (day, end_ms)
    assert calendar.business_day(end_ms, zone, starts)[0] == (date + dt.timedelta(days=1)).isoformat()


def test_a_business_day_is_an_hour_longer_when_clocks_go_back() -> None:
    _, before = calendar.business_day(at("Europe/Berlin", 2026, 10, 24, 3), "Europe/Berlin", "04:00")
    day, end = calendar.business_day(at("Europe/Berlin", 2026, 10, 24, 12), "Europe/Berlin", "04:00")
    assert (day, end - before) == ("2026-10-24", 25 * 3_600_000)


def test_an_hour_after_midnight_still_belongs_to_the_evening_before() -> None:
    assert calendar.business_day(at("Asia/Shanghai", 2026, 11, 23, 1), "Asia/Shanghai", "04:00") == (
        "2026-11-22",
        at("Asia/Shanghai", 2026, 11, 23, 4),
    )


@given(instants, st.sampled_from(ZONES))
def test_zone_offsets_agree_with_the_zone_database_at_every_instant(now_ms: int, zone: str) -> None:
    offset = [value for start, value in calendar.zone_offsets(zone) if start <= now_ms][-1]
    told = dt.datetime.fromtimestamp(now_ms // 1000, ZoneInfo(zone)).utcoffset()
    assert told is not None
    assert offset == told.total_seconds() * 1000


@pytest.mark.parametrize("zone", ZONES)
def test_zone_offsets_rise_in_time_and_change_at_every_entry(zone: str) -> None:
    offsets = calendar.zone_offsets(zone)
    assert all(a[0] < b[0] and a[1] != b[1] for a, b in itertools.pairwise(offsets))


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Asia/shanghai "])
def test_an_unknown_zone_is_named_in_the_error(name: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        calendar.zone(name)


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_is_milliseconds_after_midnight(hour: int, minute: int) -> None:
    assert calendar.clock_ms(f"{hour:02d}:{minute:02d}") == (hour * 60 + minute) * 60_000


@pytest.mark.parametrize("text", ["24:00", "4:00", "04:60", "0400", "", "04:00:00", "aa:bb"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HH:MM"):
        calendar.clock_ms(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30s", (30_000, "ms")),
        ("5m", (300_000, "ms")),
        ("6h", (21_600_000, "ms")),
        ("2d", (172_800_000, "ms")),
        ("10wd", (10, "wd")),
        ("0wd", (0, "wd")),
    ],
)
def test_a_term_is_elapsed_time_or_working_days(text: str, span: tuple[int, str]) -> None:
    assert tuple(calendar.parse_span(text)) == span


@pytest.mark.parametrize("text", ["", "10", "wd", "1.5h", "-1d", "10 wd", "12345s", "1w"])
def test_what_is_no_term_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a term"):
        calendar.parse_span(text)


@given(instants, st.sampled_from(ZONES), st.integers(0, 30))
def test_elapsed_terms_take_no_notice_of_clocks(from_ms: int, zone: str, hours: int) -> None:
    assert calendar.after_span(from_ms, calendar.parse_span(f"{hours}h"), zone, {}) == from_ms + hours * 3_600_000


@given(
    instants,
    st.sampled_from([zone for zone in ZONES if zone != "America/Havana"]),
    st.integers(1, 15),
    st.sets(st.integers(1, 30), max_size=8),
)
def test_a_term_in_working_days_ends_with_its_last_working_day(
    from_ms: int, zone: str, days: int, changed: set[int]
) -> None:
    start = dt.datetime.fromtimestamp(from_ms / 1000, ZoneInfo(zone)).date()
    exceptions = {
        day.isoformat(): day.weekday() >= 5 for day in (start + dt.timedelta(days=offset) for offset in changed)
    }
    end_ms = calendar.after_span(from_ms, calendar.parse_span(f"{days}wd"), zone, exceptions)
    last = dt.datetime.fromtimestamp(end_ms // 1000, ZoneInfo(zone))
    after = dt.datetime.fromtimestamp((end_ms + 1) // 1000, ZoneInfo(zone))
    assert (after.hour, after.minute, after.date()) == (0, 0, last.date() + dt.timedelta(days=1))
    assert calendar.is_workday(last.date(), exceptions)
    between = [start + dt.timedelta(days=offset) for offset in range(1, (last.date() - start).days + 1)]
    assert sum(calendar.is_workday(day, exceptions) for day in between) == days


def test_a_term_over_a_holiday_skips_it_and_counts_the_worked_saturday() -> None:
    friday = at("Asia/Shanghai", 2026, 9, 25, 15)  # Mid-Autumn holiday 25-27 September 2026, 20 September worked
    exceptions = {"2026-09-28": False, "2026-10-10": True}
    end = calendar.after_span(friday, calendar.parse_span("1wd"), "Asia/Shanghai", exceptions)
    assert end == at("Asia/Shanghai", 2026, 9, 30) - 1
    saturday = calendar.after_span(
        at("Asia/Shanghai", 2026, 10, 9, 9), calendar.parse_span("1wd"), "Asia/Shanghai", exceptions
    )
    assert saturday == at("Asia/Shanghai", 2026, 10, 11) - 1
