"""An analytics system of the played day: pulls the feed under a group of its own and keeps what it gets.

At least once is what the feed promises, so an event that comes again is counted and dropped by its id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

import msgspec

from .record import FeedEvent, Record
from .world import World

WAIT_MS = 5000
"""How long one pull waits for something to happen."""


class Batch(msgspec.Struct, frozen=True):
    """One answer of the feed."""

    events: list[FeedEvent]
    cursor: str
    lag: int = 0
    truncated: bool = False


class Puller:
    """Follows the halls of a run from `begin` on; `run` ends when all that happened before `finish` has been read."""

    def __init__(self, world: World, token: str, halls: Collection[str], record: Record) -> None:
        self._world = world
        self._token = token
        self._halls = frozenset(halls)
        self._record = record
        self._path = f"/api/v1/events/sim-{world.run}"
        self._decode = msgspec.msgpack.Decoder(Batch).decode
        self._ids: set[str] = set()
        self._last = asyncio.Event()

    async def begin(self) -> None:
        """Registers the group: the feed gives what happens from now on. Raises world.Answered, world.Silent."""
        await self._world.put(self._token, self._path, {}, msgspec.Raw)

    def finish(self) -> None:
        """Nothing more is going to happen: read to the end and stop."""
        self._last.set()

    async def run(self) -> None:
        """Pulls and acknowledges. Raises world.Answered, world.Silent."""
        while True:
            last = self._last.is_set()
            path = f"{self._path}?max=1000&wait_ms={0 if last else WAIT_MS}"
            batch = self._decode(await self._world.pull(self._token, path))
            self._take(batch)
            if batch.events:
                await self._world.tell(self._token, f"{self._path}/ack", {"cursor": batch.cursor}, msgspec.Raw)
            if last and batch.lag <= len(batch.events):
                return

    def _take(self, batch: Batch) -> None:
        self._record.truncated |= batch.truncated
        own = [event for event in batch.events if event.hall in self._halls]
        if own and own[0].data.at_ms:
            self._record.feed_late_ms.append(time.time_ns() / 1e6 - own[0].data.at_ms)
        for event in own:
            if event.id in self._ids:
                self._record.redelivered += 1
            else:
                self._ids.add(event.id)
                self._record.feed.append(event)

    async def end(self) -> None:
        """Removes the group: nothing is kept for it any more."""
        await self._world.delete(self._token, self._path)
