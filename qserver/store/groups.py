"""Groups of the feed: who reads which partitions and how far. Positions live in the control partition.

A group is one position per partition and shard. Which events belong to a shard is the feed's affair; here a position
is only compared, raised and never lowered.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from qserver.domain.errors import Refusal

from . import keys
from .answers import Op
from .gate import CONTROL, Gate


class Position(NamedTuple):
    """A place in a partition's stream: everything up to entry `ms-seq` lies behind it.

    `gen`: the partition's generation when it was taken; `n`: how many entries were ever added up to it. Positions
    compare by generation and id.
    """

    gen: int
    ms: int
    seq: int
    n: int

    @property
    def id(self) -> str:
        """The entry's id."""
        return f"{self.ms}-{self.seq}"


START = Position(0, 0, 0, 0)
"""Before everything."""


class Stand(NamedTuple):
    """How a partition's stream stands. `added`: entries ever added; ids are (ms, seq), (0, 0) when it is empty."""

    gen: int
    length: int
    first: tuple[int, int]
    last: tuple[int, int]
    added: int

    @property
    def dropped(self) -> int:
        """How many entries were trimmed since the stream began."""
        return self.added - self.length

    @property
    def end(self) -> Position:
        """The position behind the last entry."""
        return Position(self.gen, *self.last, self.added)


class Shard(msgspec.Struct, array_like=True, frozen=True):
    """One consumer's positions, four numbers per partition: what it acknowledged, and what it need not look at."""

    acked: list[int]
    passed: list[int]


class Group(msgspec.Struct, array_like=True, frozen=True):
    """A group as stored. `id` tells it from an earlier one of the same name; `hall` "" = all halls."""

    id: str
    hall: str
    created_ms: int
    acked_ms: int
    shards: list[Shard]

    def stand(self, count: int, k: int) -> tuple[list[Position], list[Position]]:
        """Acknowledged positions of shard `k` (from 1) of `count`, and those from which it is worth reading.

        Asked with another number of shards, it is what all present shards are done with: nothing is lost so, and
        some may come again.
        """
        if count == len(self.shards):
            shard = self.shards[k - 1]
            acked = list(positions(shard.acked))
            return acked, [max(a, p) for a, p in zip(acked, positions(shard.passed), strict=True)]
        floor = self.done()
        return floor, floor

    def done(self) -> list[Position]:
        """Up to where every shard is done, per partition: only before that may anything be dropped."""
        each = [self.stand(len(self.shards), k)[1] for k in range(1, len(self.shards) + 1)]
        return [min(column) for column in zip(*each, strict=True)]


def positions(flat: Sequence[int]) -> Iterator[Position]:
    """The positions in a flat list of numbers."""
    return (Position(*flat[i : i + 4]) for i in range(0, len(flat), 4))


def flat(found: Sequence[Position]) -> list[int]:
    """Positions as a flat list of numbers."""
    return [number for position in found for number in position]


def entry_id(text: str | bytes) -> tuple[int, int]:
    """An entry's id as two numbers that compare."""
    ms, _, seq = (text.decode() if isinstance(text, bytes) else text).partition("-")
    return int(ms), int(seq)


_group = msgspec.msgpack.Decoder(Group)
_put_answer = msgspec.msgpack.Decoder(tuple[int, Group, bool])
_move_answer = msgspec.msgpack.Decoder(tuple[int, Group])
_stand = msgspec.msgpack.Decoder(tuple[int, int, str, str, int])


class Groups:
    """The groups of one store. A group's name is its own within its hall, or among those that see all halls."""

    def __init__(self, store: Gate) -> None:
        self._store = store

    def partitions(self, hall: str) -> tuple[int, ...]:
        """The partitions in which a group of that scope reads, in the order of its positions."""
        if hall:
            return (self._store.partition(hall),)
        return (*range(self._store.partitions), CONTROL)

    async def stand(self, partition: int) -> Stand:
        """How the stream of a partition stands."""
        gen, length, first, last, added = _stand.decode(await self._store._shared(partition, "stand", "FCALL_RO"))
        return Stand(gen, length, entry_id(first), entry_id(last), added)

    async def stands(self, partitions: Sequence[int]) -> list[Stand]:
        """How the streams of partitions stand."""
        return await asyncio.gather(*(self.stand(partition) for partition in partitions))

    async def put(self, op: Op, hall: str, name: str, *, from_start: bool) -> tuple[Group, bool]:
        """Registers a group from now on, or from the oldest entries kept; whether it is new.

        One that stands stays as it is. Refused: validation (too many groups).
        """
        stands = await self.stands(self.partitions(hall))
        begin = [Position(0, 0, 0, s.dropped) if from_start else s.end for s in stands]
        packed, _ = await self._store._control(
            "group_put", op, _field(hall, name), secrets.token_hex(4), hall, msgspec.msgpack.encode(flat(begin))
        )
        _, group, created = _put_answer.decode(packed)
        return group, created

    async def get(self, hall: str, name: str) -> Group:
        """A group. Refused: not_found."""
        packed: Any = await self._store._topology.call(keys.CONTROL_TAG, "HGET", _key(), _field(hall, name))
        if packed is None:
            raise Refusal("not_found", "there is no such group", what="group")
        return _group.decode(packed)

    async def all(self) -> dict[tuple[str, str], Group]:
        """Every group by (hall, name)."""
        rows: Any = await self._store._topology.call(keys.CONTROL_TAG, "HGETALL", _key())
        found = {}
        for field, packed in zip(rows[::2], rows[1::2], strict=True):
            hall, _, name = field.decode().partition("/")
            found[hall, name] = _group.decode(packed)
        return found

    async def ack(
        self, op: Op, hall: str, name: str, group: str, count: int, k: int, to: Sequence[int]
    ) -> tuple[Group, bool]:
        """Raises shard `k` of `count` to flat positions; older ones change nothing. Whether the answer is a kept one.

        Refused: not_found, validation (positions of another group).
        """
        return await self._move(op, hall, name, group, count, k, to, "ack")

    async def passed(self, hall: str, name: str, group: str, count: int, k: int, to: Sequence[int]) -> None:
        """Notes that the shard has nothing of its own up to there. Refused as `ack`."""
        await self._move(Op("system"), hall, name, group, count, k, to, "pass")

    async def _move(
        self, op: Op, hall: str, name: str, group: str, count: int, k: int, to: Sequence[int], how: str
    ) -> tuple[Group, bool]:
        packed, replayed = await self._store._control(
            "group_move", op, _field(hall, name), group, count, k, msgspec.msgpack.encode(list(to)), how
        )
        return _move_answer.decode(packed)[1], replayed

    async def remove(self, op: Op, hall: str, name: str) -> None:
        """Removes a group: nothing is kept for it any more. Refused: not_found."""
        await self._store._control("group_remove", op, _field(hall, name))

    async def turns(self, partition: int, position: Position, within_ms: int) -> list[Position]:
        """Where later generations than a position's began although it lies behind them, oldest first.

        There are some only when the stream's tail was lost and the clock of the server that went on was behind. Looks
        no further back than `within_ms`: a lost tail is short.
        """
        tag = self._store.tag(partition)
        rows: Any = await self._store._topology.call(
            tag, "XRANGE", keys.stream(tag), max(0, position.ms - within_ms), position.id, "COUNT", 1000
        )
        begun = ((int(fields[1].partition(b"-")[0]), entry_id(at)) for at, fields in rows if fields[0] == b"x")
        return [Position(gen, *at, 0) for gen, at in begun if gen > position.gen]

    async def memory(self, partition: int) -> tuple[int, int]:
        """Bytes used and at most to be used by the data server that holds a partition.

        Without a bound of its own it is the machine's memory.
        """
        text: Any = await self._store._topology.call(self._store.tag(partition), "INFO", "memory")
        info = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        return int(info["used_memory"]), int(info["maxmemory"]) or int(info["total_system_memory"])

    async def size(self, partition: int) -> int:
        """Bytes that a partition's stream takes, by the data server's estimate."""
        tag = self._store.tag(partition)
        found: Any = await self._store._topology.call(tag, "MEMORY", "USAGE", keys.stream(tag), "SAMPLES", 20)
        return int(found or 0)


def _key() -> str:
    return keys.control_keys()[9]


def _field(hall: str, name: str) -> str:
    return f"{hall}/{name}"
