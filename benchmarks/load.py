"""The load: requests over raw keep-alive connections, in a closed or an open model.

A whole HTTP client would cost more per request than the server it is to fill, so this speaks just enough HTTP/1.1:
requests are bytes made beforehand, an answer is its status and its body. In the closed model each connection gives its
next request when the last one is answered: it finds the rate a server can do. In the open one requests come when they
come, whatever the server does, and their time counts from the instant they were meant for, so a server that stalls
cannot hide what it kept waiting (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns as clock
from typing import Any

Done = Callable[["Connection", int, bytes], None]


def request(method: str, path: str, body: bytes = b"", token: str = "", key: str = "") -> bytes:
    """A request as bytes, with the head our devices send."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if key:
        lines.append(f"Idempotency-Key: {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method in ("POST", "PUT"):
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One connection with at most one request under way. `done` is told each answer's status and body."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.done: Done = _nobody
        self.since = 0
        self._data = b""
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """A connection that ends with a request under way counts as an answer of status 0."""
        self._lost = True
        if self.since:
            self.done(self, 0, b"")

    def send(self, data: bytes, since: int = 0) -> None:
        """Give a request; `since`: the instant its time counts from, now when 0."""
        self.since = since or clock()
        if self._lost:
            self.done(self, 0, b"")
        else:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Called by the loop; nearly always with one whole answer."""
        if self._data:
            data = self._data + data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            at = data.find(b"Content-Length: ", 0, end)
            length = int(data[at + 16 : data.index(b"\r", at)]) if at >= 0 else 0
            if len(data) >= end + 4 + length:
                self._data = b""
                self.done(self, int(data[9:12]), data[end + 4 :])
                return
        self._data = data


def _nobody(_: Connection, status: int, body: bytes) -> None:
    raise RuntimeError(f"an answer nobody asked for: {status} {body[:200]!r}")


@dataclass
class Run:
    """What came of a run. `spent_ns`: of the answers with a status below 300; `bodies` in the order of the requests.

    `late_ns`: by how much requests of an open model left later than they were meant to, for the load was busy.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    spent_ns: list[int] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    seconds: float = 0.0
    first_refusal: bytes = b""

    @property
    def per_s(self) -> float:
        """How many were done a second, from the first request to the last answer."""
        return self.good / self.seconds

    @property
    def good(self) -> int:
        """How many were done."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def bad(self) -> dict[str, int]:
        """How many were not, by status; 0 is a broken connection."""
        return {str(status): count for status, count in sorted(self.statuses.items()) if not 200 <= status < 300}

    def must_be_good(self) -> Run:
        """Raises RuntimeError unless every request was done: figures of refusals would be no figures."""
        if self.bad:
            raise RuntimeError(f"refused: {self.bad} {self.first_refusal[:300]!r}")
        return self

    def count(self, status: int, body: bytes, spent_ns: int) -> None:
        """One answer."""
        self.statuses[status] += 1
        if 200 <= status < 300:
            self.spent_ns.append(spent_ns)
        elif not self.first_refusal:
            self.first_refusal = body


class Line:
    """Requests that come when they come, over connections of which one may be free."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        # In turn, so that none is idle for so long that the server ends it.
        self._idle = deque(connections)
        self._size = len(connections)
        self._waiting: deque[tuple[bytes, int, Done]] = deque()
        self._all_idle = asyncio.Event()
        self._all_idle.set()

    async def answered(self) -> None:
        """Wait until everything asked so far is answered."""
        await self._all_idle.wait()

    def ask(self, data: bytes, meant_ns: int, done: Done) -> None:
        """Give a request now, or once a connection is free; its time counts from `meant_ns`."""
        self._all_idle.clear()
        if self._idle:
            self._give(self._idle.popleft(), data, meant_ns, done)
        else:
            self._waiting.append((data, meant_ns, done))

    def _give(self, connection: Connection, data: bytes, meant_ns: int, done: Done) -> None:
        def answered(connection: Connection, status: int, body: bytes) -> None:
            done(connection, status, body)
            if self._waiting:
                self._give(connection, *self._waiting.popleft())
            else:
                connection.since = 0
                self._idle.append(connection)
                if len(self._idle) == self._size:
                    self._all_idle.set()

        connection.done = answered
        connection.send(data, meant_ns)


class Pool:
    """Connections to one server. `await Pool.open(port, size)`, runs one after another, `close`."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections

    @classmethod
    async def open(cls, port: int, size: int) -> Pool:
        """Connect, a hundred at a time so that no accept queue overflows."""
        loop = asyncio.get_running_loop()
        made: list[Connection] = []
        while len(made) < size:
            some = range(min(100, size - len(made)))
            pairs = await asyncio.gather(*(loop.create_connection(Connection, "127.0.0.1", port) for _ in some))
            made += [connection for _, connection in pairs]
        return cls(made)

    def close(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.since = 0
            connection.transport.abort()

    async def one(self, data: bytes) -> tuple[int, Any]:
        """One request by itself: its status and its JSON."""
        run = await self.closed([data])
        body = run.bodies[0] or run.first_refusal
        return next(iter(run.statuses)), json.loads(body) if body else None

    async def evenly(self, data: bytes, per_s: float, at_once: int = 1) -> None:
        """This request so many times a second, `at_once` together (as there are connections), until cancelled; then
        close. Raises RuntimeError when it is refused."""
        at = time.monotonic()
        try:
            while True:
                (await self.closed([data] * at_once)).must_be_good()
                at += at_once / per_s
                await asyncio.sleep(max(0.0, at - time.monotonic()))
        finally:
            self.close()

    async def closed(self, requests: Iterable[bytes], *, seconds: float = 0.0) -> Run:
        """Every connection gives one request after another until there are none (or `seconds` are over)."""
        left: Iterator[tuple[int, bytes]] = enumerate(requests)
        run, over, busy = Run(), asyncio.get_running_loop().create_future(), 0
        bodies: dict[int, bytes] = {}
        numbers: dict[Connection, int] = {}
        began = clock()
        ends = began + int(seconds * 1e9) if seconds else 1 << 62

        def give(connection: Connection) -> bool:
            following = next(left, None) if clock() < ends else None
            if following is None:
                connection.since = 0
                return False
            numbers[connection] = following[0]
            connection.send(following[1])
            return True

        def done(connection: Connection, status: int, body: bytes) -> None:
            nonlocal busy
            run.count(status, body, clock() - connection.since)
            if not seconds:
                bodies[numbers[connection]] = body if 200 <= status < 300 else b""
            if not give(connection):
                busy -= 1
                if not busy and not over.cancelled():  # whoever waited may have been stopped
                    over.set_result(None)

        for connection in self._connections:
            connection.done = done
        for connection in self._connections:
            if not give(connection):
                break
            busy += 1
        if busy:
            await over
        run.seconds = (clock() - began) / 1e9
        run.bodies = [bodies[number] for number in sorted(bodies)]
        return run

    def line(self) -> Line:
        """The connections as a line, for requests that are made while it runs."""
        return Line(self._connections)

    async def open_model(self, requests: Sequence[bytes], per_s: float, *, seed: int = 1) -> Run:
        """Give the requests at random instants, `per_s` of them a second; one that finds no connection free waits."""
        run, line = Run(), self.line()
        bodies: dict[int, bytes] = {}
        began = clock()

        def ask(number: int, meant: int) -> None:
            def done(_: Connection, status: int, body: bytes) -> None:
                run.count(status, body, clock() - meant)
                bodies[number] = body if 200 <= status < 300 else b""

            line.ask(requests[number], meant, done)

        async for number, meant in instants(per_s, run.late_ns, seed=seed):
            if number == len(requests):
                break
            ask(number, meant)
        await line.answered()
        run.seconds = (clock() - began) / 1e9
        run.bodies = [bodies[number] for number in sorted(bodies)]
        return run


async def instants(per_s: float, late_ns: list[int], *, seed: int = 1) -> AsyncIterator[tuple[int, int]]:
    """Numbers from 0 with the instants they are meant for (of `time.perf_counter_ns`), each as it comes.

    The gaps are random, `per_s` on average: people do not press in step. What is late is made up for at once; by how
    much goes to `late_ns`, for that much of the times measured is the load's own.
    """
    dice = random.Random(seed)
    meant = clock()
    for number in itertools.count():
        if (ahead := meant - clock()) > 0:
            await asyncio.sleep(ahead / 1e9 + 0.0005)  # the loop's timers count whole ms: late rather than early
        late_ns.append(max(0, clock() - meant))
        yield number, meant
        meant += int(dice.expovariate(per_s) * 1e9)
