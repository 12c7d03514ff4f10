"""Reviews for tests: how one comes about, the whole way it goes, and what the feed and the counters say of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qserver.domain.errors import Refusal
from qserver.domain.events import Event
from qserver.domain.ticket import Review
from qserver.store.answers import SYSTEM, Op, RatingItem
from tests.store.clocks import MORNING, TimedStore

H = "h1"
DAY = 86_400_000
HOUR = 3_600_000
SHANGHAI = 8 * HOUR
ANNE = Op("token-anne")

MIDNIGHT = MORNING - 8 * HOUR - 26 * 60_000 - 40_000
"""The beginning of that Tuesday in Shanghai."""

WAY = ("assign", "verify", "rectify", "revisit", "close")
"""The steps of the whole way."""


async def refusal(act: Any) -> tuple[str, dict[str, object]]:
    """The code and the data with which it is refused."""
    with pytest.raises(Refusal) as refused:
        await act
    return refused.value.code, refused.value.data


def end_of(days: int) -> int:
    """The last ms of the day so many calendar days after that Tuesday."""
    return MIDNIGHT + (days + 1) * DAY - 1


async def serve(store: TimedStore, window: str = "w1", **finish: str) -> str:
    """A ticket of service a, served at the window and finished at once; answers its id."""
    if (await store.window(H, window)).state == "closed":
        await store.open(SYSTEM, H, window, staff=f"staff-{window}")
    issued = (await store.issue(SYSTEM, H, "a")).value.ticket
    await store.call(SYSTEM, H, window, ticket=issued.no)
    await store.begin_service(SYSTEM, H, window)
    await store.finish(SYSTEM, H, window, **finish)
    return issued.id


async def complaint(store: TimedStore, window: str = "w1") -> str:
    """A review opened by a citizen's rating; answers its id."""
    ticket = await serve(store, window)
    results = (
        await store.rate(Op("pad-1"), H, window, [RatingItem("r-" + ticket, ticket, 1, 1, 0, comment="慢")])
    ).value.results
    assert results[0].status == "recorded"
    return (await store.reviews(H, limit=1, latest=True))[0][0].id


async def step(store: TimedStore, review: str, name: str, op: Op = ANNE) -> Review:
    """One step by its name, `verify:invalid` and `revisit:reopened` with their result; answers the review after it."""
    name, _, result = name.partition(":")
    said: dict[str, tuple[Any, ...]] = {
        "assign": ("li",),
        "verify": (result or "valid", "查看录像"),
        "rectify": ("已培训",),
        "revisit": (result or "satisfied",),
        "appeal": ("误评",),
        "uphold": ("属实",),
        "exclude": ("误评属实",),
        "close": (),
    }
    answer = await getattr(store, f"{name}_review")(op, H, review, *said[name])
    found: Review = answer.value
    return found


async def take(store: TimedStore, review: str, *names: str) -> Review:
    """Steps one after the other."""
    for name in names:
        await step(store, review, name)
    return await store.review(H, review)


async def events(store: TimedStore, *kinds: str) -> list[Event]:
    """The hall's events whose kind begins with one of these, in order."""
    found = await store.read_events(store.partition(H), "-", 10_000)
    decoded = [msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in found if b"e" in fields]
    return [event for event in decoded if event.hall == H and event.kind.startswith(kinds or "")]


async def open_reviews(store: TimedStore) -> int:
    """What the live figures count."""
    return (await store.stats(H)).open_reviews
