"""The record of what happened, as read by push and feed: one stream per partition.

An entry is a dict of packed fields: `e` (the event), `b` (its public frame), `w` (the window's record), or `x` alone
(the partition's epoch changed).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from qserver.domain.errors import Unavailable

from . import keys
from .answers import StreamInfo, Touched
from .gate import Gate
from .link import Link, ReplyError
from .topology import Topology

Entry = tuple[bytes, dict[bytes, bytes]]
"""An entry's id and its fields."""


def _entries(rows: Sequence[Any] | None) -> list[Entry]:
    return [(row[0], dict(zip(row[1][::2], row[1][1::2], strict=True))) for row in rows or () if row[1] is not None]


class Streams(Gate):
    """Reading and trimming of partitions' streams. `partition` may be CONTROL."""

    async def touch(self, partition: int) -> Touched:
        """Where a partition stands; raises its epoch if the data server is not the one that wrote last."""
        ep, last_id, now_ms = await self._shared(partition, "touch", "FCALL")
        return Touched(ep.decode(), last_id.decode(), int(now_ms))

    async def read_events(self, partition: int, after_id: str = "-", count: int = 1000) -> list[Entry]:
        """Entries after an id ("-" = from the oldest kept), at most `count`."""
        tag = self.tag(partition)
        start = after_id if after_id == "-" else f"({after_id}"
        found: Any = await self._topology.call(tag, "XRANGE", keys.stream(tag), start, "+", "COUNT", count)
        return _entries(found)

    async def last_events(self, partition: int, count: int) -> list[Entry]:
        """The newest entries, oldest of them first."""
        tag = self.tag(partition)
        found: Any = await self._topology.call(tag, "XREVRANGE", keys.stream(tag), "+", "-", "COUNT", count)
        return _entries(found)[::-1]

    async def stream_info(self, partition: int) -> StreamInfo:
        """How long the stream is and where it begins and ends."""
        tag = self.tag(partition)
        try:
            flat: Any = await self._topology.call(tag, "XINFO", "STREAM", keys.stream(tag))
        except ReplyError as error:
            if "no such key" not in error.message:
                raise
            return StreamInfo(0, "0-0", "0-0")
        info = dict(zip(flat[::2], flat[1::2], strict=True))
        first = info[b"first-entry"]
        return StreamInfo(info[b"length"], first[0].decode() if first else "0-0", info[b"last-generated-id"].decode())

    async def trim(self, partition: int, min_id: str) -> int:
        """Drops entries before an id; answers how many."""
        tag = self.tag(partition)
        dropped: Any = await self._topology.call(tag, "XTRIM", keys.stream(tag), "MINID", min_id)
        return int(dropped)

    def reader(self, partitions: Sequence[int]) -> Reader:
        """A reader of these partitions with connections of its own; close it."""
        tags = {partition: self.tag(partition) for partition in partitions}
        return Reader(self._topology, tags)


class Reader:
    """Waits for new entries of many partitions at once.

    One connection with one XREAD over all streams; in a cluster one per partition, for XREAD over slots is refused.
    """

    def __init__(self, topology: Topology, tags: Mapping[int, str]) -> None:
        self._topology = topology
        self._tags = tags
        self._groups = [group for group in topology.together(tags) if group]
        self._links: dict[int, Link] = {}
        self._waiting: dict[asyncio.Task[dict[int, list[Entry]]], int] = {}

    async def read(
        self, after: Mapping[int, str | bytes], block_ms: int = 2000, count: int = 500
    ) -> dict[int, list[Entry]]:
        """Entries after each partition's id, as soon as there are some; {} when there were none for `block_ms`.

        Raises Unavailable when a connection broke; the next call opens it again.
        """
        if len(self._groups) == 1:  # nothing to wait for besides, so no task of its own
            try:
                return await self._read_group(0, self._groups[0], after, block_ms, count)
            except asyncio.CancelledError:
                await self.close()
                raise
        busy = set(self._waiting.values())
        for n, group in enumerate(self._groups):
            if n not in busy:
                task = asyncio.ensure_future(self._read_group(n, group, after, block_ms, count))
                self._waiting[task] = n
        try:
            done, _ = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.close()
            raise
        found: dict[int, list[Entry]] = {}
        for task in done:
            del self._waiting[task]
        for task in done:
            found |= task.result()
        return found

    async def _read_group(
        self, n: int, group: Sequence[int], after: Mapping[int, str | bytes], block_ms: int, count: int
    ) -> dict[int, list[Entry]]:
        link = self._links.get(n)
        if link is None:
            link = self._links[n] = self._topology.dedicated(self._tags[group[0]])
        streams = [keys.stream(self._tags[p]) for p in group]
        try:
            reply: Any = await link.call(
                "XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", *streams, *(after[p] for p in group),
                timeout_s=block_ms / 1000 + 2,
            )  # fmt: skip
        except (Unavailable, ReplyError) as error:
            self._links.pop(n, None)
            with contextlib.suppress(OSError):
                await link.close()
            if isinstance(error, ReplyError):
                raise Unavailable(f"the data server answers {error.code}") from error
            raise
        by_stream = dict(zip(streams, group, strict=True))
        return {by_stream[name.decode()]: _entries(rows) for name, rows in reply or ()}

    async def close(self) -> None:
        """Closes the connections."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        self._waiting.clear()
        links, self._links = list(self._links.values()), {}
        for link in links:
            await link.close()
