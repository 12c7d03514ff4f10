"""The working days of a month, as terms count them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import msgspec
import pytest

from qserver.domain.calendar import after_span, parse_span
from qserver.domain.holidays import exceptions
from tests.api.doors import HALL, Doors, serving_at
from tests.servers import DataServer


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


async def workdays(doors: Doors, month: str) -> list[str]:
    found = (await doors.display.get(f"workdays/{month}")).ok()
    assert found["month"] == month
    days: list[str] = found["workdays"]
    return days


async def test_holidays_are_off_and_make_up_days_are_on(doors: Doors) -> None:
    days = await workdays(doors, "2026-10")
    assert days[:3] == ["2026-10-08", "2026-10-09", "2026-10-10"], (
        "the week of the National Day, and a Saturday instead"
    )
    assert len(await workdays(doors, "2026-02")) < 20


async def test_the_halls_own_days_go_first(doors: Doors) -> None:
    own = HALL | {"calendar": {"days": {"2026-11-25": False, "2026-11-28": True}}}
    assert (await doors.admin.ask("PUT", "/api/v1/halls/h1", msgspec.json.encode(own))).status == 200
    days = await workdays(doors, "2026-11")
    assert "2026-11-25" not in days
    assert "2026-11-28" in days


async def test_they_are_the_days_that_terms_count(doors: Doors) -> None:
    """Each working day after the start uses up one of the term."""
    start, zone = dt.datetime(2026, 9, 25, 3, tzinfo=dt.UTC), "Asia/Shanghai"
    days = [day for month in ("2026-09", "2026-10", "2026-11") for day in await workdays(doors, month)]
    later = [day for day in days if day > "2026-09-25"]
    for number in range(1, 30):
        due = after_span(int(start.timestamp() * 1000), parse_span(f"{number}wd"), zone, exceptions("", zone, {}))
        assert (
            dt.datetime.fromtimestamp(due / 1000, dt.timezone(dt.timedelta(hours=8))).date().isoformat()
            == later[number - 1]
        )


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "202611", "2026-11-01", "x", "2026-W4"])
async def test_a_wrong_month_is_refused(doors: Doors, month: str) -> None:
    assert (await doors.display.get(f"workdays/{month}")).code == (400, "validation")


@pytest.mark.parametrize("month", ["0001-01", "9999-12"])
async def test_the_first_and_the_last_month_there_is_are_months(doors: Doors, month: str) -> None:
    assert len(await workdays(doors, month)) in (22, 23)
