"""Weeks of seeded days over the National Day holiday: what evaluation ends with, recounted from the feed alone."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import statistics
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from qserver.archive.archiver import Archiver
from qserver.archive.reports import Reports
from qserver.archive.shelf import Shelf
from qserver.domain import hall
from qserver.domain.events import Event
from qserver.domain.hall import Hall
from qserver.domain.report import MonthReport
from qserver.domain.ticket import Review
from qserver.store.answers import SYSTEM, Op, RatingItem
from qserver.store.topology import Topology
from tests.servers import DataServer
from tests.store.clocks import TimedStore

H = "h1"
ZONE = ZoneInfo("Asia/Shanghai")
WINDOWS = [f"w{n}" for n in range(1, 7)]
LIMIT_MS = 600_000
OFF = {dt.date(2026, 9, 25), *(dt.date(2026, 10, day) for day in range(1, 8))}
"""Mid-autumn and the National Day week of 2026, as the State Council's notice has them, told here a second time."""
WORKED = {dt.date(2026, 9, 20), dt.date(2026, 10, 10)}
HALL = {
    "id": H,
    "services": [{"id": "a", "prefix": "A", "service_limit_s": LIMIT_MS / 1000, "case_limit": "3wd"}],
    "windows": [{"id": window, "services": ["a"]} for window in WINDOWS],
}


def works(day: dt.date) -> bool:
    return day in WORKED or (day.weekday() < 5 and day not in OFF)


def end_of(start_ms: int, working_days: int) -> int:
    """The last instant of the n-th working day after that of an instant."""
    day = dt.datetime.fromtimestamp(start_ms / 1000, ZONE).date()
    while working_days:
        day += dt.timedelta(days=1)
        working_days -= works(day)
    return int(dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), ZONE).timestamp() * 1000) - 1


async def sweep(store: TimedStore) -> None:
    while await store.sweep_all():
        pass


async def served(store: TimedStore, window: str) -> str:
    """A ticket in service at the window."""
    ticket = (await store.issue(SYSTEM, H, "a", window=window)).value.ticket
    await store.call(SYSTEM, H, window, ticket=ticket.no)
    await store.begin_service(SYSTEM, H, window)
    return ticket.id


async def play(store: TimedStore, chance: random.Random, archiver: Archiver) -> Counter[str]:
    """Three weeks of days, archived as they go by; answers what the pads sent and got."""
    counted: Counter[str] = Counter()
    day = dt.date(2026, 9, 21)
    while day < dt.date(2026, 10, 14):
        day += dt.timedelta(days=1)
        await store.set(int(dt.datetime.combine(day, dt.time(9), ZONE).timestamp() * 1000))
        await sweep(store)
        await archiver.once()
        await sweep(store)
        if not works(day):
            continue
        await asyncio.gather(*(store.open(SYSTEM, H, window, staff=f"s-{window}") for window in WINDOWS))
        for _ in range(8):
            ids = await asyncio.gather(*(served(store, window) for window in WINDOWS))
            await store.pass_ms(chance.choice([200_000, 599_999, 600_000, 600_001, 700_000]))
            for window, ticket in zip(WINDOWS, ids, strict=True):
                outcome = "accepted" if chance.random() < 0.1 else "done"
                await store.finish(SYSTEM, H, window, outcome=outcome, case=f"C-{ticket}")
            await sweep(store)
            for window, ticket in zip(WINDOWS, ids, strict=True):
                if chance.random() < 0.7:
                    score, age = chance.choice([1, 2, 3, 4, 5, 5]), chance.choice([0, 0, 0, 3_600_000])
                    item = RatingItem("r" + ticket, ticket, 1, score, age)
                    (results, *_), _ = await store.rate(Op("pad-" + window), H, window, [item])
                    counted[results[0].status] += 1
    return counted


async def recount(reported: tuple[Hall, MonthReport], events: list[Event], reviews: list[Review], month: str) -> None:
    """A month's report against the events of the feed alone."""
    report = reported[1]

    def within(window: str | None, kind: str) -> list[Event]:
        stamp = month.replace("-", "")
        mine = (one for one in events if one.kind == kind and one.ticket.startswith(stamp))
        return [one for one in mine if window in (None, one.window)]

    assert {row.id for row in report.rows} == set(WINDOWS)
    for row, window in [(report.totals, None), *((row, row.id) for row in report.rows)]:
        finished = within(window, "ticket.finished")
        services = sorted(one.service_ms for one in finished)
        assert (row.served, row.service.count) == (len(finished), len(services))
        assert row.service.p90_ms == pytest.approx(statistics.quantiles(services, n=10, method="inclusive")[8], abs=0.5)
        assert row.service.mean_ms == pytest.approx(statistics.mean(services), abs=0.5)
        assert row.overtime.service == len({one.ticket for one in within(window, "overtime.service")})
        scores = [one.more()["score"] for one in within(window, "rating.recorded")]
        assert (row.ratings.rated, row.ratings.good) == (len(scores), sum(score >= 3 for score in scores))
        assert row.negatives.rating == sum(score <= 2 for score in scores)
        about = [one for one in reviews if one.ticket.startswith(month.replace("-", ""))]
        cases = [one for one in about if one.source == "case" and window in (None, one.window)]
        assert row.negatives.case == len(cases)
    assert report.totals.issued == len(within(None, "ticket.issued")) == sum(row.issued or 0 for row in report.days)
    assert [row.id for row in report.days] == sorted({one.day for one in within(None, "ticket.issued")})
    assert (report.before is None) == (month == "2026-09")
    assert report.before is None or report.before.totals.served == 6 * 8 * len(WINDOWS)


async def feed(store: TimedStore) -> list[Event]:
    found: list[Event] = []
    last = "-"
    while page := await store.read_events(store.partition(H), last, 5000):
        found += [msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in page if b"e" in fields]
        last = page[-1][0].decode()
    return found


@pytest.mark.timeout(180)
async def test_every_figure_of_weeks_over_a_holiday_can_be_recounted_from_the_feed(
    valkey: DataServer, tmp_path: Path
) -> None:
    topology = Topology.from_url(valkey.url)
    await topology.open()
    store = TimedStore(topology)
    await store.start()
    await store.set(int(dt.datetime(2026, 9, 21, 8, tzinfo=ZONE).timestamp() * 1000))
    await store.configure(SYSTEM, hall.parse(HALL))
    shelf = Shelf(tmp_path / "archive")
    shelf.open()
    archiver = Archiver(store, shelf, again_s=0)
    counted = await play(store, random.Random(20260930), archiver)
    await store.pass_ms(1_800_000)
    await sweep(store)
    await archiver.once()
    events, reviews = await feed(store), (await store.reviews(H, limit=1000))[0]
    assert len({event.id for event in events}) == len(events)
    assert [event.s for event in events] == list(range(1, len(events) + 1))

    finished = [event for event in events if event.kind == "ticket.finished"]
    over = [(event.ticket, event.leg) for event in finished if event.service_ms > LIMIT_MS]
    by_source = {source: [one for one in reviews if one.source == source] for source in ("overtime", "rating", "case")}
    assert len(finished) == 12 * 8 * len(WINDOWS) and len(over) > 100
    assert sorted((one.ticket, one.leg) for one in by_source["overtime"]) == sorted(over)

    recorded = [event for event in events if event.kind == "rating.recorded"]
    assert len(recorded) == counted["recorded"] and counted["rejected"] > 0
    negative = sorted(event.ticket for event in recorded if event.more()["score"] <= 2)
    assert sorted(one.ticket for one in by_source["rating"]) == negative, "every negative is in exactly one follow-up"
    silent = {event.ticket for event in events if event.kind == "rating.unrated"}
    assert silent == {event.ticket for event in finished} - {event.ticket for event in recorded}

    now = store.at
    accepted = {event.ticket: event for event in events if event.kind == "case.accepted"}
    assert all(event.due_ms == end_of(event.at_ms, 3) for event in accepted.values())
    assert sorted(one.ticket for one in by_source["case"]) == sorted(
        ticket for ticket, event in accepted.items() if event.due_ms < now
    )

    opened = {event.more()["review"]: event for event in events if event.kind == "review.opened"}
    assert opened.keys() == {one.id for one in reviews}
    for one in reviews:
        assert one.due_ms == end_of(one.opened_ms, 1) == opened[one.id].due_ms
        assert one.late == (one.due_ms < now)
    assert sum(event.kind == "review.late" for event in events) == sum(one.late for one in reviews)
    across = [one for one in reviews if one.opened_ms < end_of(one.opened_ms, 1) - 6 * 86_400_000]
    assert across, "some terms pass over the whole holiday"
    assert (await store.stats(H)).open_reviews == len(reviews)

    assert await store.day_tickets(H, "2026-09-22") == [] and shelf.holds(H, "2026-09-22"), "the first days have left"
    for month in ("2026-09", "2026-10"):
        await recount(await Reports(store, shelf).month(H, month, "window"), events, reviews, month)
    await store.set(0)
    await store.close()
