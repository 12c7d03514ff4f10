"""Integrity signals: what looks like gaming is marked on the leg and in the feed, and nothing is refused for it."""

from __future__ import annotations

from typing import Any

import pytest

from qserver.domain import hall
from qserver.store.answers import SYSTEM, RatingItem
from tests.store.clocks import TimedStore
from tests.store.conftest import HALL
from tests.store.follow import H, events, serve

MINUTE = 60_000


async def marked(store: TimedStore) -> dict[str, list[str]]:
    """Signals by ticket number of the day's legs that have any."""
    return {t.no: [*leg.signals] for t in await store.day_tickets(H) for leg in t.legs if leg.signals}


async def told(store: TimedStore) -> list[tuple[str, Any]]:
    """Kind and signals of the events that carry any."""
    return [(event.kind, event.more()["signals"]) for event in await events(store) if "signals" in event.more()]


async def visit(store: TimedStore, seconds: float, window: str = "w1", **issue: str) -> str:
    """Somebody served so long; answers the ticket's number."""
    if (await store.window(H, window)).state == "closed":
        await store.open(SYSTEM, H, window)
    ticket = (await store.issue(SYSTEM, H, "a", **issue)).value.ticket
    await store.call(SYSTEM, H, window, ticket=ticket.no)
    await store.begin_service(SYSTEM, H, window)
    await store.pass_ms(int(seconds * 1000))
    await store.finish(SYSTEM, H, window)
    return ticket.no


async def test_a_service_far_below_the_mean_is_marked_once_the_mean_says_something(timed: TimedStore) -> None:
    await visit(timed, 1)
    for _ in range(9):
        await visit(timed, 300)
    assert await marked(timed) == {}
    normal, short = await visit(timed, 60), await visit(timed, 5)
    assert await marked(timed) == {short: ["short_service"]}, normal
    assert await told(timed) == [("ticket.finished", ["short_service"])]


async def test_the_same_person_again_soon_after_a_finish_is_marked(timed: TimedStore) -> None:
    await visit(timed, 300, person="p1")
    await timed.pass_ms(29 * MINUTE)
    again = await visit(timed, 300, person="p1")
    await visit(timed, 300, person="p2")
    assert await marked(timed) == {again: ["reissued"]}
    assert await told(timed) == [("ticket.issued", ["reissued"])]
    await timed.pass_ms(30 * MINUTE)
    await visit(timed, 300, person="p1")
    assert list(await marked(timed)) == [again]


@pytest.mark.parametrize(
    ("sent", "odd"),
    [({"then": "a"}, True), ({"then_window": "w1"}, True), ({"then": "b"}, False), ({"then_window": "w2"}, False)],
)
async def test_a_finish_that_sends_the_visit_back_where_it_was_is_marked(
    timed: TimedStore, sent: dict[str, str], odd: bool
) -> None:
    await serve(timed, **sent)
    ticket = (await timed.day_tickets(H))[0]
    assert [leg.signals for leg in ticket.legs] == [["reissued"] if odd else [], []]
    assert await told(timed) == ([("ticket.finished", ["reissued"])] if odd else [])


async def test_two_marks_of_one_finish_are_told_together(timed: TimedStore) -> None:
    for _ in range(10):
        await visit(timed, 300)
    ticket = await serve(timed, then="a")
    leg = (await timed.ticket(H, ticket)).legs[0]
    assert leg.signals == ["short_service", "reissued"]
    assert await told(timed) == [("ticket.finished", ["short_service", "reissued"])]


async def test_cancelling_what_was_being_served_is_marked(timed: TimedStore) -> None:
    await timed.open(SYSTEM, H, "w1")
    for begin in (True, False):
        no = (await timed.issue(SYSTEM, H, "a")).value.ticket.no
        await timed.call(SYSTEM, H, "w1", ticket=no)
        if begin:
            await timed.begin_service(SYSTEM, H, "w1")
        await timed.hold(SYSTEM, H, "w1", "papers")
        await timed.cancel(SYSTEM, H, no)
    assert await marked(timed) == {"A001": ["cancelled_in_service"]}
    assert await told(timed) == [("ticket.cancelled", ["cancelled_in_service"])]


async def test_many_recalls_are_marked(timed: TimedStore) -> None:
    await timed.configure(SYSTEM, hall.parse(HALL | {"calls": {"max_calls": 9}}))
    await timed.open(SYSTEM, H, "w1")
    await timed.issue(SYSTEM, H, "a")
    await timed.call(SYSTEM, H, "w1")
    for _ in range(3):
        await timed.recall(SYSTEM, H, "w1")
    assert await marked(timed) == {}
    await timed.recall(SYSTEM, H, "w1")
    assert await marked(timed) == {"A001": ["many_recalls"]}
    assert await told(timed) == [("ticket.recalled", ["many_recalls"])]


async def test_a_finish_taken_back_before_the_citizen_rated_is_marked(timed: TimedStore) -> None:
    await serve(timed)
    await timed.undo(SYSTEM, H, "w1")
    await timed.finish(SYSTEM, H, "w1")
    assert await marked(timed) == {"A001": ["undone_before_rating"]}
    assert await told(timed) == [("ticket.undone", ["undone_before_rating"])]


async def test_taking_a_miss_back_is_not_odd(timed: TimedStore) -> None:
    await timed.open(SYSTEM, H, "w1")
    await timed.issue(SYSTEM, H, "a")
    await timed.call(SYSTEM, H, "w1")
    await timed.miss(SYSTEM, H, "w1")
    await timed.undo(SYSTEM, H, "w1")
    assert await told(timed) == []


async def rated(store: TimedStore, numbers: list[str], ages: list[int], window: str = "w1") -> list[str]:
    items = [RatingItem(f"r{no}", no, 1, 5, age) for no, age in zip(numbers, ages, strict=True)]
    return [result.status for result in (await store.rate(SYSTEM, H, window, items)).value.results]


async def test_ratings_on_one_pad_faster_than_people_can_are_recorded_and_marked(timed: TimedStore) -> None:
    numbers = [await visit(timed, 60) for _ in range(5)]
    assert await rated(timed, numbers, [0] * 5) == ["recorded"] * 5
    assert await marked(timed) == {no: ["rating_burst"] for no in numbers[2:]}
    assert await told(timed) == [("rating.recorded", ["rating_burst"])] * 3


async def test_a_backlog_of_ratings_given_at_their_own_times_is_no_burst(timed: TimedStore) -> None:
    numbers = [await visit(timed, 60) for _ in range(5)]
    assert await rated(timed, numbers, [4 * MINUTE, 3 * MINUTE, 2 * MINUTE, MINUTE, 0]) == ["recorded"] * 5
    assert await marked(timed) == {}


async def test_ratings_by_the_tickets_links_are_no_burst(timed: TimedStore) -> None:
    numbers = [await visit(timed, 60) for _ in range(5)]
    assert await rated(timed, numbers, [0] * 5, window="") == ["recorded"] * 5
    assert await marked(timed) == {}


async def test_a_mark_stays_with_its_leg_when_the_visit_goes_on(timed: TimedStore) -> None:
    await timed.open(SYSTEM, H, "w1")
    await timed.issue(SYSTEM, H, "a", services=["b"])
    await timed.call(SYSTEM, H, "w1")
    await timed.begin_service(SYSTEM, H, "w1")
    await timed.finish(SYSTEM, H, "w1")
    await timed.undo(SYSTEM, H, "w1")
    await timed.finish(SYSTEM, H, "w1")
    ticket = await timed.ticket(H, "A001")
    assert [leg.signals for leg in ticket.legs] == [["undone_before_rating"], []]


@pytest.mark.parametrize(
    "off", [{"marks": False}, {"short_share": 0, "many_calls": 0, "reissue_within_s": 0, "burst": 0}]
)
async def test_a_hall_may_mark_nothing(timed: TimedStore, off: dict[str, Any]) -> None:
    await timed.configure(SYSTEM, hall.parse(HALL | {"integrity": off}))
    numbers = [await visit(timed, 60, person="p") for _ in range(12)]
    await rated(timed, numbers[-4:], [0] * 4)
    await visit(timed, 0)
    assert await told(timed) == []


async def test_marks_follow_the_pace_of_a_day_played_faster() -> None:
    faster = hall.scaled(hall.parse(HALL), 60).integrity
    assert (faster.reissue_within_s, round(faster.burst_s, 3), faster.short_share) == (30, 0.167, 0.1)
