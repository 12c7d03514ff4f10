"""Every hall that is watched here, and the way of an event from the stream to its topics.

A hall is opened by its first watcher: its partition is followed, the ring filled from the stream's tail, the board read
once. Halls nobody watches are forgotten after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from qserver.domain.errors import QserverError
from qserver.store.store import Store
from qserver.store.streams import Entry

from .channel import Tools
from .entries import board_record, event_head, public_event
from .feed import Feed, Sink
from .frames import Framed
from .watched import WatchedHall


class Hub:
    """All halls of the process."""

    def __init__(self, store: Store, tools: Tools) -> None:
        self._store = store
        self._tools = tools
        self.feed = Feed(store, tools.clock, Sink(self._entries, self._turn))
        self.halls: dict[str, WatchedHall] = {}
        self._opening: dict[str, asyncio.Task[WatchedHall]] = {}

    async def hall(self, hall: str) -> WatchedHall:
        """The hall, opened if it was not. Raises Refusal (not_found) and Unavailable."""
        known = self.halls.get(hall)
        if known is not None and hall not in self._opening:
            return known
        task = self._opening.get(hall)
        if task is None:
            task = self._opening[hall] = asyncio.get_running_loop().create_task(self._open(hall))
        return await asyncio.shield(task)

    async def _open(self, hall: str) -> WatchedHall:
        partition = self._store.partition(hall)
        try:
            await self.feed.follow(partition)
            opened = self.halls[hall] = WatchedHall(hall, self.feed.epoch(partition), self._store, self._tools)
            await opened.open(partition)
            return opened
        except QserverError:
            self.halls.pop(hall, None)
            raise
        finally:
            del self._opening[hall]

    async def beat(self) -> None:
        """Says hb in every hall, one after another; not while the record cannot be read, for then it may be behind."""
        for hall in list(self.halls.values()):
            if self.feed.alive:
                hall.beat()
            await asyncio.sleep(0)

    def tidy(self, now: float) -> None:
        """Forgets halls nobody has watched for a while."""
        for name, hall in list(self.halls.items()):
            if name in self._opening or any(map(len, hall.channels())):
                hall.empty_since = now
            elif now - hall.empty_since >= self._tools.config.forget_s:
                hall.stop()
                del self.halls[name]
        followed = {self._store.partition(hall) for hall in (*self.halls, *self._opening)}
        for partition in self.feed.partitions() - followed:
            self.feed.forget(partition)

    async def stop(self) -> None:
        """Ends everything."""
        await self.feed.stop()
        for task in self._opening.values():
            task.cancel()
        for hall in self.halls.values():
            hall.stop()

    # From the feed

    def _entries(self, partition: int, entries: Sequence[Entry]) -> None:
        touched: dict[WatchedHall, None] = {}
        for _, fields in entries:
            event = None
            if b"b" in fields:
                record = board_record(fields[b"b"])
                hall, s = self.halls.get(record.hall), record.s
                if hall is not None:
                    event = Framed(public_event(record))
            elif b"e" in fields:
                head = event_head(fields[b"e"])
                hall, s = self.halls.get(head.hall), head.s
            else:
                continue
            if hall is not None:
                hall.take(event, fields.get(b"w"), s)
                touched[hall] = None
        for hall in touched:
            hall.flush()

    def _turn(self, partition: int, ep: str) -> None:
        for hall in self.halls.values():
            if self._store.partition(hall.hall) == partition:
                hall.turn(ep)
