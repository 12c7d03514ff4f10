"""Sockets that only count what comes, for measuring whoever sends: the same light readers for product and floors.

A reader that decodes would be slower than the sender and so make it cheaper, for a sleeping reader is woken less often.
What is sent first (a handshake, a hello) is made beforehand; boards also give their sign of life.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import uvloop

from .common import on_core, raise_file_limit

REQUEST = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
)
"""A handshake; `more`: further head lines, each with its end."""


def frame(message: dict[str, Any]) -> bytes:
    """A client's binary frame, masked with zeros, which is a mask too."""
    payload = msgspec.msgpack.encode(message)
    length = len(payload)
    head = bytes((0x82, 0x80 | length)) if length < 126 else b"\x82\xfe" + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


def board(token: str, hall: str) -> bytes:
    """What a hall board sends first, its hello right behind the handshake."""
    more = "Sec-WebSocket-Protocol: qserver.v1.msgpack\r\n"
    return REQUEST.format(more=more).encode() + frame({"t": "hello", "token": token, "hall": hall, "topic": "board"})


ACK = frame({"t": "ack", "s": 0})


class Sink(asyncio.Protocol):
    """One socket. `until`: bytes after which it counts as served; `bytes` since then. `heard` gets what comes then."""

    __slots__ = ("_data", "_first", "_until", "bytes", "heard", "lost", "served", "transport")

    def __init__(self, first: bytes, until: bytes) -> None:
        self.transport: Any = None
        self.bytes = 0
        self.heard: Callable[[bytes], None] | None = None
        self.lost = False
        self.served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first, self._until, self._data = first, until, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says what is to be said first."""
        self.transport = transport
        if self._first:
            self.transport.write(self._first)
        if not self._until:
            self.served.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Counts."""
        if self._until:
            self._data += data
            if self._until in self._data:
                self._data = self._until = b""
                self.served.set_result(None)
            return
        self.bytes += len(data)
        if self.heard is not None:
            self.heard(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Notes that it ended."""
        self.lost = True
        if not self.served.done():
            self.served.set_exception(ConnectionError(f"not served: {self._data[:200]!r} {error or ''}"))


class Sinks:
    """So many of them. Closed on exit. `acks`: they give signs of life, as boards do, if they said anything first."""

    def __init__(
        self, port: int, count: int, first: bytes = b"", until: bytes = b"", *, at_once: int = 200, acks: bool = True
    ) -> None:
        self.all: list[Sink] = []
        self._at_once, self._acking = at_once, acks and bool(first)
        self._port, self._count, self._first, self._until = port, count, first, until
        self._alive: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Sinks:
        loop = asyncio.get_running_loop()

        async def one() -> None:
            _, sink = await loop.create_connection(lambda: Sink(self._first, self._until), "127.0.0.1", self._port)
            self.all.append(sink)
            await sink.served

        for begin in range(0, self._count, self._at_once):
            await asyncio.gather(*(one() for _ in range(min(self._at_once, self._count - begin))))
        if self._acking and self.all:
            self._alive = loop.create_task(self._acks())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._alive is not None:
            self._alive.cancel()
        for sink in self.all:
            sink.transport.abort()

    @property
    def bytes(self) -> int:
        """All bytes so far; raises RuntimeError when a socket was lost."""
        if any(sink.lost for sink in self.all):
            raise RuntimeError(f"{sum(sink.lost for sink in self.all)} sockets were lost")
        return sum(sink.bytes for sink in self.all)

    async def _acks(self) -> None:
        """Signs of life, spread over the heartbeat."""
        step = max(1, len(self.all) // 45)
        while True:
            for begin in range(0, len(self.all), step):
                for sink in self.all[begin : begin + step]:
                    sink.transport.write(ACK)
                await asyncio.sleep(0.1)


def hold(port: int, count: int, token: str, hall: str) -> None:
    """A process that holds so many boards until it is killed; says `held` when all are served."""

    async def main() -> None:
        async with Sinks(port, count, board(token, hall), b"snapshot"):
            print("held", flush=True)
            await asyncio.Event().wait()

    raise_file_limit()
    uvloop.run(main())


@contextlib.asynccontextmanager
async def held(core: int, port: int, count: int, token: str, hall: str) -> AsyncIterator[None]:
    """So many boards in a process of their own on this core."""
    code = f"import benchmarks.sinks as s; s.hold({port}, {count}, {token!r}, {hall!r})"
    with on_core(core):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        if b"held" not in await process.stdout.readline():
            raise RuntimeError("the boards were not served")
        yield
    finally:
        process.kill()
        await process.wait()
