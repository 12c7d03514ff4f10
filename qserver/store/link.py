"""One connection to one data server, shared by everybody in this process.

Commands given in one pass of the event loop leave in one write; answers come back in order and are matched by a
queue of futures. This is the cheapest way to ask from Python, and it lets the server group many commands into one
fsync. What to ask, and whom, is not decided here.

Nothing is ever sent twice. A caller learns one of three things:

    an answer                       a value, or `ReplyError` when the server refused
    Unavailable(unknown=False)      the command never left, so it cannot have run
    Unavailable(unknown=True)       it left and its answer did not come: it may have run

A caller that is cancelled disturbs nobody: its answer is dropped when its turn comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import hiredis

from qserver.domain.errors import QserverError, Unavailable

from .address import Address

log = logging.getLogger(__name__)

Arg: TypeAlias = bytes | str | int | float
Reply: TypeAlias = "bytes | int | ReplyError | list[Reply] | None"
"""An answer in RESP2. A `ReplyError` can stand only inside a list (EXEC); on its own it is raised."""
_Waiting: TypeAlias = "asyncio.Future[Reply]"

_pack = cast(Callable[[tuple[Arg, ...]], bytes], hiredis.pack_command)
_NOTHING = object()
_BACKOFF_S = (0.02, 1.0)


class ReplyError(QserverError):
    """The data server answered with an error. `code` is its first word (`MOVED`, `NOSCRIPT`), `message` the rest."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code} {message}" if message else code)
        self.code = code
        self.message = message


def _reply_error(text: str) -> ReplyError:
    code, _, message = text.partition(" ")
    return ReplyError(code, message)


class _Wire(asyncio.Protocol):
    """One established connection: what is still to be written, and who waits for which answer.

    `pending` holds (future, deadline, patience) in the order of sending; the commands in `out` are its last ones.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.loop = link.loop
        self.pending: deque[tuple[_Waiting, float, float]] = deque()
        self.out: list[bytes] = []
        self.flushing = False
        self.paused = False
        self.heard = self.loop.time()
        self.lost: asyncio.Future[None] = self.loop.create_future()
        self.reader = hiredis.Reader(replyError=_reply_error, notEnoughData=_NOTHING)
        self.transport: asyncio.Transport

    def send(self, data: bytes, future: _Waiting, timeout_s: float) -> None:
        self.pending.append((future, self.loop.time() + timeout_s, timeout_s))
        self.out.append(data)
        if not self.flushing:
            self.flushing = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        self.flushing = False
        if self.out and not self.paused and not self.lost.done():
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
                entry[0].set_exception(Unavailable(f"{self.link.address} takes no more commands"))
        self.out[:] = kept

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        reader, pending = self.reader, self.pending
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                future = pending.popleft()[0]
                if future.done():
                    continue
                if isinstance(reply, ReplyError):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except (hiredis.HiredisError, IndexError) as error:
            # From here on answers could reach the wrong caller, so this connection has ended.
            log.error("data server speaks out of turn", extra={"address": str(self.link.address), "error": repr(error)})
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        self.link._wire_lost(self, error)


class Link:
    """A lasting connection to one data server; it comes back by itself.

    `on_connect`: commands for every new connection, after AUTH and SELECT. `timeout_s`: how long an answer may take,
    and how long the server may be silent while answers are due before the connection is given up. `connect_wait_s`: how
    long a command waits for a connection before it is refused. `in_flight`: most commands without an answer.
    `on_open` is called after each time the connection stands, `on_lost` after each loss.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        address: Address,
        *,
        on_connect: Sequence[tuple[Arg, ...]] = (),
        timeout_s: float = 5.0,
        connect_wait_s: float = 1.0,
        in_flight: int = 10_000,
        on_open: Callable[[], object] | None = None,
        on_lost: Callable[[], object] | None = None,
    ) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self.connect_wait_s = connect_wait_s
        self._greeting: tuple[tuple[Arg, ...], ...] = (*address.greeting(), *on_connect)
        self._in_flight = in_flight
        self._on_open, self._on_lost = on_open, on_lost
        self._wire: _Wire | None = None
        self._waiting: deque[tuple[bytes, _Waiting, float, float]] = deque()  # data, future, until, timeout_s
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._why = ""

    @property
    def connected(self) -> bool:
        """Whether a command given now leaves at once."""
        return self._wire is not None

    @property
    def unanswered(self) -> int:
        """How many commands wait for an answer or for a connection."""
        return len(self._waiting) + (len(self._wire.pending) if self._wire else 0)

    def call(self, *args: Arg, timeout_s: float | None = None) -> asyncio.Future[Reply]:
        """Send a command and return the future of its answer.

        The future raises `ReplyError` (the server refused), `Unavailable(unknown=False)` (not sent) or
        `Unavailable(unknown=True)` (sent, no answer within `timeout_s` seconds, or the connection broke).
        Two calls without an await between them are sent one directly after the other.
        """
        wire = self._wire
        if wire is None:
            return self._wait(_pack(args), timeout_s or self.timeout_s)
        future: _Waiting = self.loop.create_future()
        if len(wire.pending) >= self._in_flight:
            future.set_exception(Unavailable(f"too many commands wait for {self.address}"))
            return future
        wire.send(_pack(args), future, timeout_s or self.timeout_s)
        if self._timer is None or timeout_s is not None:
            self._arm(self.loop.time() + (timeout_s or self.timeout_s))
        return future

    async def open(self) -> None:
        """Connect, or raise `Unavailable` when it does not work within `connect_wait_s`."""
        await self.call("PING", timeout_s=self.timeout_s)

    async def close(self) -> None:
        """End the connection; whoever still waits gets `Unavailable`. Calls after this are refused."""
        self._closed = True
        self._why = "closed"
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._connecting:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if wire := self._wire:
            wire.flush()
            wire.transport.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(wire.lost)
            if not wire.lost.done():  # a peer that does not read would keep it open for ever
                wire.transport.abort()
                await wire.lost
        while self._waiting:
            self._refuse(self._waiting.popleft()[1])

    # -- without a connection --

    def _wait(self, data: bytes, timeout_s: float) -> asyncio.Future[Reply]:
        self.loop = asyncio.get_running_loop()
        future: _Waiting = self.loop.create_future()
        if self._closed or len(self._waiting) >= self._in_flight:
            self._refuse(future)
            return future
        until = self.loop.time() + min(timeout_s, self.connect_wait_s)
        self._waiting.append((data, future, until, timeout_s))
        self._arm(until)
        self._connect()
        return future

    def _refuse(self, future: _Waiting) -> None:
        if not future.done():
            future.set_exception(Unavailable(f"no connection to {self.address}" + (f": {self._why}" * bool(self._why))))

    def _connect(self) -> None:
        if self._connecting is None and not self._closed:
            self._connecting = self.loop.create_task(self._keep_connecting(), name=f"connect {self.address}")

    async def _keep_connecting(self) -> None:
        pause = _BACKOFF_S[0]
        while True:
            try:
                async with asyncio.timeout(self.timeout_s):
                    wire = await self._established()
                break
            except (OSError, ReplyError, Unavailable) as error:  # TimeoutError is an OSError
                why = str(error) or "no answer in time"
                if why != self._why:
                    log.warning("no connection", extra={"address": str(self.address), "error": why})
                self._why = why
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _BACKOFF_S[1])
        self._connecting = None
        self._why = ""
        self._wire = wire
        log.info("connected", extra={"address": str(self.address)})
        while self._waiting:
            data, future, _, timeout_s = self._waiting.popleft()
            if not future.done():
                wire.send(data, future, timeout_s)
        wire.flush()
        self._arm(self.loop.time())
        if self._on_open:
            self._on_open()

    async def _established(self) -> _Wire:
        """A new connection that has been greeted. Whatever goes wrong leaves none behind."""
        address = self.address
        wire = _Wire(self)
        if address.path:
            await self.loop.create_unix_connection(lambda: wire, address.path)
        else:
            context = address.tls.context() if address.tls else None
            await self.loop.create_connection(lambda: wire, address.host, address.port, ssl=context)
        try:
            answers: list[_Waiting] = []
            for args in self._greeting:
                answers.append(self.loop.create_future())
                wire.send(_pack(args), answers[-1], self.timeout_s)
            await asyncio.gather(*answers)
            if wire.lost.done():
                raise ConnectionResetError("the connection broke at once")
        except BaseException:
            wire.transport.abort()
            raise
        return wire

    # -- loss and deadlines --

    def _wire_lost(self, wire: _Wire, error: Exception | None) -> None:
        unsent = deque[tuple[_Waiting, float, float]]()
        for _ in wire.out:
            unsent.appendleft(wire.pending.pop())
        for future, _, _ in wire.pending:
            if not future.done():
                future.set_exception(Unavailable(f"the connection to {self.address} broke", unknown=True))
        wire.pending.clear()
        until = self.loop.time() + self.connect_wait_s
        for data, (future, deadline, timeout_s) in zip(wire.out, unsent, strict=True):
            if wire is self._wire:
                self._waiting.append((data, future, min(until, deadline), timeout_s))
            else:
                self._refuse(future)
        wire.out.clear()
        if wire is not self._wire:
            return
        self._wire = None
        if self._closed:
            return
        log.warning("connection lost", extra={"address": str(self.address), "error": repr(error or "closed")})
        self._connect()
        if self._waiting:
            self._arm(until)
        if self._on_lost:
            self._on_lost()

    def _arm(self, when: float) -> None:
        """See to it that the deadlines are looked at no later than `when`."""
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._look)

    def _look(self) -> None:
        """Refuse what is past its deadline; give up a connection that is silent while answers are due."""
        self._timer = None
        now = self.loop.time()
        due = now + 1e9
        for _, future, until, _ in self._waiting:
            if until <= now:
                self._refuse(future)
            else:
                due = min(due, until)
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        wire = self._wire
        if wire is not None and wire.out:
            wire.withdraw(now)
        if wire is not None and wire.pending:
            for future, deadline, timeout_s in wire.pending:
                if deadline > now:
                    due = min(due, deadline)
                elif not future.done():
                    text = f"no answer from {self.address} within {timeout_s:g} s"
                    future.set_exception(Unavailable(text, unknown=True))
            _, deadline, timeout_s = wire.pending[0]
            patience = max(self.timeout_s, timeout_s)
            silent_until = max(wire.heard, deadline - timeout_s) + patience
            if silent_until <= now:
                log.warning("silent data server given up", extra={"address": str(self.address), "patience_s": patience})
                wire.transport.abort()
                return
            due = min(due, silent_until)
        if due < now + 1e9:
            self._timer = self.loop.call_at(due, self._look)


def text(reply: Reply | Any) -> str:
    """An answer of bytes as text."""
    return reply.decode() if isinstance(reply, bytes) else str(reply)
