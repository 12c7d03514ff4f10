"""Days played for the archive: tickets of several kinds, ratings, reviews and cases, all by a seed."""

from __future__ import annotations

import random
from typing import Any

from qserver.domain import hall
from qserver.store.answers import SYSTEM, Op, RatingItem
from tests.store.clocks import MORNING, TimedStore
from tests.store.conftest import HALL

H = "h1"
DAY_MS = 86_400_000
WINDOWS = ("w1", "w2", "w3")
PROMISING: dict[str, Any] = HALL | {
    "services": [
        {"id": "a", "prefix": "A", "service_limit_s": 300, "wait_limit_s": 900, "case_limit": "2wd"},
        {"id": "b", "prefix": "B", "service_limit_s": 600},
    ],
    "windows": [{"id": window, "name": f"窗口{window}", "services": ["a", "b"]} for window in WINDOWS],
    "overtime": {"wait_review": True},
}


async def settle(store: TimedStore) -> None:
    """Does everything that is due."""
    while await store.sweep_all():
        pass


async def furnish(store: TimedStore, **changes: Any) -> None:
    """The hall with limits, promises and reviews of waits."""
    await store.configure(SYSTEM, hall.parse(PROMISING | changes))


async def visit(store: TimedStore, chance: random.Random, number: int) -> None:
    """One person's visit at a random window, with everything that may happen to it."""
    window, service = chance.choice(WINDOWS), chance.choice("ab")
    further = ("b",) if chance.random() < 0.2 else ()
    issued = await store.issue(
        SYSTEM, H, service, services=further, person=f"hash-{number}", phone="13812345678", window=window
    )
    ticket = issued.value.ticket
    await store.pass_ms(chance.randrange(1_200_000))
    fate = chance.random()
    if fate < 0.1:
        await store.cancel(SYSTEM, H, ticket.no)
        return
    await store.call(SYSTEM, H, window, ticket=ticket.no)
    if fate < 0.2:
        await store.miss(SYSTEM, H, window)
        return
    await store.pass_ms(chance.randrange(60_000))
    await store.begin_service(SYSTEM, H, window)
    await store.pass_ms(chance.randrange(900_000))
    if fate < 0.3:
        await store.transfer(SYSTEM, H, window, service="b")
        return
    case = f"C-{ticket.id}" if fate < 0.45 and not further else ""
    await store.finish(SYSTEM, H, window, outcome="accepted" if case else "done", case=case)
    if chance.random() < 0.6:
        score = chance.choice([1, 2, 3, 4, 5, 5])
        item = RatingItem("r" + ticket.id, ticket.id, 1, score, 0, comment="请打 13800000000")
        await store.rate(Op("pad"), H, window, [item])


async def day(store: TimedStore, chance: random.Random, number: int, visits: int = 12) -> None:
    """The so-many-th day from that Tuesday, from 08:26 on."""
    await store.set(MORNING + number * DAY_MS)
    await settle(store)
    for window in WINDOWS:
        await store.open(SYSTEM, H, window, staff=f"s-{window}")
    for one in range(visits):
        await visit(store, chance, number * 1000 + one)
        await settle(store)
