"""Wakes whoever waits for events: one reader per process, however many wait.

The reader follows every partition from the first wait on. Who waits registers first and looks into the streams
afterwards, so nothing can come in between unnoticed. A data server that is away wakes everybody: they find out why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from qserver.domain.errors import QserverError, Unavailable
from qserver.domain.events import Event
from qserver.store.gate import CONTROL
from qserver.store.groups import Groups, entry_id
from qserver.store.store import Store
from qserver.store.streams import Entry

_log = logging.getLogger(__name__)
_event = msgspec.msgpack.Decoder(Event).decode
BLOCK_MS = 2000
_RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0)


class Waiter:
    """Somebody who waits for events of some partitions that are `wanted`."""

    __slots__ = ("partitions", "wanted", "woken")

    def __init__(self, partitions: frozenset[int], wanted: Callable[[Event], bool]) -> None:
        self.partitions = partitions
        self.wanted = wanted
        self.woken = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        """Whether there is reason to look before so many seconds are over."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        return True


class Watch:
    """The waiters of one process on one store, at most `limit`."""

    def __init__(self, store: Store, limit: int = 256) -> None:
        self._store = store
        self._groups = Groups(store)
        self._limit = limit
        self._waiters: set[Waiter] = set()
        self._after: dict[int, str | bytes] = {}
        self._generations: dict[int, int] = {}
        self._beginning: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.released = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    async def start(self) -> None:
        """Begins to follow, if that has not begun. Raises Unavailable."""
        if self._task is None:
            if self._beginning is None:
                self._beginning = asyncio.create_task(self._begin())
            await asyncio.shield(self._beginning)

    @contextlib.contextmanager
    def waiter(self, partitions: Iterable[int], wanted: Callable[[Event], bool]) -> Iterator[Waiter]:
        """Registers somebody who waits, for as long as the block runs. Raises Unavailable when too many wait."""
        if len(self._waiters) >= self._limit:
            raise Unavailable("too many requests wait for events", retry_after_s=5)
        waiter = Waiter(frozenset(partitions), wanted)
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    def release(self) -> None:
        """Wakes everybody, and from now on nobody waits: the process is about to end."""
        self.released = True
        self._wake_all()

    async def stop(self) -> None:
        """Ends the following and closes its connections."""
        self.release()
        for task in (self._beginning, self._task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._beginning = self._task = None

    async def _begin(self) -> None:
        try:
            await self._stand()
            self._task = asyncio.create_task(self._follow(), name="feed watch")
        finally:
            self._beginning = None

    async def _stand(self) -> None:
        """Takes up where the streams end now; after a loss of their tail that may lie before what was read."""
        partitions = (*range(self._store.partitions), CONTROL)
        for partition, stand in zip(partitions, await self._groups.stands(partitions), strict=True):
            end = stand.end
            known = self._after.get(partition)
            if known is None or self._generations[partition] != end.gen or entry_id(known) > (end.ms, end.seq):
                self._after[partition], self._generations[partition] = end.id, end.gen

    async def _follow(self) -> None:
        reader = self._store.reader(tuple(self._after))
        failures = 0
        try:
            while True:
                try:
                    if failures:
                        await self._stand()
                        self._wake_all()  # what came meanwhile was not seen here
                        failures = 0
                    self._take(await reader.read(self._after, BLOCK_MS))
                except QserverError as error:
                    _log.warning("events cannot be followed: %s", error)
                    self._wake_all()
                    await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                    failures += 1
        finally:
            await reader.close()

    def _take(self, found: Mapping[int, list[Entry]]) -> None:
        for partition, entries in found.items():
            if not entries:
                continue
            self._after[partition] = entries[-1][0]
            asleep = [w for w in self._waiters if partition in w.partitions and not w.woken.is_set()]
            if not asleep:
                continue
            events = [_event(fields[b"e"]) for _, fields in entries if b"e" in fields]
            for waiter in asleep:
                if any(map(waiter.wanted, events)):
                    waiter.woken.set()

    def _wake_all(self) -> None:
        for waiter in self._waiters:
            waiter.woken.set()
