"""Time for many: whoever waits for an instant sleeps, and the clock goes on when everybody does.

So people are written as they act - call, walk, serve, finish - and what they do at the same instant reaches the data
server at the same time, as it does in a hall.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from typing import Any

from tests.store.clocks import TimedStore


class Clock:
    """The hand on a store's clock, moved by everybody's waiting."""

    def __init__(self, store: TimedStore) -> None:
        self._store = store
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = 0
        self._awake = 0
        self._quiet = asyncio.Event()
        self._group: asyncio.TaskGroup

    @property
    def now(self) -> int:
        """The instant, ms."""
        return self._store.at

    def _sleeps(self) -> None:
        self._awake -= 1
        if not self._awake:
            self._quiet.set()

    async def until(self, at_ms: int) -> None:
        """Waits for an instant; one that has passed is now."""
        woken = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiting, (max(at_ms, self.now), self._order, woken))
        self._sleeps()
        await woken

    async def sleep(self, ms: int) -> None:
        """Waits for a while."""
        await self.until(self.now + ms)

    def spawn(self, person: Coroutine[Any, Any, None]) -> None:
        """Somebody else begins to act."""
        self._awake += 1
        self._group.create_task(self._live(person))

    async def _live(self, person: Coroutine[Any, Any, None]) -> None:
        try:
            await person
        finally:
            self._sleeps()

    async def run(self, *people: Coroutine[Any, Any, None]) -> None:
        """Lets people act until the last one has gone."""
        async with asyncio.TaskGroup() as self._group:
            self._quiet.clear()
            for person in people:
                self.spawn(person)
            while True:
                await self._quiet.wait()
                self._quiet.clear()
                if not self._waiting:
                    break
                at_ms = self._waiting[0][0]
                if at_ms != self.now:
                    await self._store.set(at_ms)
                while self._waiting and self._waiting[0][0] == at_ms:
                    self._awake += 1
                    heapq.heappop(self._waiting)[2].set_result(None)
