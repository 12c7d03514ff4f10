"""Reading for a group: what follows its position, in order, of all its partitions, with its lag and what it missed.

A group is read and not changed: what was given out is given out again until it is acknowledged, to whoever asks.
Partitions share a batch evenly, so that a busy one does not starve the others; a hall lies in one partition, so its
events rise in sequence within a batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import msgspec

from qserver.domain.errors import Refusal
from qserver.domain.events import Event
from qserver.store.answers import Op
from qserver.store.groups import Group, Groups, Position, Stand, entry_id, flat
from qserver.store.store import Store
from qserver.store.streams import Entry

from . import cursor
from .cursor import Cursor, Shard
from .watch import Watch

_event = msgspec.msgpack.Decoder(Event).decode
LOST_TAIL_MS = 60_000
"""How long before a group's position a later generation may have begun; see `Groups.turns`."""
PASS_AFTER = 1000
"""So many entries that are none of the group's are noted, so that the next pull need not read them again."""
LOOK_S = 2.0
"""How often it is looked whether who waits is still there."""
_PAGE = 200
"""Least entries read at a time where only some are the group's own."""

WHOLE = Shard()
"""A group that is not divided."""
Wanted = Callable[[Event], bool]


class Batch(NamedTuple):
    """What follows a group's position.

    `lag`: events not yet acknowledged, those of the batch among them. It is exact when the batch reaches the end;
    before that it counts every entry of the partitions read, so for one hall of many or a shard it is an upper bound.
    `truncated`: entries after the position were dropped before the group had read them.
    """

    events: list[Event]
    cursor: str
    lag: int
    truncated: bool


class _Span:
    """One partition in one pull: from where to where it was read."""

    __slots__ = ("_stand", "begin", "filtered", "found", "more", "partition", "read", "scanned", "truncated")

    def __init__(self, partition: int, begin: Position, stand: Stand, filtered: bool) -> None:
        self.partition = partition
        self._stand = stand
        self.filtered = filtered
        self.begin = self.read = begin
        self.found: list[tuple[tuple[int, int], Event]] = []
        self.scanned = 0
        self.more = (begin.ms, begin.seq) < stand.last
        self.truncated = begin.n < stand.dropped

    def count(self, share: int) -> int:
        """How many entries to read for so many events."""
        return max(share, _PAGE) if self.filtered else share

    def take(self, entries: Sequence[Entry], asked: int, share: int, wanted: Wanted) -> None:
        """Takes up to `share` events of what was read."""
        self.more = len(entries) == asked
        behind = max(self.read.n, self._stand.dropped)
        for number, (at, fields) in enumerate(entries, 1):
            packed = fields.get(b"e")
            if packed is not None:
                event = _event(packed)
                if wanted(event):
                    if share == 0:
                        self.more = True
                        entries = entries[: number - 1]
                        break
                    share -= 1
                    self.found.append((entry_id(at), event))
        if entries:
            self.scanned += len(entries)
            self.read = Position(self._stand.gen, *entry_id(entries[-1][0]), behind + len(entries))

    @property
    def left(self) -> int:
        """Entries that were not looked at."""
        return max(0, self._stand.added - self.read.n) if self.more else 0


class Feed:
    """The feed of one store in one process."""

    def __init__(self, store: Store, *, waiters: int = 256) -> None:
        self._store = store
        self.groups = Groups(store)
        self.watch = Watch(store, waiters)
        self.delivered = 0

    async def create(self, op: Op, hall: str, name: str, *, from_start: bool) -> tuple[Group, bool]:
        """Registers a group, whether it is new; one that stands keeps its position. Refused: validation."""
        return await self.groups.put(op, hall, name, from_start=from_start)

    async def pull(
        self, hall: str, name: str, shard: Shard, most: int, wait_ms: int, gone: Callable[[], bool] = bool
    ) -> Batch:
        """At most `most` events after the group's position; waits up to `wait_ms` for the first.

        `gone`: whether whoever asked has left, so that nobody need wait for it. Refused: not_found. Raises Unavailable.
        """
        if not wait_ms or self.watch.released:
            return await self._read(hall, name, shard, most)
        until = time.monotonic() + wait_ms / 1000
        await self.watch.start()
        with self.watch.waiter(self.groups.partitions(hall), wanted(hall, shard)) as waiter:
            batch = await self._read(hall, name, shard, most)
            while (
                not batch.events and not self.watch.released and (left := until - time.monotonic()) > 0 and not gone()
            ):
                if await waiter.wait(min(left, LOOK_S)):
                    batch = await self._read(hall, name, shard, most)
        return batch

    async def pull_kinds(self, hall: str, name: str, kinds: Collection[str], most: int) -> Batch:
        """At most `most` events of these kinds after the group's position; others are passed over.

        Refused: not_found. Raises Unavailable.
        """
        return await self._read(hall, name, WHOLE, most, kinds)

    async def ack(self, op: Op, hall: str, name: str, text: str) -> tuple[str, bool]:
        """Acknowledges up to a cursor: the cursor that stands now, and whether it is a kept answer.

        Refused: not_found, validation.
        """
        given = cursor.read(text)
        group, replayed = await self.groups.ack(op, hall, name, given.group, given.of, given.k, given.positions)
        # By the time a kept answer is given again the group may be divided otherwise.
        return (text if replayed else _cursor(group, Shard(given.k, given.of))), replayed

    async def remove(self, op: Op, hall: str, name: str) -> None:
        """Removes a group. Refused: not_found."""
        await self.groups.remove(op, hall, name)

    async def _read(self, hall: str, name: str, shard: Shard, most: int, kinds: Collection[str] | None = None) -> Batch:
        group = await self.groups.get(hall, name)
        own = wanted(hall, shard, kinds)
        acked, begin = group.stand(shard.of, shard.k)
        spans = await self._spans(hall, begin, bool(hall) or shard.of > 1 or kinds is not None)
        left = most
        while left and (active := [span for span in spans if span.more]):
            shares = [left // len(active) + (i < left % len(active)) for i in range(len(active))]
            asked = [(span, share) for span, share in zip(active, shares, strict=True) if share]
            reads = (self._store.read_events(s.partition, s.read.id, s.count(share)) for s, share in asked)
            for (span, share), entries in zip(asked, await asyncio.gather(*reads), strict=True):
                span.take(entries, span.count(share), share, own)
            left = most - sum(len(span.found) for span in spans)
        await self._note_passed(group, hall, name, shard, spans)
        found = [one for span in spans for one in span.found]
        found.sort(key=lambda one: one[0])  # stable, so a hall's events stay in their order
        lag = len(found) + sum(span.left for span in spans)
        truncated = any(span.truncated for span in spans)
        if not found:
            return Batch([], Cursor(group.id, *shard, flat(acked)).text(), lag, truncated)
        self.delivered += len(found)
        to = flat([span.read for span in spans])
        return Batch([event for _, event in found], Cursor(group.id, *shard, to).text(), lag, truncated)

    async def _spans(self, hall: str, begin: Sequence[Position], filtered: bool) -> list[_Span]:
        partitions = self.groups.partitions(hall)
        stands = await self.groups.stands(partitions)
        rows = zip(partitions, begin, stands, strict=True)
        return [
            _Span(partition, await self._settled(partition, position, stand), stand, filtered)
            for partition, position, stand in rows
        ]

    async def _settled(self, partition: int, position: Position, stand: Stand) -> Position:
        """A position, or where to go back to when the end of what it lies behind was lost with a data server."""
        if position.gen == stand.gen or not position.ms:
            return position
        turns = await self.groups.turns(partition, position, LOST_TAIL_MS)
        if turns:
            return turns[0]._replace(gen=stand.gen, n=stand.dropped)
        if (position.ms, position.seq) > stand.last:  # more is gone than we look back for
            return Position(stand.gen, 0, 0, stand.dropped)
        return position

    async def _note_passed(self, group: Group, hall: str, name: str, shard: Shard, spans: Sequence[_Span]) -> None:
        if all(span.found or span.scanned < PASS_AFTER for span in spans) or shard.of != len(group.shards):
            return
        to = flat([span.begin if span.found else span.read for span in spans])
        try:
            await self.groups.passed(hall, name, group.id, shard.of, shard.k, to)
        except Refusal:
            return  # the group is another one by now


def _cursor(group: Group, shard: Shard) -> str:
    return Cursor(group.id, *shard, flat(group.stand(shard.of, shard.k)[0])).text()


def wanted(hall: str, shard: Shard = WHOLE, kinds: Collection[str] | None = None) -> Wanted:
    """Whether an event is of a hall ("" = of any), of a part, and of one of the kinds (None = of any)."""

    def is_wanted(event: Event) -> bool:
        return (
            (not hall or event.hall == hall)
            and (kinds is None or event.kind in kinds)
            and shard.has(event.hall, event.ticket, event.window)
        )

    return is_wanted
