"""Which list of indicators and reasons a citizen chose from: versioned with the hall, told with every rating."""

from __future__ import annotations

from typing import Any

from qserver.domain import hall, rules
from qserver.store.answers import SYSTEM, Op, RatingItem
from tests.store.clocks import TimedStore
from tests.store.conftest import HALL
from tests.store.follow import H, events, serve

MINUTE = 60_000


async def offer(store: TimedStore, **rating: Any) -> str:
    """The hall offers another list; answers its form."""
    made = hall.parse(HALL | {"rating": {"window_s": 1800, **rating}})
    await store.configure(SYSTEM, made)
    return rules.form(made.rating)


async def rated(store: TimedStore, ticket: str, age: int = 0, window: str = "w1") -> str:
    """A rating; answers the form that its event names."""
    item = RatingItem("r-" + ticket, ticket, 1, 4, age)
    results = (await store.rate(Op("pad-1"), H, window, [item])).value.results
    assert results[0].status == "recorded"
    return str((await events(store, "rating.recorded"))[-1].more()["form"])


async def test_a_rating_says_from_which_list_its_words_were_chosen(timed: TimedStore) -> None:
    first = rules.form(hall.parse(HALL).rating)
    assert await rated(timed, await serve(timed)) == first
    second = await offer(timed, version="2027", reasons={"1": ["太慢"]})
    assert second.startswith("2027-")
    assert await rated(timed, await serve(timed)) == second
    await offer(timed, version="2027", reasons={"1": ["太慢"]}, late_within="4wd")
    assert await rated(timed, await serve(timed)) == second, "another rule, the same list"
    assert await offer(timed) == await rated(timed, await serve(timed)) == first


async def test_a_rating_kept_offline_was_given_under_the_list_of_its_own_time(timed: TimedStore) -> None:
    first = rules.form(hall.parse(HALL).rating)
    early, late = [await serve(timed) for _ in range(2)]
    await timed.pass_ms(5 * MINUTE)
    second = await offer(timed, reasons={"1": ["太慢"]})
    await timed.pass_ms(5 * MINUTE)
    assert await rated(timed, early, age=5 * MINUTE + 1) == first
    assert await rated(timed, late, age=5 * MINUTE) == second


async def test_a_rating_by_the_link_names_its_list_too(timed: TimedStore) -> None:
    second = await offer(timed, indicators=["态度"])
    assert await rated(timed, await serve(timed), window="") == second


async def test_of_many_lists_the_last_ones_are_known(timed: TimedStore) -> None:
    oldest = await serve(timed)
    forms = []
    for number in range(25):
        await timed.pass_ms(MINUTE)
        forms.append(await offer(timed, version=str(number)))
    assert await rated(timed, oldest, age=25 * MINUTE) == forms[5], (
        "the oldest that is known stands for those before it"
    )
    assert await rated(timed, await serve(timed)) == forms[-1]
