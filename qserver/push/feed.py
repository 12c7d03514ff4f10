"""The stream of what happened, as one reader per process follows it for the partitions that have watchers here.

A blocked XREAD cannot lose anything at a reconnect: it goes on from its cursor, and its empty answer every 2 s shows
that the connection lives. Every 2 s, and after every failure, each partition is touched: a command that had not left
is carried over to the next connection without anybody noticing, so this is how a restart of the data server is seen
even in a quiet hall. When the epoch is another one the cursor is taken anew, for the tail may have been lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from qserver.domain.errors import QserverError
from qserver.store.link import ReplyError
from qserver.store.store import Store
from qserver.store.streams import Entry, Reader

from .clock import Clock

log = logging.getLogger(__name__)
BLOCK_MS = 2000
TOUCH_S = 2.0
COUNT = 500
BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class Cursor:
    """Where a partition's stream was read to, and the epoch it stands in."""

    __slots__ = ("after", "ep")

    def __init__(self, after: str | bytes, ep: str) -> None:
        self.after = after
        self.ep = ep


class Sink(NamedTuple):
    """Who gets what is read: new entries of a partition, and its change of epoch (before entries of the new one)."""

    entries: Callable[[int, Sequence[Entry]], None]
    turned: Callable[[int, str], None]


class Feed:
    """Reads the partitions that are followed and hands on what it finds."""

    def __init__(self, store: Store, clock: Clock, sink: Sink) -> None:
        self._store = store
        self._clock = clock
        self._sink = sink
        self._cursors: dict[int, Cursor] = {}
        self._following: dict[int, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[dict[int, list[Entry]]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._touch_at = 0.0
        self._loop: asyncio.AbstractEventLoop  # from `start` on
        self.alive = True  # whether the last question to the data server was answered

    def start(self) -> None:
        """Begins to read."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        """Ends reading and closes the connections."""
        for task in (self._task, *self._following.values()):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, QserverError):
                    await task

    async def follow(self, partition: int) -> None:
        """Follows a partition from now on. Raises Unavailable."""
        if partition not in self._cursors:
            task = self._following.get(partition)
            if task is None:
                task = self._following[partition] = self._loop.create_task(self._begin(partition))
            await asyncio.shield(task)

    def epoch(self, partition: int) -> str:
        """The epoch a followed partition stands in, as far as it was read."""
        return self._cursors[partition].ep

    def partitions(self) -> set[int]:
        """The partitions that are followed."""
        return set(self._cursors)

    def forget(self, partition: int) -> None:
        """Follows a partition no longer."""
        if self._cursors.pop(partition, None) is not None:
            self._interrupt()

    async def _begin(self, partition: int) -> None:
        try:
            touched = await self._store.touch(partition)
            self._clock.learn(touched.now_ms)
            self._cursors[partition] = Cursor(touched.last_id, touched.ep)
            self._interrupt()
        finally:
            del self._following[partition]

    def _interrupt(self) -> None:
        """The reader waits for the wrong set of partitions: begin anew with the right one."""
        self._changed.set()
        if self._reading is not None:
            self._reading.cancel()

    async def _run(self) -> None:
        reader: Reader | None = None
        failures = 0
        try:
            while True:
                if self._changed.is_set() or reader is None:
                    if reader is not None:
                        await reader.close()
                        reader = None
                    while not self._cursors:
                        self._changed.clear()
                        await self._changed.wait()
                    self._changed.clear()
                    reader = self._store.reader(tuple(self._cursors))
                try:
                    if failures or self._loop.time() >= self._touch_at:
                        await self._touch_all()
                        if self._changed.is_set():  # partitions came or went meanwhile: this reader is the wrong one
                            continue
                    failures = 0
                    found = await self._read(reader)
                    self.alive = True
                except (QserverError, ReplyError) as error:
                    self.alive = False
                    log.warning("the stream cannot be read: %s", error)
                    await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                    failures += 1
                    continue
                for partition, entries in found.items():
                    self._take(partition, entries)
        finally:
            if reader is not None:
                await reader.close()

    async def _read(self, reader: Reader) -> dict[int, list[Entry]]:
        after = {partition: cursor.after for partition, cursor in self._cursors.items()}
        self._reading = self._loop.create_task(reader.read(after, BLOCK_MS, COUNT))
        try:
            return await self._reading
        except asyncio.CancelledError:
            if self._changed.is_set() and not self._ended():
                return {}
            self._reading.cancel()
            raise
        finally:
            self._reading = None

    def _ended(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    async def _touch_all(self) -> None:
        """Is it still the same record?"""
        cursors = list(self._cursors.items())
        self._touch_at = self._loop.time() + TOUCH_S
        for (partition, cursor), touched in zip(
            cursors, await asyncio.gather(*(self._store.touch(partition) for partition, _ in cursors)), strict=True
        ):
            self._clock.learn(touched.now_ms)
            if touched.ep != cursor.ep:
                cursor.after, cursor.ep = touched.last_id, touched.ep
                self._sink.turned(partition, touched.ep)

    def _take(self, partition: int, entries: Sequence[Entry]) -> None:
        cursor = self._cursors.get(partition)
        if cursor is None or not entries:
            return
        cursor.after = entries[-1][0]
        plain: list[Entry] = []
        for entry in entries:
            turned = entry[1].get(b"x")
            if turned is None:
                plain.append(entry)
                continue
            if plain:
                self._sink.entries(partition, plain)
                plain = []
            ep = turned.decode()
            if ep != cursor.ep:
                cursor.ep = ep
                self._sink.turned(partition, ep)
        if plain:
            self._sink.entries(partition, plain)
