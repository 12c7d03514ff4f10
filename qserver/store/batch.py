"""Commands of one hall that are given in the same pass of the loop go to the functions together, as one FCALL.

Each stays a command of its own, with its own checks, event and answer; what they share is the way there and back, the
hall's head, and the fsync. Under load this is most of the cost of a command; alone a command costs what it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]
import msgspec

from qserver.domain.errors import Refusal

from .link import ReplyError

LARGEST = 64
"""Commands in one batch: a function blocks its server while it runs, some ms for a full batch."""

Sent = tuple[bytes, bool]
"""A command's packed answer, and whether it is the kept one."""
_pack = msgpack.Packer(use_bin_type=False).pack  # cmsgpack reads the older form only, in which bytes are strings
_unpack = msgspec.msgpack.decode


def packed(argv: tuple[Any, ...]) -> bytes:
    """A command's arguments as the functions read them: one behind the other, which is an array without its head."""
    whole: bytes = _pack(argv)
    return whole[1 if len(argv) < 16 else 3 :]


class _Waiting(NamedTuple):
    """A batch that is being gathered: names and packed arguments of its commands in turn, and who waits for them."""

    words: list[bytes | str]
    futures: list[asyncio.Future[Sent]]
    new_future: Callable[[], asyncio.Future[Sent]]


class Batches:
    """Commands on their way, by hall. `send` gives a batch's words and answers with its answers and flags in turn."""

    def __init__(self, send: Callable[[str, list[bytes | str]], Awaitable[list[Any]]]) -> None:
        self._send = send
        self._waiting: dict[str, _Waiting] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def add(self, hall: str, command: str, argv: tuple[Any, ...]) -> asyncio.Future[Sent]:
        """Gives a command with the next batch. The future raises Refusal, Unavailable, ReplyError."""
        waiting = self._waiting.get(hall)
        if waiting is None:
            loop = asyncio.get_running_loop()
            waiting = self._waiting[hall] = _Waiting([], [], loop.create_future)
            if len(self._waiting) == 1:
                loop.call_soon(self._flush)
        words, futures, new_future = waiting
        words += (command, packed(argv))
        future = new_future()
        futures.append(future)
        return future

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for hall, (words, futures, _) in waiting.items():
            for n in range(0, len(futures), LARGEST):
                task = asyncio.ensure_future(
                    self._give(hall, words[n * 2 : (n + LARGEST) * 2], futures[n : n + LARGEST])
                )
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

    async def _give(self, hall: str, words: list[bytes | str], futures: list[asyncio.Future[Sent]]) -> None:
        try:
            reply = await self._send(hall, words)
        except BaseException as error:
            for future in futures:
                if not future.done():  # a caller that went away does not want it
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for n, future in enumerate(futures):
            if future.done():
                continue
            packed, flag = reply[n * 2], reply[n * 2 + 1]
            if flag < 2 and packed[1] == 1:
                future.set_result((packed, flag == 1))
            else:
                future.set_exception(_failure(packed, flag))


def refusal(packed: bytes) -> Refusal:
    """The refusal in a packed answer {0, code, name, value, ...}."""
    _, code, *data = _unpack(packed)
    return Refusal(code, **dict(zip(data[::2], data[1::2], strict=True)))


def _failure(packed: bytes, flag: int) -> Exception:
    if flag == 3:
        return ReplyError("ERR", packed.decode(errors="replace"))
    if flag == 2:
        return Refusal("idempotency_mismatch")
    error = refusal(packed)
    error.replayed = flag == 1
    return error
