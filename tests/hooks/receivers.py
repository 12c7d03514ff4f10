"""A receiver of webhooks on a real socket, which answers as the test says and remembers what came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from aiohttp import web
from multidict import CIMultiDictProxy


class Came(NamedTuple):
    """A request as it came."""

    headers: CIMultiDictProxy[str]
    body: bytes
    path: str

    @property
    def id(self) -> str:
        """The webhook-id."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """The decoded body."""
        return msgspec.json.decode(self.body)

    @property
    def kind(self) -> str:
        """The event's kind."""
        return str(self.event["type"]).removeprefix("qserver.")


Answer = Callable[[Came], Awaitable[web.StreamResponse]]


async def taken(_: Came) -> web.StreamResponse:
    """What a good receiver answers."""
    return web.Response(status=204)


def answering(status: int, **headers: str) -> Answer:
    """Answers with a status and headers (`Retry_After` stands for `Retry-After`)."""

    async def answer(_: Came) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return answer


class Receiver:
    """A receiver; `answer` may be set at any time, `came` is what came so far, in order."""

    def __init__(self, base: str) -> None:
        self._base = base
        self.answer: Answer = taken
        self.came: list[Came] = []
        self.port = 0
        self.request: web.Request | None = None
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"{self._base}:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The ids of what came."""
        return [one.id for one in self.came]

    async def until(self, count: int) -> list[Came]:
        """What came, once so many did."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.came) >= count)
        return self.came

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        came = Came(request.headers, await request.read(), request.path_qs)
        self.request = request
        self.came.append(came)
        async with self._news:
            self._news.notify_all()
        return await self.answer(came)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver for as long as the block runs."""
    receiver = Receiver("https://localhost" if tls else "http://127.0.0.1")
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()
