"""Silence: unrated is unrated, and a default level comes only where the hall's profile says so, apart from all else."""

from __future__ import annotations

import pytest

from qserver.domain import hall
from qserver.store.answers import SYSTEM, RatingItem
from tests.store.clocks import MORNING, TimedStore
from tests.store.conftest import HALL
from tests.store.follow import DAY, H, end_of, events, serve

AFTER = {"guangdong-2019": (3, end_of(7)), "xinjiang-2025": (4, end_of(7)), "shandong-2020": (None, 0), "": (None, 0)}
"""Level and the instant after which it stands, for a service of that Tuesday: five working days end before seven days
do, but a default never comes before the five working days of the citizen are over."""


async def days_pass(store: TimedStore, days: int) -> None:
    for _ in range(days):
        await store.pass_ms(DAY)
        await store.sweep_all()


async def profile(store: TimedStore, name: str) -> None:
    await store.configure(SYSTEM, hall.parse(HALL | {"profile": name}))


@pytest.mark.parametrize("name", AFTER)
async def test_silence_becomes_a_default_only_where_the_profile_says_so(timed: TimedStore, name: str) -> None:
    await profile(timed, name)
    ticket = await serve(timed)
    level, last = AFTER[name]
    await days_pass(timed, 7)
    assert [event.more().get("source") for event in await events(timed, "rating.recorded")] == []
    assert len(await events(timed, "rating.unrated")) == 1
    if level is None:
        await days_pass(timed, 40)
        assert await events(timed, "rating.recorded") == []
        return
    await timed.set(last)
    await timed.sweep_all()
    assert await events(timed, "rating.recorded") == []
    await timed.set(last + 1)
    await timed.sweep_all()
    [told] = await events(timed, "rating.recorded")
    assert (told.ticket, told.actor, told.at_ms, told.more()) == (
        ticket, "system", last + 1, {"score": level, "source": "default"},
    )  # fmt: skip
    rating = (await timed.ticket(H, ticket)).rating
    assert rating is not None and (rating.score, rating.source, rating.at_ms) == (level, "default", last + 1)
    await days_pass(timed, 10)
    assert len(await events(timed, "rating.recorded")) == 1


async def test_a_rating_by_the_tickets_link_on_its_last_day_goes_before_the_default(timed: TimedStore) -> None:
    await profile(timed, "xinjiang-2025")
    ticket = await serve(timed)
    await days_pass(timed, 6)
    await timed.set(end_of(7))
    results = (await timed.rate(SYSTEM, H, "", [RatingItem("r", ticket, 1, 1, 0)])).value.results
    assert results[0].status == "recorded"
    await days_pass(timed, 10)
    assert [event.more()["source"] for event in await events(timed, "rating.recorded")] == ["active_late"]


async def test_a_default_counts_in_no_live_figure_and_opens_no_review(timed: TimedStore) -> None:
    rating = {"window_s": 1800, "default_level": 2, "default_after": "1h", "late_within": "1h"}
    await timed.configure(SYSTEM, hall.parse(HALL | {"rating": rating}))
    await serve(timed)
    await timed.set(MORNING + 3_600_001)
    await timed.sweep_all()
    await timed.pass_ms(1)
    await timed.sweep_all()
    assert len(await events(timed, "rating.recorded")) == 1
    figures = (await timed.stats(H)).services["a"]
    assert (figures["rated"], figures["negative"]) == (0, 0)
    assert (await timed.reviews(H))[0] == []


async def test_tickets_stay_until_their_default_is_recorded(timed: TimedStore) -> None:
    rating = {"window_s": 1800, "default_level": 3, "default_after": "20d"}
    await timed.configure(SYSTEM, hall.parse(HALL | {"rating": rating}))
    ticket = await serve(timed)
    await days_pass(timed, 20)
    await timed.pass_ms(1)
    await timed.sweep_all()
    assert len(await events(timed, "rating.recorded")) == 1
    assert (await timed.ticket(H, ticket)).rating is not None
    await days_pass(timed, 2)
    assert await timed.day_tickets(H, "2026-11-24") == []


async def test_a_default_that_the_hall_gave_up_meanwhile_is_not_recorded(timed: TimedStore) -> None:
    await profile(timed, "guangdong-2019")
    await serve(timed)
    await days_pass(timed, 2)
    await profile(timed, "")
    await days_pass(timed, 10)
    assert await events(timed, "rating.recorded") == []
