"""One lasting connection to one data server, shared by everybody in this process.

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
import math
import random
from collections import deque
from collections.abc import Callable, Sequence

from qserver.domain.errors import Unavailable

from .address import Address
from .connection import Answer, Arg, Connection, Head, Reply, ReplyError, pack

__all__ = ["Arg", "Head", "Link", "Reply", "ReplyError"]

log = logging.getLogger(__name__)

_BACKOFF_S = (0.02, 1.0)
_BUSY = {"LOADING", "BUSY", "MASTERDOWN"}
"""Errors of a server that is there and will serve."""


class Link:
    """A connection to one data server that comes back by itself.

    `on_connect`: commands for every new connection, after AUTH and SELECT. `timeout_s`: how long an answer may take,
    and how long the server may be silent while answers are due before the connection is given up. `connect_wait_s`:
    how long a command waits for a connection before it is refused. `in_flight`: most commands without an answer.
    `on_open` is called after each time the connection stands, `on_lost` after each loss.
    """

    _loop: asyncio.AbstractEventLoop

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
        self._connection: Connection | None = None
        self._waiting: deque[tuple[bytes, Answer, float, float]] = deque()  # data, future, until, timeout_s
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._why = ""

    @property
    def connected(self) -> bool:
        """Whether a command given now leaves at once."""
        return self._connection is not None

    @property
    def unanswered(self) -> int:
        """How many commands wait for an answer or for a connection."""
        return len(self._waiting) + (len(self._connection.pending) if self._connection else 0)

    def call(self, *args: Arg, timeout_s: float | None = None) -> asyncio.Future[Reply]:
        """Send a command and return the future of its answer.

        The future raises `ReplyError` (the server refused), `Unavailable(unknown=False)` (not sent) or
        `Unavailable(unknown=True)` (sent, no answer within `timeout_s` seconds, or the connection broke).
        The first argument may be a `Head`, packed before.
        Two calls without an await between them are sent one directly after the other.
        """
        data = args[0].then(args[1:]) if args[0].__class__ is Head else pack(args)
        patience = timeout_s or self.timeout_s
        connection = self._connection
        if connection is None:
            return self._wait(data, patience)
        future: Answer = self._loop.create_future()
        if len(connection.pending) >= self._in_flight:
            future.set_exception(Unavailable(f"too many commands wait for {self.address}"))
            return future
        deadline = self._loop.time() + patience
        connection.send(data, future, deadline, patience)
        # One timer for all: with equal patience the deadlines come in order, so only another patience can be earlier.
        if self._timer is None or timeout_s is not None:
            self._arm(deadline)
        return future

    async def open(self) -> None:
        """Connect. Raises `Unavailable` when there is no connection within `connect_wait_s`."""
        with contextlib.suppress(ReplyError):  # LOADING and the like: the connection stands
            await self.call("PING")

    def connect(self) -> None:
        """Begin to connect without waiting for it, if that has not begun."""
        self._loop = asyncio.get_running_loop()
        if self._connection is None:
            self._connect()

    async def close(self, *, drain_s: float = 0.0) -> None:
        """End the connection; whoever still waits gets `Unavailable`. Calls after this are refused.

        `drain_s`: how long to wait first for the answers that are due.
        """
        if drain_s and self._connection and self._connection.pending and not self._closed:
            with contextlib.suppress(Unavailable, ReplyError):
                await self.call("PING", timeout_s=drain_s)  # answers come in order: after it none is due
        self._closed = True
        self._why = "closed"
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._connecting:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if connection := self._connection:
            connection.flush()
            connection.drop("closed")
            await connection.ended
        while self._waiting:
            self._refuse(self._waiting.popleft()[1])

    # -- without a connection --

    def _wait(self, data: bytes, timeout_s: float) -> Answer:
        self._loop = asyncio.get_running_loop()
        future: Answer = self._loop.create_future()
        if self._closed or len(self._waiting) >= self._in_flight:
            self._refuse(future)
            return future
        until = self._loop.time() + min(timeout_s, self.connect_wait_s)
        self._waiting.append((data, future, until, timeout_s))
        self._arm(until)
        self._connect()
        return future

    def _refuse(self, future: Answer) -> None:
        if not future.done():
            why = f": {self._why}" if self._why else ""
            future.set_exception(Unavailable(f"no connection to {self.address}{why}"))

    def _connect(self) -> None:
        if self._connecting is None and not self._closed:
            self._connecting = self._loop.create_task(self._keep_connecting(), name=f"connect {self.address}")

    async def _keep_connecting(self) -> None:
        pause = _BACKOFF_S[0]
        while True:
            try:
                async with asyncio.timeout(self.timeout_s):
                    connection = await self._established()
                break
            except (OSError, ReplyError, Unavailable) as error:  # TimeoutError and SSLError are OSErrors
                why = str(error) or "no answer in time"
                if why != self._why:
                    log.warning("no connection", extra={"address": str(self.address), "error": why})
                self._why = why
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _BACKOFF_S[1])
        self._connecting = None
        self._why = ""
        self._connection = connection
        log.info("connected", extra={"address": str(self.address)})
        now = self._loop.time()
        while self._waiting:
            data, future, _, timeout_s = self._waiting.popleft()
            if not future.done():
                connection.send(data, future, now + timeout_s, timeout_s)
        connection.flush()
        self._arm(now)
        if self._on_open:
            self._on_open()

    async def _established(self) -> Connection:
        """A new connection that has been greeted. Whatever goes wrong leaves none behind."""
        address = self.address
        connection = Connection(self._loop, self._lost)
        if address.path:
            await self._loop.create_unix_connection(lambda: connection, address.path)
        else:
            # Reading certificates takes its time, and a renewed one shall be seen.
            context = await asyncio.to_thread(address.tls.context) if address.tls else None
            await self._loop.create_connection(lambda: connection, address.host, address.port, ssl=context)
        try:
            # A kernel accepts connections for a process that has stopped; only an answer shows that somebody is there.
            for args in (*self._greeting, ("PING",)):
                answer: Answer = self._loop.create_future()
                connection.send(pack(args), answer, math.inf, self.timeout_s)
                try:
                    await answer
                except ReplyError as error:
                    if error.code not in _BUSY:
                        raise
            if connection.over:
                raise ConnectionResetError("the connection broke at once")
        except BaseException:
            connection.drop("not greeted")
            await connection.ended
            raise
        return connection

    # -- loss and deadlines --

    def _lost(self, connection: Connection, why: str) -> None:
        """What never left waits for the next connection; what left has an unknown fate."""
        unsent = connection.unsent()
        for future, _, _ in connection.pending:
            if not future.done():
                future.set_exception(Unavailable(f"the connection to {self.address} broke: {why}", unknown=True))
        connection.pending.clear()
        current = connection is self._connection
        until = self._loop.time() + self.connect_wait_s
        for data, future, deadline, timeout_s in unsent:
            if current and not self._closed:
                self._waiting.append((data, future, min(until, deadline), timeout_s))
            else:
                self._refuse(future)
        if not current:
            return
        self._connection = None
        if self._closed:
            return
        log.warning("connection lost", extra={"address": str(self.address), "error": why})
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
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """Refuse what is past its deadline; give up a connection that is silent while answers are due."""
        self._timer = None
        now, due = self._loop.time(), math.inf
        for _, future, until, _ in self._waiting:
            if until <= now:
                self._refuse(future)
            else:
                due = min(due, until)
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        connection = self._connection
        if connection is not None:
            connection.withdraw(now)
            for future, deadline, timeout_s in connection.pending:
                if deadline > now:
                    due = min(due, deadline)
                elif not future.done():
                    text = f"no answer from {self.address} within {timeout_s:g} s"
                    future.set_exception(Unavailable(text, unknown=True))
            if connection.pending:
                _, deadline, timeout_s = connection.pending[0]
                patience = max(self.timeout_s, timeout_s)
                silent_until = max(connection.heard, deadline - timeout_s) + patience
                if silent_until <= now:
                    connection.drop(f"silent for {patience:g} s")
                    return
                due = min(due, silent_until)
        if due < math.inf:
            self._timer = self._loop.call_at(due, self._look)
