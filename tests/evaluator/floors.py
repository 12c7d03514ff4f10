"""A whole hall on a real port for pads: interface and sockets over a real data server.

`Floor`: the hall h1; `serve()` finishes a service, so that its window's pad may ask. The server can be taken away and
put back on the same port.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import msgspec
from aiohttp import web

from qserver.api.app import application
from qserver.api.limits import Limits
from qserver.auth.authenticator import Authenticator
from qserver.auth.secrets import digest, token_text
from qserver.domain import ticket as public
from qserver.domain.events import Event
from qserver.push import Push, PushConfig
from qserver.store.answers import SYSTEM
from qserver.store.store import Store


class Floor:
    """The hall and its server."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.port = 0
        self.authenticator = Authenticator(store)
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Serves, on the same port as before if it did."""
        self.authenticator = Authenticator(self.store)
        await self.authenticator.start()
        self._stack.push_async_callback(self.authenticator.close)
        push = Push(self.store, self.authenticator, config=PushConfig(hb_ms=200, retry_ms=(0, 50)))
        await push.start()
        limits = Limits(per_token=0, per_address=0)
        runner = web.AppRunner(
            application(self.store, self.authenticator, limits=limits, websocket=push.handler), access_log=None
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        self._stack.push_async_callback(push.stop)
        self._stack.push_async_callback(push.drain)
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]

    async def shut(self) -> None:
        """Takes the server away; the data stays."""
        await self._stack.aclose()

    async def token(self, role: str = "pad", window: str = "w1") -> str:
        name = f"{role}-{window}"
        text = token_text(self.store.server_key, name)
        await self.store.create_token(SYSTEM, token_id=name, role=role, hall="h1", window=window, digest=digest(text))
        return text

    async def serve(self, window: str = "w1", service: str = "a") -> public.Ticket:
        """A ticket finished at the window."""
        await self.store.issue(SYSTEM, "h1", service)
        await self.store.call(SYSTEM, "h1", window)
        await self.store.begin_service(SYSTEM, "h1", window)
        return (await self.store.finish(SYSTEM, "h1", window)).value

    async def score(self, ticket: public.Ticket) -> int | None:
        """How the ticket was rated."""
        rating = (await self.store.ticket("h1", ticket.id)).rating
        return rating.score if rating else None

    async def ratings(self) -> dict[str, int]:
        """How often a rating was recorded, by ticket."""
        found: dict[str, int] = {}
        after = "-"
        while entries := await self.store.read_events(self.store.partition("h1"), after):
            after = entries[-1][0].decode()
            for _, fields in entries:
                if b"rating.recorded" in fields.get(b"e", b""):
                    ticket = msgspec.msgpack.decode(fields[b"e"], type=Event).ticket
                    found[ticket] = found.get(ticket, 0) + 1
        return found
