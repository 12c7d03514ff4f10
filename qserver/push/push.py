"""Push as the server builds it: hub, roster and admission wired together behind the handler of `GET /ws`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import msgspec
from aiohttp import web

from qserver.auth.authenticator import Authenticator
from qserver.store.store import Store
from qserver.wire.codecs import JSON
from qserver.wire.messages import Close, Hello

from .admission import Admission
from .channel import Tools
from .clock import Clock
from .config import PushConfig
from .devices import Devices
from .hub import Hub
from .metrics import Meter
from .roster import Roster
from .socket import Socket, tune
from .upgrade import Refused, Upgraded, agree, take_over
from .uring import opened

log = logging.getLogger(__name__)


class Push:
    """Tells every screen. Open with `start`, then serve `handler`; `drain` and `stop` at the end."""

    def __init__(self, store: Store, authenticator: Authenticator, *, config: PushConfig | None = None) -> None:
        self.config = config or PushConfig()
        self.meter = Meter()
        clock = Clock()
        self._authenticator = authenticator
        self._devices = Devices(store)
        self._roster = Roster(self.config, clock, self.meter, self._devices)
        self._ring = opened(self.config.chunk) if self.config.together else None
        self._hub = Hub(store, Tools(self.config, clock, self.meter, self._ring))
        self._admission = Admission(store, authenticator, self._hub, self._roster)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to read and to serve."""
        self._authenticator.on_revoked(self._roster.revoked)
        self._hub.feed.start()
        self._devices.start()
        self._admission.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._beat()), loop.create_task(self._watch())]

    async def drain(self) -> None:
        """Sends every client away (4001) and takes no more."""
        await self._roster.drain()

    async def stop(self) -> None:
        """Cuts what is left and ends all tasks."""
        self._roster.draining = True
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._admission.stop()
        for socket in list(self._roster.sockets):
            socket.transport.abort()
        await self._hub.stop()
        if self._ring is not None:
            self._ring.close()
        await self._devices.stop()

    async def handler(self, request: web.Request) -> web.StreamResponse:
        """`GET /ws`."""
        try:
            if self._roster.draining:
                raise Refused(503, "the server is stopping")
            answer, codec = agree(request)
        except Refused as refused:
            return _problem(refused)

        def make(transport: asyncio.Transport) -> Socket:
            tune(transport, self.config)
            socket = Socket(self, codec or JSON, transport)
            self._roster.add(socket)
            if codec is None:
                socket.bye(Close.VERSION)
            return socket

        with contextlib.suppress(ConnectionError):
            take_over(request, answer, make)
        return Upgraded()

    def devices(self, hall: str) -> list[dict[str, object]]:
        """The named devices of a hall that are connected to this process, with lag and silence."""
        return self._roster.devices(hall, asyncio.get_running_loop().time())

    def metrics(self) -> Iterator[str]:
        """Prometheus lines."""
        yield from self._roster.lines()
        yield "# HELP qserver_push_waiting sockets that said hello and wait for their welcome"
        yield "# TYPE qserver_push_waiting gauge"
        yield f"qserver_push_waiting {len(self._admission)}"
        yield from self.meter.lines()

    # What sockets ask of the door

    def asked(self, socket: Socket, hello: Hello) -> None:
        """A socket said hello: it gets in line."""
        self._admission.enter(socket, hello)

    def closing(self, socket: Socket, code: int) -> None:
        """The server ends a socket."""
        self._roster.closing(socket, code)

    def gone(self, socket: Socket) -> None:
        """A socket is no more."""
        self._roster.gone(socket)

    def retry_ms(self) -> tuple[int, int]:
        """When clients that are sent away now may come back."""
        return self._roster.retry_ms()

    # Timers: one for all heartbeats, one for all terms

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            at = max(at + self.config.hb_ms / 1000, loop.time())
            await asyncio.sleep(at - loop.time())
            await self._hub.beat()
            self._hub.tidy(loop.time())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self.config.hb_ms / 1000))
            self._roster.check(loop.time())


def _problem(refused: Refused) -> web.Response:
    """A refused upgrade, in the form of all our errors."""
    headers = {"Upgrade": "websocket"} if refused.status == 426 else {}
    if refused.status == 503:
        headers["Retry-After"] = "1"
    code = "unavailable" if refused.status == 503 else "validation"
    title = "the service cannot answer right now" if refused.status == 503 else "no WebSocket"
    body = {"type": "about:blank", "title": title, "status": refused.status, "detail": str(refused), "code": code}
    return web.Response(
        status=refused.status, body=msgspec.json.encode(body), content_type="application/problem+json", headers=headers
    )
