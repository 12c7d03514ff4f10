"""Reports of days that have left are those of the days as they were, and a month is counted from all its legs."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import statistics
from collections.abc import AsyncIterator, Iterable
from typing import get_args

import msgspec
import pytest

from qserver.archive.archiver import Archiver
from qserver.archive.reports import Reports
from qserver.archive.shelf import Shelf
from qserver.domain.hall import Hall
from qserver.domain.report import DayReport, MonthReport, day_report
from qserver.domain.tally import By, Row
from qserver.domain.ticket import Leg, Review, Ticket
from qserver.store.answers import SYSTEM
from qserver.store.topology import Topology
from tests.archive.days import DAY_MS, H, day, furnish, settle
from tests.store.clocks import MORNING, TimedStore
from tests.store.follow import complaint, serve, take

TUESDAY = "2026-11-24"
BYS: tuple[By, ...] = get_args(By)


@pytest.fixture
def archiver(timed: TimedStore, shelf: Shelf) -> Archiver:
    return Archiver(timed, shelf, again_s=0)


@pytest.fixture
def reports(timed: TimedStore, shelf: Shelf) -> Reports:
    return Reports(timed, shelf)


def figures(report: DayReport | MonthReport) -> bytes:
    """Everything but when it was made."""
    return msgspec.json.encode(msgspec.structs.replace(report, as_of_ms=0))


async def of_day(reports: Reports, wanted: str = TUESDAY) -> list[bytes]:
    return [figures((await reports.day(H, wanted, by))[1]) for by in BYS]


async def of_month(reports: Reports, wanted: str = "2026-11") -> list[bytes]:
    return [figures((await reports.month(H, wanted, by))[1]) for by in BYS]


async def test_reports_are_the_same_before_and_after_their_days_left(
    timed: TimedStore, shelf: Shelf, archiver: Archiver, reports: Reports
) -> None:
    await archiver.once()
    await furnish(timed)
    chance = random.Random(20261124)
    for number in range(3):
        await day(timed, chance, number)
    await timed.set(MORNING + 4 * DAY_MS)
    await settle(timed)
    await timed.set(MORNING + 8 * DAY_MS + 7 * 3_600_000)
    await settle(timed)
    days = ["2026-11-24", "2026-11-25", "2026-11-26"]
    before = [await of_day(reports, one) for one in days], await of_month(reports)
    totals = (await reports.month(H, "2026-11", "window"))[1].totals
    assert totals.issued == 36 and totals.served > 10 and totals.negatives.rating and totals.signals.reissued == 0
    await archiver.once()
    assert ([await of_day(reports, one) for one in days], await of_month(reports)) == before
    assert [record.last > 0 for record in (await timed.ledger(H)).days.values()] == [True] * 3
    await timed.pass_ms(10 * DAY_MS)
    await settle(timed)
    await archiver.once()
    await settle(timed)
    assert [await timed.day_tickets(H, one) for one in days] == [[], [], []]
    after = [await of_day(reports, one) for one in days]
    assert after == before[0]
    assert await of_month(reports) == before[1]


async def test_a_day_of_which_a_part_has_left_is_counted_whole(
    timed: TimedStore, archiver: Archiver, reports: Reports
) -> None:
    await archiver.once()
    await asyncio.gather(*(timed.issue(SYSTEM, H, "a") for _ in range(1005)))
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await archiver.once()
    before = await of_day(reports)
    await timed.pass_ms(8 * DAY_MS)
    assert await timed.sweep_all() > 0
    while len(kept := await timed.day_tickets(H, TUESDAY)) == 1005:
        assert await timed.sweep_all() > 0
    assert 0 < len(kept) < 1005
    assert await of_day(reports) == before


async def test_what_is_decided_about_a_review_after_its_day_left_changes_the_figures(
    timed: TimedStore, archiver: Archiver, reports: Reports
) -> None:
    await archiver.once()
    review = await complaint(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await timed.pass_ms(8 * DAY_MS)
    await settle(timed)
    await archiver.once()
    await settle(timed)
    assert await timed.day_tickets(H, TUESDAY) == []
    before = (await reports.day(H, TUESDAY, "window"))[1].totals.negatives
    await take(timed, review, "assign", "appeal", "exclude")
    for _ in range(2):  # before the archive has taken it up, and afterwards
        after = (await reports.day(H, TUESDAY, "window"))[1].totals.negatives
        assert (before.rating, before.excluded, after.rating, after.excluded) == (1, 0, 0, 1)
        await archiver.once()


async def test_the_archive_alone_knows_reviews_that_redis_has_lost(
    timed: TimedStore, archiver: Archiver, reports: Reports
) -> None:
    await archiver.once()
    await furnish(timed, retention={"personal_days": 40, "record_days": 40})
    review = await complaint(timed)
    await take(timed, review, "assign", "verify", "rectify", "revisit", "close")
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await timed.pass_ms(8 * DAY_MS)
    await settle(timed)
    await archiver.once()
    await settle(timed)
    before = await of_day(reports)
    await timed.pass_ms(32 * DAY_MS)
    await settle(timed)
    assert (await timed.reviews(H))[0] == []
    assert await of_day(reports) == before


async def test_without_an_archive_reports_are_of_what_redis_holds(timed: TimedStore) -> None:
    reports = Reports(timed)
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await serve(timed)
    report = (await reports.month(H, "2026-11", "window"))[1]
    assert [(one.id, one.issued) for one in report.days] == [(TUESDAY, 1), ("2026-11-25", 1)]
    assert (await reports.day(H, TUESDAY, "window"))[1].totals.issued == 1
    await timed.pass_ms(8 * DAY_MS)
    await settle(timed)
    assert (await reports.day(H, TUESDAY, "window"))[1].totals.issued == 0


@pytest.fixture
async def early(redis_url: str) -> AsyncIterator[TimedStore]:
    """A store whose hall begins a year and three weeks before that Tuesday."""
    topology = Topology.from_url(redis_url)
    await topology.open()
    store = TimedStore(topology)
    await store.start()
    await store.set(MORNING - 386 * DAY_MS)
    await furnish(store)
    yield store
    await store.set(0)
    await store.close()


def legs_of(tickets: Iterable[Ticket]) -> list[tuple[Ticket, Leg, bool]]:
    """Each leg and whether it was finished at a window."""
    return [
        (ticket, leg, leg.outcome != "transferred" and (leg.leg < ticket.leg or ticket.state == "finished"))
        for ticket in tickets
        for leg in ticket.legs
    ]


def recount(row: Row, window: str | None, tickets: list[Ticket], reviews: list[Review]) -> None:
    """Every figure of a row, counted a second time by other means."""
    legs = [one for one in legs_of(tickets) if window is None or (one[1].window or "") == window]
    about = [one for one in reviews if window is None or (one.window or "") == window]
    sure = [leg for _, leg, _ in legs if not leg.unreliable]
    served = [leg for _, leg, finished in legs if finished]
    assert (row.called, row.served) == (sum(leg.calls > 0 for _, leg, _ in legs), len(served))
    assert row.left == sum(leg.outcome == "cancelled" for _, leg, _ in legs)
    assert row.transferred == sum(leg.outcome == "transferred" for _, leg, _ in legs)
    assert row.expired == sum(leg.outcome == "expired" for _, leg, _ in legs)
    assert (row.unreliable, row.pending) == (len(legs) - len(sure), 0)
    for spread, values in (
        (row.wait, [leg.wait_ms for leg in sure if leg.wait_ms is not None]),
        (row.service, [leg.service_ms for leg in served if not leg.unreliable and leg.service_ms is not None]),
    ):
        assert spread.count == len(values)
        if len(values) > 1:
            tenths = statistics.quantiles(values, n=10, method="inclusive")
            assert spread.p90_ms == pytest.approx(tenths[8], abs=0.5)
            assert spread.p50_ms == pytest.approx(statistics.median(values), abs=0.5)
            assert spread.mean_ms == pytest.approx(statistics.mean(values), abs=0.5)
    assert row.overtime.service == sum(leg.overtime.service for leg in sure)
    assert row.overtime.wait == sum(leg.overtime.wait for leg in sure)
    scores = [leg.rating.score for leg in served if leg.rating]
    assert (row.ratings.rated, row.ratings.good) == (len(scores), sum(score >= 3 for score in scores))
    assert row.ratings.unrated == len(served) - len(scores)
    for source in ("rating", "overtime", "wait", "case"):
        assert getattr(row.negatives, source) == sum(one.source == source for one in about)


async def test_a_month_can_be_recounted_and_is_beside_the_month_before_and_the_year_before(
    early: TimedStore, shelf: Shelf
) -> None:
    timed, archiver, reports = early, Archiver(early, shelf, again_s=0), Reports(early, shelf)
    await archiver.once()
    chance = random.Random(11)
    tickets: dict[str, list[Ticket]] = {"2025-11": [], "2026-10": [], "2026-11": []}
    for wanted in ("2025-11-04", "2025-11-05", "2026-10-30", "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-23"):
        number = (dt.date.fromisoformat(wanted) - dt.date(2026, 11, 24)).days
        await day(timed, chance, number, visits=10)
        await timed.set(MORNING + (number + 1) * DAY_MS)
        await settle(timed)
        tickets[wanted[:7]] += await timed.day_tickets(H, wanted)
        await archiver.once()
    reviews = [one async for page in timed.kept_reviews(H) for one in page]
    report = (await reports.month(H, "2026-11", "window"))[1]
    own = tickets["2026-11"]
    assert (report.month, report.totals.issued) == ("2026-11", 40) and len(own) == 40
    assert [(one.id, one.issued) for one in report.days] == [
        ("2026-11-02", 10), ("2026-11-03", 10), ("2026-11-04", 10), ("2026-11-23", 10),
    ]  # fmt: skip

    def about(month: str) -> list[Review]:
        return [one for one in reviews if one.ticket.startswith(month.replace("-", ""))]

    recount(report.totals, None, own, about("2026-11"))
    assert {row.id for row in report.rows} >= {"w1", "w2", "w3"}
    for row in report.rows:
        recount(row, row.id, own, about("2026-11"))
    assert report.before is not None and report.year_before is not None
    for compared, month, days in ((report.before, "2026-10", 1), (report.year_before, "2025-11", 2)):
        assert (compared.month, compared.days) == (month, days)
        recount(compared.totals, None, tickets[month], about(month))
        for row in compared.rows:
            recount(row, row.id, tickets[month], about(month))
    waits = [row.wait.p90_ms for row in report.days]
    assert report.totals.wait.p90_ms != round(statistics.mean(wait for wait in waits if wait)), "no mean of days"
    empty = (await reports.month(H, "2024-02", "staff"))[1]
    assert (empty.totals.issued, empty.rows, empty.days, empty.before, empty.year_before) == (0, [], [], None, None)


async def test_a_running_month_is_counted_as_far_as_it_has_come(
    timed: TimedStore, archiver: Archiver, reports: Reports
) -> None:
    await archiver.once()
    await serve(timed)
    await timed.pass_ms(DAY_MS)
    await settle(timed)
    await archiver.once()
    await serve(timed)
    await serve(timed)
    report = (await reports.month(H, "2026-11", "service"))[1]
    assert [(one.id, one.issued, one.served) for one in report.days] == [(TUESDAY, 1, 1), ("2026-11-25", 2, 2)]
    assert [(row.id, row.issued) for row in report.rows][:2] == [("a", 3), ("b", 0)]
    assert report.as_of_ms == timed.at
    assert {one.figure for one in report.definitions} >= {"month", "before", "year_before", "wait.p90_ms"}


async def test_a_month_is_the_count_of_all_its_tickets_at_once(
    timed: TimedStore, archiver: Archiver, reports: Reports
) -> None:
    await archiver.once()
    await furnish(timed)
    chance = random.Random(5)
    for number in range(4):
        await day(timed, chance, number, visits=8)
    await timed.set(MORNING + 5 * DAY_MS)
    await settle(timed)
    every: list[Ticket] = []
    for number in range(4):
        every += await timed.day_tickets(H, f"2026-11-{24 + number}")
    reviews = [one async for page in timed.kept_reviews(H) for one in page]
    for by in BYS:
        hall: Hall
        hall, month = await reports.month(H, "2026-11", by)
        # One day that holds everything: ids say nothing to the counting but to which day a review belongs.
        moved = [msgspec.structs.replace(one, ticket=TUESDAY.replace("-", "") + one.ticket[8:]) for one in reviews]
        whole = day_report(hall, TUESDAY, by, every, moved, 0)
        assert (month.rows, month.totals) == (whole.rows, whole.totals)


async def test_reports_name_no_person_and_no_telephone(timed: TimedStore, archiver: Archiver, reports: Reports) -> None:
    await archiver.once()
    await furnish(timed)
    await day(timed, random.Random(2), 0)
    for text in await of_day(reports) + await of_month(reports):
        assert b"hash-" not in text and b"138" not in text and "请打".encode() not in text
