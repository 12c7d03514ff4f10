"""Waiting for events: woken at once, by what one waits for, by everything that ends the wait. Real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from qserver.domain.errors import Unavailable
from qserver.feed.cursor import Shard
from qserver.feed.pull import Batch, Feed
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests import servers
from tests.halls import small_hall

WHOLE = Shard()
LONG_MS = 50_000
"""A test that waited for this to pass would time out: so the wait ended for another reason."""


@asynccontextmanager
async def waiting(
    feed: Feed, *, hall: str = "", shard: Shard = WHOLE, wait_ms: int = LONG_MS
) -> AsyncIterator[asyncio.Task[Batch]]:
    """A pull that has found nothing and waits."""
    before = feed.watch.waiting
    task = asyncio.create_task(feed.pull(hall, "g", shard, 1000, wait_ms))
    while feed.watch.waiting == before and not task.done():
        await asyncio.sleep(0)
    await feed.groups.stands(feed.groups.partitions(hall))  # by the time this is answered, so is its first look
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_event_wakes_who_waits(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    async with waiting(feed) as pull:
        await store.issue(SYSTEM, "h1", "a")
        assert [event.kind for event in (await pull).events] == ["ticket.issued"]


async def test_one_event_wakes_everybody(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    async with waiting(feed) as one, waiting(feed) as two, waiting(Feed(store)) as elsewhere:
        await store.issue(SYSTEM, "h1", "a")
        batches = await asyncio.gather(one, two, elsewhere)
        assert batches[0] == batches[1] == batches[2]


async def test_what_is_there_already_is_not_waited_for(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=True)
    assert (await feed.pull("", "g", WHOLE, 1000, LONG_MS)).events


async def test_a_neighbours_event_does_not_end_the_wait(store: Store, feed: Feed) -> None:
    neighbour = next(name for name in map("x{}".format, range(1000)) if store.partition(name) == store.partition("h1"))
    await store.configure(SYSTEM, small_hall(neighbour))
    await feed.create(SYSTEM, "h1", "g", from_start=False)
    await feed.create(SYSTEM, "", "g", from_start=False)
    async with waiting(feed, hall="h1") as own, waiting(feed) as every:
        await store.issue(SYSTEM, neighbour, "a")
        assert (await every).events
        assert not own.done()
        await store.issue(SYSTEM, "h1", "a")
        assert [event.hall for event in (await own).events] == ["h1"]


async def test_each_part_is_woken_by_its_own(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    async with waiting(feed, shard=Shard(1, 2)) as one, waiting(feed, shard=Shard(2, 2)) as two:
        for _ in range(20):
            await store.issue(SYSTEM, "h1", "a")
        first, second = await asyncio.gather(one, two)
        assert first.events and second.events
        assert not {event.ticket for event in first.events} & {event.ticket for event in second.events}


async def test_nothing_for_so_long_is_an_empty_batch(valkey_feed: Feed) -> None:
    await valkey_feed.create(SYSTEM, "", "g", from_start=False)
    before = await valkey_feed.pull("", "g", WHOLE, 1000, 0)
    assert await valkey_feed.pull("", "g", WHOLE, 1000, 20) == before


async def test_no_more_may_wait_than_the_process_bears(valkey_feed: Feed) -> None:
    await valkey_feed.create(SYSTEM, "", "g", from_start=False)
    async with waiting(valkey_feed), waiting(valkey_feed), waiting(valkey_feed), waiting(valkey_feed):
        with pytest.raises(Unavailable) as refused:
            await valkey_feed.pull("", "g", WHOLE, 1000, LONG_MS)
        assert not refused.value.unknown
        assert (await valkey_feed.pull("", "g", WHOLE, 1000, 0)).events == [], "without waiting it is answered"
    assert valkey_feed.watch.waiting == 0


async def test_a_process_that_ends_lets_everybody_go(valkey_feed: Feed) -> None:
    await valkey_feed.create(SYSTEM, "", "g", from_start=False)
    async with waiting(valkey_feed) as pull:
        valkey_feed.watch.release()
        assert (await pull).events == []
    assert (await valkey_feed.pull("", "g", WHOLE, 1000, LONG_MS)).events == [], "and nobody waits any more"


async def test_a_data_server_that_dies_ends_the_wait_and_the_next_one_is_woken_again(
    valkey: servers.DataServer, valkey_store: Store, valkey_feed: Feed
) -> None:
    await valkey_feed.create(SYSTEM, "", "g", from_start=False)
    async with waiting(valkey_feed) as pull:
        valkey.kill9()
        with pytest.raises(Unavailable):
            await pull
    valkey.restart()
    while True:
        try:
            await valkey_store.ping()
            break
        except Unavailable:
            continue
    async with waiting(valkey_feed) as pull:
        await valkey_store.issue(SYSTEM, "h1", "a")
        assert [event.kind for event in (await pull).events] == ["ticket.issued"]
