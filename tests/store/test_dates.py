"""The library's calendar and the domain's give the same answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qserver.domain import calendar, hall
from qserver.store.topology import Topology

ZONES = ["Asia/Shanghai", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
BODY = """#!lua name=dates
{chapter}
redis.register_function('dates', function(keys, argv)
  local rules, at = cmsgpack.unpack(argv[1]), tonumber(argv[2])
  local day, day_end = business_day(rules, at)
  return {{day, day_end, after_span(rules, at, {{tonumber(argv[3]), argv[4]}}), time_of_day(rules, at)}}
end)
"""


@pytest.fixture
async def dates(redis_url: str) -> AsyncIterator[Topology]:
    """The dates chapter alone, as a function."""
    topology = Topology.from_url(redis_url)
    await topology.open()
    chapter = (resources.files("qserver.store") / "lua" / "dates.lua").read_text()
    await topology.primaries()[0].call("FUNCTION", "LOAD", "REPLACE", BODY.format(chapter=chapter))
    yield topology
    await topology.close()


def rules(zone: str, starts: str, exceptions: dict[str, bool]) -> dict[str, object]:
    """A hall's compiled rules."""
    parsed = hall.parse(
        {"id": "h", "time_zone": zone, "day_starts": starts, "services": [{"id": "a", "prefix": "A"}], "windows": []}
    )
    return hall.compiled(parsed, exceptions)


async def test_both_calendars_agree_on_days_terms_and_times_of_day(dates: Topology) -> None:
    packed: dict[tuple[str, str], bytes] = {}
    exceptions = {"2026-10-01": False, "2026-10-02": False, "2026-10-10": True, "2026-11-24": False}
    starts = ["00:00", "04:00", "01:30", "02:30", "23:30"]
    for zone in ZONES:
        for start in starts:
            packed[zone, start] = msgspec.msgpack.encode(rules(zone, start, exceptions))

    cases = []

    @settings(max_examples=600, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(ZONES),
        st.sampled_from(starts),
        st.integers(1_767_225_600_000, 1_924_991_999_000),
        st.sampled_from([(1, "wd"), (5, "wd"), (12, "wd"), (3_600_000, "ms")]),
    )
    def collect(zone: str, start: str, at: int, span: tuple[int, str]) -> None:
        cases.append((zone, start, at, span))

    collect()
    for zone in ZONES:  # around every change of clocks in 2026 and 2027
        for change, _ in calendar.zone_offsets(zone):
            if 1_767_225_600_000 < change < 1_830_297_600_000:
                cases += [
                    (zone, start, change + d, (2, "wd"))
                    for start in starts
                    for d in range(-7_200_000, 7_200_001, 900_000)
                ]
    link = dates.primaries()[0]
    for zone, start, at, span in cases:
        reply: Any = await link.call("FCALL", "dates", 0, packed[zone, start], at, span[0], span[1])
        day, day_end, ends, time = reply
        expected_day, expected_end = calendar.business_day(at, zone, start)
        assert (day.decode(), day_end) == (expected_day, expected_end), (zone, start, at)
        assert ends == calendar.after_span(at, calendar.Span(span), zone, exceptions), (zone, at, span)
        local = dt.datetime.fromtimestamp(at // 1000, calendar.zone(zone))
        assert time == ((local.hour * 60 + local.minute) * 60 + local.second) * 1000 + at % 1000
