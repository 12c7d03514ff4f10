"""A month of seeded days over the National Day holiday, 20 windows and 600 tickets a day: what evaluation ends with is
recounted from the feed alone, leg by leg, rating by rating, review by review."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from qserver.archive.archiver import Archiver
from qserver.archive.reports import Reports
from qserver.archive.shelf import Shelf
from qserver.domain import hall
from qserver.domain.events import Event
from qserver.domain.tally import Row
from qserver.domain.ticket import Review
from qserver.store.answers import SYSTEM
from qserver.store.topology import Topology
from tests.acceptance.month_people import Month, Sent
from tests.acceptance.month_recount import (
    SAID,
    Case,
    FollowUp,
    Judge,
    Key,
    Leg,
    Rating,
    by_source,
    cases_of,
    follow_ups_of,
    legs_of,
)
from tests.acceptance.month_rules import FIRST, HALL, LIMIT_MS, PAD_MS, TICKETS, WINDOWS, H, at, days, end_of, works
from tests.servers import DataServer
from tests.store.clocks import TimedStore

DAY = 86_400_000


@dataclass
class Ended:
    """The month gone by: what the feed says of it, and what there is in the end."""

    store: TimedStore
    shelf: Shelf
    now: int
    events: list[Event]
    reviews: list[Review]
    sent: list[Sent]
    legs: dict[Key, Leg]
    cases: dict[str, Case]
    follow_ups: dict[str, FollowUp]
    judged: list[str]
    recorded: dict[Key, Rating]

    def of(self, kind: str) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.events if event.kind == kind]

    @property
    def served(self) -> list[Leg]:
        """The legs that were finished at a window."""
        return [leg for leg in self.legs.values() if leg.served]

    @property
    def over(self) -> list[Leg]:
        """The legs whose service took too long."""
        return [leg for leg in self.legs.values() if leg.is_over]


@pytest.fixture
async def month(valkey: DataServer, tmp_path: Path) -> AsyncIterator[Ended]:
    """Played once for all that is asked of it."""
    topology = Topology.from_url(valkey.url)
    await topology.open()
    store = TimedStore(topology)
    try:
        await store.start()
        yield await played(store, tmp_path / "archive")
    finally:
        await store.set(0)
        await store.close()


async def played(store: TimedStore, folder: Path) -> Ended:
    """The month as it ended, and its recount."""
    await store.set(at(FIRST, 8))
    await store.configure(SYSTEM, hall.parse(HALL))
    shelf = Shelf(folder)
    shelf.open()
    month = Month(store, Archiver(store, shelf, again_s=0), seed=20260930)
    await month.play()
    events = await feed(store)
    legs = legs_of(events)
    judge = Judge(legs)
    judged = [judge.of(one) for one in month.sent]
    return Ended(
        store, shelf, store.at, events, await all_reviews(store), month.sent, legs, cases_of(events),
        follow_ups_of(events, store.at), judged, judge.recorded,
    )  # fmt: skip


async def feed(store: TimedStore) -> list[Event]:
    """Every event of the hall."""
    found: list[Event] = []
    last = "-"
    while page := await store.read_events(store.partition(H), last, 5000):
        found += [msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in page if b"e" in fields]
        last = page[-1][0].decode()
    return found


async def all_reviews(store: TimedStore) -> list[Review]:
    """Every review there is."""
    found: list[Review] = []
    after: str | None = ""
    while after is not None:
        page, after = await store.reviews(H, limit=1000, after=after)
        found += page
    return found


@pytest.mark.timeout(240)
async def test_every_figure_of_a_month_can_be_recounted_from_the_feed_alone(month: Ended) -> None:
    assert len({event.id for event in month.events}) == len(month.events)
    assert [event.s for event in month.events] == list(range(1, len(month.events) + 1))
    the_month_was_a_full_one(month)
    overtime_reviews_are_the_legs_over_their_limit(month)
    waits_over_their_limit_are_reviewed_once(month)
    ratings_recorded_are_those_sent_less_those_refused(month)
    each_negative_rating_is_in_exactly_one_follow_up(month)
    who_did_not_rate_in_time_is_unrated(month)
    promises_not_kept_are_reviewed_once(month)
    every_term_ends_with_its_last_working_day(month)
    await the_reviews_are_as_the_feed_tells_them(month)
    for one in ("2026-09", "2026-10"):
        await the_report_of_the_month_says_the_same(month, one)


def the_month_was_a_full_one(month: Ended) -> None:
    worked = [day.isoformat() for day in days() if works(day)]
    assert len(worked) == 18
    assert Counter(event.day for event in month.of("ticket.issued")) == dict.fromkeys(worked, TICKETS)
    assert {leg.window for leg in month.served} == set(WINDOWS)
    kinds = Counter(event.kind for event in month.events)
    for kind in ("held", "unheld", "missed", "returned", "transferred", "undone", "cancelled", "expired", "recalled"):
        assert kinds[f"ticket.{kind}"] > 50, kind
    more = [event.more() for event in month.of("ticket.finished")]
    assert sum("sent_on" in one for one in more) > 500
    assert sum("to_window" in one for one in more) > 200
    assert len(month.served) > 12_000
    assert (
        Counter(len({leg.ticket for leg in month.legs.values() if leg.number == n}) > 100 for n in (1, 2, 3))[True] == 3
    )
    for service, limit in LIMIT_MS.items():
        near = Counter(leg.service_ms - limit for leg in month.served if leg.service == service)
        assert not limit or min(near[-1], near[0], near[1]) > 20, (service, near.most_common(5))


def overtime_reviews_are_the_legs_over_their_limit(month: Ended) -> None:
    reviews = by_source(month.follow_ups)["overtime"]
    assert reviews.keys() == {leg.key for leg in month.over}
    assert len(month.over) > 2000
    assert Counter(leg.service for leg in month.over).keys() == {"a", "b", "c", "d"}
    flagged = {(event.ticket, event.leg): event for event in month.of("overtime.service")}
    assert len(flagged) == len(month.of("overtime.service"))
    assert flagged.keys() == reviews.keys()
    for leg in month.over:
        [review] = reviews[leg.key]
        event = flagged[leg.key]
        assert event.due_ms == leg.limit_at_ms < event.at_ms == review.opened_ms
        assert (review.window, review.staff) == (event.window, event.staff) == (leg.window, leg.staff)
    held = [leg for leg in month.over if len(leg.spans) > 1]
    assert len(held) > 50, "some of them were held meanwhile"
    saved = [leg for leg in month.served if not leg.is_over and LIMIT_MS[leg.service]
             and leg.ended_ms - leg.spans[0][0] > LIMIT_MS[leg.service]]  # fmt: skip
    assert len(saved) > 50, "some are not over only because the clock stood still"


def waits_over_their_limit_are_reviewed_once(month: Ended) -> None:
    reviews = by_source(month.follow_ups)["wait"]
    assert reviews.keys() == {leg.key for leg in month.legs.values() if leg.waited_too_long}
    assert all(len(found) == 1 for found in reviews.values())
    assert len(reviews) > 100


def ratings_recorded_are_those_sent_less_those_refused(month: Ended) -> None:
    for sent, judged in zip(month.sent, month.judged, strict=True):
        assert (sent.status, sent.code) in SAID[judged], (
            sent,
            judged,
            month.legs.get((sent.item.ticket, sent.item.leg)),
        )
    counted = Counter(month.judged)
    assert counted.keys() == SAID.keys(), "everything that may happen did"
    assert min(counted.values()) > 20, counted
    told = {
        (event.ticket, event.leg): Rating(
            event.more()["score"], event.more()["source"], event.more()["rated_ms"], event.at_ms, event.more()["rid"]
        )
        for event in month.of("rating.recorded")
    }
    refused = counted.total() - counted["recorded"]
    assert len(month.of("rating.recorded")) == len(told) == len(month.sent) - refused
    assert told == month.recorded, "which ones, whose, when and how good"
    assert Counter(rating.source for rating in told.values())["active_late"] > 200
    assert len(told) > 7000
    for event in month.of("rating.recorded"):
        leg = month.legs[event.ticket, event.leg]
        assert (event.window, event.service, event.staff) == (leg.window, leg.service, leg.staff)


def each_negative_rating_is_in_exactly_one_follow_up(month: Ended) -> None:
    reviews = by_source(month.follow_ups)["rating"]
    negative = {key: rating for key, rating in month.recorded.items() if rating.score <= 2}
    assert reviews.keys() == negative.keys()
    assert len(negative) > 500
    for key, rating in negative.items():
        [review] = reviews[key]
        assert (review.opened_ms, review.window) == (rating.recorded_ms, month.legs[key].window)
    assert by_source(month.follow_ups).keys() == {"rating", "overtime", "wait", "case"}


def who_did_not_rate_in_time_is_unrated(month: Ended) -> None:
    told = Counter((event.ticket, event.leg) for event in month.of("rating.unrated"))
    after = {
        leg.key: month.recorded[leg.key].recorded_ms - leg.ended_ms - PAD_MS if leg.key in month.recorded else 1
        for leg in month.served
    }
    at_the_last_instant = {key for key, ms in after.items() if ms == 0}  # time and the citizen come together
    silent = {key for key, ms in after.items() if ms > 0}
    assert told.keys() - at_the_last_instant == silent
    assert set(told.values()) == {1}
    assert len(silent) > 3000


def promises_not_kept_are_reviewed_once(month: Ended) -> None:
    reviews = by_source(month.follow_ups)["case"]
    overdue = [one for one in month.cases.values() if one.is_overdue(month.now)]
    assert Counter(one.leg for one in overdue) == {key: len(found) for key, found in reviews.items()}
    assert all(one.told_due_ms == one.due_ms for one in month.cases.values())
    assert len(overdue) > 200
    ways = Counter((one.how, one.is_overdue(month.now)) for one in month.cases.values())
    assert {("completed", False), ("completed", True), ("", True), ("withdrawn", False)} <= ways.keys()
    assert sum(one.due_ms - one.accepted_ms > 8 * DAY for one in month.cases.values()) > 20, "over the holiday"


def every_term_ends_with_its_last_working_day(month: Ended) -> None:
    for one in month.follow_ups.values():
        assert one.wrong == []
        assert one.steps[0] == "opened"
        assert one.told_late == one.lates
    across = [one for one in month.follow_ups.values() if at(days()[10], 0) <= one.opened_ms < at(days()[11], 0)]
    assert len(across) > 100
    assert {end_of(one.opened_ms, 1) for one in across} == {at(days()[19], 0) - 1}, "opened on 30 September: 8 October"
    made_up = [one for one in month.follow_ups.values() if at(days()[19], 0) <= one.opened_ms < at(days()[20], 0)]
    assert len(made_up) > 100
    assert {end_of(one.opened_ms, 1) for one in made_up} == {at(days()[21], 0) - 1}, "the 9th: Saturday the 10th"
    steps = Counter(step for one in month.follow_ups.values() for step in one.steps)
    assert len(steps) == 9 and min(steps.values()) > 20, steps
    assert sum(one.lates > 1 for one in month.follow_ups.values()) > 20, "late more than once"


async def the_reviews_are_as_the_feed_tells_them(month: Ended) -> None:
    assert [one.id for one in month.reviews] == sorted(month.follow_ups)
    for one in month.reviews:
        told = month.follow_ups[one.id]
        assert (one.source, one.ticket, one.leg, one.opened_ms) == (told.source, *told.leg, told.opened_ms)
        assert (one.window or "", one.staff or "", one.due_ms or 0) == (told.window, told.staff, told.due_ms)
        assert one.late == (told.lates > 0)
        assert [step["step"] for step in one.history if step["step"] not in ("late", "reminded")] == told.steps
    pending = [one for one in month.follow_ups.values() if one.steps[-1] not in ("closed", "excluded")]
    back = [one for one in pending if one.steps[-1] == "upheld" and one.steps[-3] == "closed"]
    assert (await month.store.stats(H)).open_reviews == len(pending) - len(back)


async def the_report_of_the_month_says_the_same(month: Ended, name: str) -> None:
    first = FIRST.isoformat()
    assert await month.store.day_tickets(H, first) == []
    assert month.shelf.holds(H, first), "the first days have left and are counted from the archive"
    _, report = await Reports(month.store, month.shelf).month(H, name, "window")
    stamp = name.replace("-", "")
    legs = [leg for leg in month.legs.values() if leg.ticket.startswith(stamp)]
    reviews = [one for one in month.follow_ups.values() if one.leg[0].startswith(stamp)]
    assert {row.id for row in report.rows} == {*WINDOWS, ""}
    for row in report.rows:
        mine = [one for one in reviews if one.window == row.id]
        the_row_counts(month, row, [leg for leg in legs if leg.window == row.id], mine)
    the_row_counts(month, report.totals, legs, reviews)
    issued = [event.day for event in month.of("ticket.issued") if event.ticket.startswith(stamp)]
    assert report.totals.issued == len(issued) == sum(row.issued or 0 for row in report.days)
    assert [row.id for row in report.days] == sorted({*issued})
    before = [leg for leg in month.served if leg.ticket.startswith("202609")]
    assert (report.before is None) == (name == "2026-09")
    assert report.before is None or report.before.totals.served == len(before)


def the_row_counts(month: Ended, row: Row, legs: list[Leg], reviews: list[FollowUp]) -> None:
    served = [leg for leg in legs if leg.served]
    services = [leg.service_ms for leg in served]
    assert (row.served, row.service.count) == (len(served), len(served))
    if len(services) > 1:
        assert row.service.p90_ms == pytest.approx(statistics.quantiles(services, n=10, method="inclusive")[8], abs=0.5)
        assert row.service.mean_ms == pytest.approx(statistics.mean(services), abs=0.5)
    sure = [leg for leg in legs if leg.how != "expired"]
    assert row.overtime.service == sum(leg.is_over for leg in sure)
    assert row.overtime.wait == sum(leg.waited_too_long for leg in sure)
    assert row.unreliable == row.expired == len(legs) - len(sure)
    assert row.transferred == sum(leg.how == "transferred" for leg in legs)
    assert row.left == sum(leg.how == "cancelled" for leg in legs)
    ratings = [month.recorded[leg.key] for leg in served if leg.key in month.recorded]
    sources = Counter(rating.source for rating in ratings)
    assert (row.ratings.active, row.ratings.active_late) == (sources["active"], sources["active_late"])
    assert row.ratings.good == sum(rating.score >= 3 for rating in ratings)
    assert row.ratings.unrated == len(served) - len(ratings)
    standing = Counter(one.source for one in reviews if one.steps[-1] != "excluded")
    told = (row.negatives.rating, row.negatives.overtime, row.negatives.wait, row.negatives.case)
    assert told == tuple(standing[source] for source in ("rating", "overtime", "wait", "case"))
    assert row.negatives.excluded == len(reviews) - standing.total()
