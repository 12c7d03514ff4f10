"""The one way in: calls functions by name, with all their keys declared, and reads their answers.

Nothing is repeated here that may have run. A function that the server does not have cannot have run: it is loaded
and called once more.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from qserver.domain.errors import Unavailable
from qserver.remembered import Remembered

from . import keys
from .answers import SYSTEM, Op
from .batch import Batches, Sent, refusal
from .library import Library
from .link import Head, ReplyError
from .topology import Topology

CONTROL = -1
"""Stands for the control partition where a partition's number is asked for."""

_HOOK = "webhook:"
"""Stands before a webhook's id where a hall's is asked for."""
_NOT_NOW = frozenset({"OOM", "MISCONF", "LOADING", "READONLY", "CLUSTERDOWN", "NOREPLICAS", "MASTERDOWN", "BUSY"})
_unpack = msgspec.msgpack.decode

log = logging.getLogger(__name__)


class Gate:
    """Functions of the library on one topology. `partitions` is fixed when the data server is first used."""

    def __init__(self, topology: Topology, partitions: int = 16, library: Library | None = None) -> None:
        self._topology = topology
        self._library = library or Library()
        self.partitions = partitions
        self.server_key = b""
        self._tags = keys.tags(partitions)
        self._heads = Remembered[tuple[str, str], tuple[str, Head]](100_000)
        self._batches = Batches(self._batch)
        self._deadline_watchers: list[Callable[[int, float], None]] = []

    def on_deadline(self, told: Callable[[int, float], None]) -> Callable[[], None]:
        """Has `told` called, after each of this process's commands of halls, with the partition and in how many seconds
        its next deadline comes (below 0: it has come). Answers with what ends that.
        """
        self._deadline_watchers.append(told)
        return lambda: self._deadline_watchers.remove(told)

    async def start(self) -> None:
        """Loads the functions and settles what is fixed for ever.

        Raises ValueError when the data server was first used with another number of partitions, Unavailable.
        """
        await self._load()
        packed, _ = await self._control("settings", SYSTEM, secrets.token_hex(32), self.partitions)
        _, server_key, partitions = _unpack(packed)
        self.server_key = bytes.fromhex(server_key)
        if partitions != self.partitions:
            raise ValueError(f"this data server holds {partitions} partitions, not {self.partitions}")

    def partition(self, hall: str) -> int:
        """The partition of a hall."""
        return keys.partition(hall, self.partitions)

    def tag(self, partition: int) -> str:
        """The hash tag of a partition, or of the control partition."""
        return keys.CONTROL_TAG if partition == CONTROL else self._tags[partition]

    def together(self) -> list[tuple[int, ...]]:
        """The partitions in groups whose keys one command may name: all of them, or in a cluster each by itself."""
        return self._topology.together(range(self.partitions))

    async def _load(self) -> None:
        for link in self._topology.primaries():
            try:
                await link.call("FUNCTION", "LOAD", self._library.text)
            except ReplyError as error:
                if error.code in _NOT_NOW:
                    raise Unavailable(f"the data server answers {error.code}") from error
                if "already exists" not in error.message:
                    raise

    async def _fcall(self, tag: str, head: Head, *args: Any) -> Any:
        try:
            return await self._topology.call(tag, head, *args)
        except ReplyError as error:
            if error.code in _NOT_NOW:
                raise Unavailable(f"the data server answers {error.code}") from error
            if "Function not found" not in error.message:
                raise
        await self._load()
        return await self._topology.call(tag, head, *args)

    def _head(self, scope: str, function: str, verb: str, tag: str, names: tuple[str, ...]) -> tuple[str, Head]:
        """The words before a function's arguments, packed once for each hall (or partition) and function."""
        head = Head(verb, self._library.name(function), len(names), *names)
        return self._heads.add((scope, function), (tag, head))

    def _hall(self, hall: str, function: str, verb: str = "FCALL") -> tuple[str, Head]:
        found = self._heads.get((hall, function))
        if found is None:
            tag = self._tags[self.partition(hall)]
            found = self._head(hall, function, verb, tag, keys.hall_keys(tag, hall))
        return found

    def _command(self, hall: str, function: str, op: Op, *args: Any) -> asyncio.Future[Sent]:
        actor = (op.actor,) if op.seated else op.actor
        return self._batches.add(hall, function, (op.key, op.body, actor, *args))

    def _control(self, function: str, op: Op, *args: Any) -> asyncio.Future[Sent]:
        return self._batches.add("", function, (op.key, op.body, op.actor, *args))

    def _of_hook(self, hook: str, function: str, op: Op, *args: Any) -> asyncio.Future[Sent]:
        return self._batches.add(_HOOK + hook, function, (op.key, op.body, op.actor, hook, *args))

    async def _batch(self, hall: str, words: list[bytes | str]) -> list[Any]:
        """Gives a hall's (or a webhook's, or with "" the control partition's) commands; their answers and flags in
        turn."""
        if hall.startswith(_HOOK):
            tag, head = self._heads.get((hall, "hook")) or self._head(
                hall, "hook", "FCALL", keys.CONTROL_TAG, keys.hook_keys(hall.removeprefix(_HOOK))
            )
        elif hall:
            tag, head = self._hall(hall, "commands")
            answers: list[Any]
            *answers, next_ms, now_ms = await self._fcall(tag, head, *words)
            if due := float(next_ms):
                try:
                    for told in self._deadline_watchers:
                        told(self.partition(hall), (due - int(now_ms)) / 1000)
                except Exception:  # the commands are done, whatever becomes of who wanted to know
                    log.exception("a watcher of deadlines failed")
            return answers
        else:
            tag, head = self._heads.get(("", "control")) or self._head(
                "", "control", "FCALL", keys.CONTROL_TAG, keys.control_keys()
            )
        return list(await self._fcall(tag, head, *words))

    async def _read(self, hall: str, function: str, *args: Any) -> tuple[bytes, list[Any]]:
        """A reading's packed answer and the packed records behind it."""
        tag, head = self._hall(hall, function, "FCALL_RO")
        reply: Any = await self._fcall(tag, head, *args)
        packed: bytes = reply[0]
        if packed[1] == 0:
            raise refusal(packed)
        return packed, reply[1] if len(reply) > 1 else []

    async def _shared(self, partition: int, function: str, verb: str, *args: Any) -> Any:
        """A function of a partition as a whole."""
        tag = self.tag(partition)
        scope = f"-{partition}"
        found = self._heads.get((scope, function)) or self._head(scope, function, verb, tag, keys.shared(tag))
        return await self._fcall(tag, found[1], *args)

    async def _of(
        self, partitions: tuple[int, ...], function: str, verb: str, key: Callable[[str], str], *args: Any
    ) -> Any:
        """A function over one key of each of these partitions."""
        tags = [self._tags[partition] for partition in partitions]
        scope = ",".join(tags)
        found = self._heads.get((scope, function)) or self._head(scope, function, verb, tags[0], tuple(map(key, tags)))
        return await self._fcall(tags[0], found[1], *args)


def by_pairs(rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """`[[name, value], ...]` as a dict."""
    return {row[0]: row[1] for row in rows}
