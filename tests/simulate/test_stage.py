"""The definition a day is played with: limits scaled, no opening hours, no turn of the day within the run."""

import datetime as dt

import pytest

from qserver.domain import calendar
from qserver.domain import hall as halls
from qserver.simulate import stage
from qserver.simulate.trace import Arrival, Change, Day

HALL = halls.parse(
    {
        "id": "north",
        "time_zone": "Europe/Warsaw",
        "services": [{"id": "a", "prefix": "A", "service_limit_s": 600, "opens": "09:00", "closes": "17:00"}],
        "windows": [{"id": "w1", "services": ["a"]}],
        "rating": {"window_s": 1800},
    }
)
HOUR_MS = 3_600_000


def instant(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=calendar.zone("Europe/Warsaw")).timestamp() * 1000)


def test_limits_shrink_and_opening_hours_fall_away() -> None:
    copy, notes = stage.applied(HALL, 60, instant("2026-11-23T12:00"), HOUR_MS)
    assert (copy.services[0].service_limit_s, copy.rating.window_s) == (10, 30)
    assert (copy.services[0].opens, copy.services[0].closes) == (None, None)
    assert copy.day_starts == HALL.day_starts
    assert notes == ["north: opening hours left out"]


@pytest.mark.parametrize("now", ["2026-11-23T03:59", "2026-11-23T02:40", "2026-10-25T03:30", "2026-03-29T03:30"])
def test_no_day_turns_within_a_run(now: str) -> None:
    now_ms = instant(now)
    copy, notes = stage.applied(HALL, 60, now_ms, HOUR_MS)
    day, ends_ms = calendar.business_day(now_ms, copy.time_zone, copy.day_starts)
    assert ends_ms > now_ms + HOUR_MS + stage.MARGIN_MS
    assert day == calendar.business_day(now_ms, HALL.time_zone, HALL.day_starts)[0], "the day keeps its name"
    assert "day turns at" in notes[1]


def test_a_run_just_after_the_turn_needs_nothing() -> None:
    copy, _ = stage.applied(HALL, 60, instant("2026-11-23T04:00"), HOUR_MS)
    assert copy.day_starts == "04:00"


def test_a_day_can_be_moved_into_another_hall() -> None:
    day = Day((HALL,), (Arrival(1, "north", "a", "normal", 5, None),), (Change(0, "north", "w1", ("a",)),), "x")
    moved = stage.renamed(day, {"north": "north-2"})
    assert (moved.halls[0].id, moved.arrivals[0].hall, moved.changes[0].hall) == ("north-2",) * 3
