"""One established connection: what is still to be written, and who waits for which answer.

The protocol half of `link`, which makes connections, replaces them and sets their deadlines. Nothing here waits, and
nothing here knows how a connection comes about.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import hiredis

from qserver.domain.errors import QserverError, Unavailable

Arg: TypeAlias = "bytes | str | int | float | Head"
"""A word of a command. A `Head` may stand first only."""
Reply: TypeAlias = "bytes | int | ReplyError | list[Reply] | None"
"""An answer in RESP2. A `ReplyError` can stand only inside a list (EXEC); on its own it is raised."""
Answer: TypeAlias = "asyncio.Future[Reply]"

pack = cast(Callable[[tuple[Any, ...]], bytes], hiredis.pack_command)
"""A command as the server reads it. Raises TypeError for anything but bytes, str, int and float."""
_NOTHING = object()


class Head:
    """The beginning of a command that is sent often, packed once: the first argument of `call`, before the others.

    Packing costs 0.1 µs per word, and the keys of a function are always the same words.
    """

    __slots__ = ("_count", "_data")

    def __init__(self, *args: bytes | str | int | float) -> None:
        packed = pack(args)
        self._count = len(args)
        self._data = packed[packed.index(b"\n") + 1 :]

    def then(self, args: tuple[Any, ...]) -> bytes:
        """The whole command, with the arguments that follow."""
        if not args:
            return b"*%d\r\n%b" % (self._count, self._data)
        packed = pack(args)
        return b"*%d\r\n%b%b" % (self._count + len(args), self._data, packed[packed.index(b"\n") + 1 :])


class ReplyError(QserverError):
    """The data server answered with an error. `code` is its first word (`MOVED`, `NOSCRIPT`), `message` the rest."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code} {message}" if message else code)
        self.code = code
        self.message = message


def _reply_error(text: str) -> ReplyError:
    code, _, message = text.partition(" ")
    return ReplyError(code, message)


class Connection(asyncio.Protocol):
    """Commands of one pass of the loop leave in one write; answers are matched in order.

    `pending` holds (future, deadline, patience) in the order of sending; the commands in `out`, not yet given to the
    transport, are its last ones. `on_lost(connection, why)` is called once, when no more answers can come; it takes
    over what is left in `pending` and `out`.
    """

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[Connection, str], object]) -> None:
        self.loop = loop
        self.pending: deque[tuple[Answer, float, float]] = deque()
        self.out: list[bytes] = []
        self.heard = loop.time()
        self.over = False
        self.ended: asyncio.Future[None] = loop.create_future()
        self._on_lost = on_lost
        self._flushing = False
        self._paused = False
        self._reader = hiredis.Reader(replyError=_reply_error, notEnoughData=_NOTHING)

    def send(self, data: bytes, future: Answer, deadline: float, patience: float) -> None:
        """Queue a packed command; `future` gets its answer."""
        self.pending.append((future, deadline, patience))
        self.out.append(data)
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand what is queued to the transport, unless that has enough to do."""
        self._flushing = False
        if self.out and not self._paused and not self.over:
            data = self.out[0] if len(self.out) == 1 else b"".join(self.out)
            self.out.clear()
            self.transport.write(data)

    def withdraw(self, now: float) -> None:
        """Take back what is late or no longer wanted before it could be written: it never left."""
        entries = [self.pending.pop() for _ in self.out]
        kept = []
        for data, entry in zip(self.out, reversed(entries), strict=True):
            if entry[0].done():
                continue
            if entry[1] > now:
                kept.append(data)
                self.pending.append(entry)
            else:
                entry[0].set_exception(Unavailable("the data server takes no more commands"))
        self.out[:] = kept

    def unsent(self) -> list[tuple[bytes, Answer, float, float]]:
        """Take out the commands that never left: (data, future, deadline, patience)."""
        entries = [self.pending.pop() for _ in self.out]
        found = [(data, *entry) for data, entry in zip(self.out, reversed(entries), strict=True)]
        self.out.clear()
        return found

    def drop(self, why: str) -> None:
        """End the connection at once."""
        if not self.over:
            self.over = True
            self.transport.abort()
            self._on_lost(self, why)

    # -- called by the event loop --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport; a peer that vanished is noticed by keep-alive even when nobody asks."""
        self.transport = cast(asyncio.Transport, transport)
        raw: Any = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def pause_writing(self) -> None:
        """The transport's buffer is full: commands queue in `out`."""
        self._paused = True

    def resume_writing(self) -> None:
        """The transport's buffer has drained."""
        self._paused = False
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Hand each complete answer to who waits for it, in order; the answer of who has gone is dropped."""
        self.heard = self.loop.time()
        pending, gets = self.pending, self._reader.gets
        try:
            self._reader.feed(data)
            while (reply := gets()) is not _NOTHING:
                future = pending.popleft()[0]
                if future.done():
                    continue
                if isinstance(reply, ReplyError):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except (hiredis.HiredisError, IndexError) as error:
            # From here on an answer could reach the wrong caller, so nothing more is read.
            self.drop(f"the data server speaks out of turn ({error!r})")

    def eof_received(self) -> None:
        """The server hung up; nothing given from now on would be read."""
        self.drop("the data server hung up")

    def connection_lost(self, error: Exception | None) -> None:
        """The transport is gone."""
        if not self.over:
            self.over = True
            self._on_lost(self, str(error) if error else "the data server hung up")
        if not self.ended.done():
            self.ended.set_result(None)
