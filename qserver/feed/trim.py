"""Drops what nobody needs any more from the streams, and what somebody still needs before the memory runs out.

What is older than 24 h and acknowledged by every group goes. While more than 70 % of a data server's memory is used,
the slowest group is cut to where the next slowest stands, and so on up to 24 h ago; then, if the streams are a good
part of what is used, the time kept is halved, down to an hour. One forgotten group must not stop a hall; whoever is cut
is logged, counted and told `truncated`. Every process may trim: dropping twice drops nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from qserver.rounds import Rounds
from qserver.store.gate import CONTROL
from qserver.store.groups import Group, Groups
from qserver.store.store import Store

_log = logging.getLogger(__name__)
KEEP_MS = 24 * 3600_000
LEAST_KEPT_MS = 3600_000
FULL = 0.7
STREAMS_SHARE = 0.1
"""Streams that hold less than this share of the used memory are not what fills it."""
EVERY_S = 60.0

Named = tuple[str, str]
"""Hall and name of a group."""
Id = tuple[int, int]
"""An entry's id."""
Floors = Mapping[Named, Id]
"""The first id of a stream that each group has not done with."""


def safe(floors: Floors, horizon: Id) -> Id:
    """Before which id everything is both old enough and done with by all."""
    return min([horizon, *floors.values()])


def cut(floors: Floors, horizon: Id) -> tuple[Id, frozenset[Named]]:
    """Before which id to drop so that only the slowest group loses something, and who that is.

    Never beyond the horizon; nobody loses anything when all groups are past it.
    """
    slow = sorted({floor for floor in floors.values() if floor < horizon})
    if not slow:
        return horizon, frozenset()
    to = slow[1] if len(slow) > 1 else horizon
    return to, frozenset(name for name, floor in floors.items() if floor == slow[0])


class Trimmed(NamedTuple):
    """What was done at one time: entries dropped, and the groups that lost some they had not read."""

    dropped: int
    cut: frozenset[Named]


class Trimmer:
    """Trims every stream of a store, again and again.

    `keep_ms`: how long entries are kept although all groups have read them; `full`: share of a data server's memory
    above which groups are cut.
    """

    def __init__(self, store: Store, *, keep_ms: int = KEEP_MS, full: float = FULL, every_s: float = EVERY_S) -> None:
        self._store = store
        self._groups = Groups(store)
        self._keep_ms = keep_ms
        self._full = full
        self._rounds = Rounds("trimming", self.once, every_s, _log)
        self._partitions = (*range(store.partitions), CONTROL)
        self._dropped = 0
        self._cuts: Counter[Named] = Counter()
        self._lags: dict[Named, int] = {}

    def start(self) -> None:
        """Begins to trim in the background."""
        self._rounds.start()

    async def stop(self) -> None:
        """Ends the trimming."""
        await self._rounds.stop()

    async def once(self) -> Trimmed:
        """Trims every stream, and cuts groups while memory is short. Raises Unavailable."""
        now_ms = await self._store.now()
        groups = await self._groups.all()
        floors = self._floors(groups)
        dropped = 0
        for partition in self._partitions:
            dropped += await self._trim(partition, safe(floors[partition], (now_ms - self._keep_ms, 0)))
        lost: set[Named] = set()
        keep_ms = self._keep_ms
        while short := await self._short():
            gone = 0
            for partition in short:
                to, losers = cut(floors[partition], (now_ms - keep_ms, 0))
                here = await self._trim(partition, to)
                lost |= losers if here else set()
                floors[partition] = {name: max(to, floor) for name, floor in floors[partition].items()}
                gone += here
            dropped += gone
            if not gone and all(cut(floors[p], (now_ms - keep_ms, 0))[1] == frozenset() for p in short):
                if keep_ms <= LEAST_KEPT_MS or not await self._streams_fill(short):
                    _log.error("memory is short, and not for the streams' sake")
                    break
                keep_ms = max(LEAST_KEPT_MS, keep_ms // 2)
        await self._note(dropped, lost, groups)
        return Trimmed(dropped, frozenset(lost))

    def _floors(self, groups: Mapping[Named, Group]) -> dict[int, dict[Named, Id]]:
        floors: dict[int, dict[Named, Id]] = {partition: {} for partition in self._partitions}
        for name, group in groups.items():
            for partition, position in zip(self._groups.partitions(group.hall), group.done(), strict=True):
                floors[partition][name] = position.ms, position.seq + 1
        return floors

    async def _trim(self, partition: int, to: Id) -> int:
        return await self._store.trim(partition, f"{max(0, to[0])}-{to[1]}")

    async def _short(self) -> list[int]:
        """The partitions whose data server is short of memory."""
        found = await asyncio.gather(*(self._groups.memory(partition) for partition in self._partitions))
        rows = zip(self._partitions, found, strict=True)
        return [partition for partition, (used, most) in rows if most and used > most * self._full]

    async def _streams_fill(self, partitions: Iterable[int]) -> bool:
        """Whether the streams of partitions are a good part of what is used where they are."""
        sizes = await asyncio.gather(*(self._groups.size(partition) for partition in partitions))
        used = max([(await self._groups.memory(partition))[0] for partition in partitions])
        return sum(sizes) >= used * STREAMS_SHARE

    async def _note(self, dropped: int, lost: set[Named], groups: Mapping[Named, Group]) -> None:
        self._dropped += dropped
        for hall, name in sorted(lost):
            self._cuts[hall, name] += 1
            _log.error(
                "memory is short: group %s of %s was cut and lost events it had not read", name, hall or "all halls"
            )
        stands = dict(zip(self._partitions, await self._groups.stands(self._partitions), strict=True))
        self._lags = {
            name: sum(
                max(0, stands[partition].added - max(position.n, stands[partition].dropped))
                for partition, position in zip(self._groups.partitions(group.hall), group.done(), strict=True)
            )
            for name, group in groups.items()
        }

    def metrics(self) -> Iterable[str]:
        """Lines in Prometheus' text format."""
        yield "# HELP qserver_feed_trimmed_total Entries dropped from the streams by this process."
        yield "# TYPE qserver_feed_trimmed_total counter"
        yield f"qserver_feed_trimmed_total {self._dropped}"
        yield "# HELP qserver_feed_group_cut_total Times a group lost events it had not read, for want of memory."
        yield "# TYPE qserver_feed_group_cut_total counter"
        for hall, name in sorted(self._lags.keys() | self._cuts.keys()):
            yield f'qserver_feed_group_cut_total{{hall="{hall}",group="{name}"}} {self._cuts[hall, name]}'
        yield "# HELP qserver_feed_group_lag Entries a group has not acknowledged; with shards, the slowest of them."
        yield "# TYPE qserver_feed_group_lag gauge"
        for (hall, name), lag in sorted(self._lags.items()):
            yield f'qserver_feed_group_lag{{hall="{hall}",group="{name}"}} {lag}'
