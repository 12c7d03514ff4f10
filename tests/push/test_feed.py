"""The reader of the record: it outlives whatever changes while it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from qserver.push.clock import Clock
from qserver.push.feed import Feed
from qserver.store.answers import SYSTEM, Touched
from qserver.store.store import Store
from qserver.store.streams import Entry
from tests.halls import small_hall


class Gated:
    """A store whose `touch` waits at a gate."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def touch(self, partition: int) -> Touched:
        self.asked.set()
        await self.open.wait()
        return await self._store.touch(partition)


class Sink:
    """Takes what was read."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[int] = asyncio.Queue()

    def entries(self, partition: int, entries: Sequence[Entry]) -> None:
        self.taken.put_nowait(partition)

    def turned(self, partition: int, ep: str) -> None:
        """A new epoch: of no interest here."""


async def test_a_partition_forgotten_while_the_reader_asks_about_it_ends_no_reading(valkey_store: Store) -> None:
    store, sink = Gated(valkey_store), Sink()
    mine = valkey_store.partition("h1")
    other = (mine + 1) % valkey_store.partitions
    feed = Feed(store, Clock(), sink)  # type: ignore[arg-type]
    feed.start()
    await feed.follow(mine)
    await feed.follow(other)
    store.open.clear()
    store.asked.clear()
    feed._touch_at = 0.0
    feed._interrupt()
    await store.asked.wait()
    feed.forget(other)
    store.open.set()
    await valkey_store.configure(SYSTEM, small_hall())
    hall = small_hall().id
    assert await sink.taken.get() == valkey_store.partition(hall)
    await feed.stop()
