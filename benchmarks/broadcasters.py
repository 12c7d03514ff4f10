"""What others do for a fan-out, as child processes: `websockets.broadcast`, and aiohttp's `send_bytes` per client."""

from __future__ import annotations

import asyncio
import time

import uvloop
from aiohttp import web
from websockets.asyncio.server import ServerConnection, broadcast, serve

SIZE = 120


def by_websockets(port: int, every_ms: int) -> None:
    """The websockets library's own broadcast."""

    async def main() -> None:
        known: set[ServerConnection] = set()

        async def handler(connection: ServerConnection) -> None:
            known.add(connection)
            try:
                async for _ in connection:
                    pass
            finally:
                known.discard(connection)

        async with serve(handler, "127.0.0.1", port, compression=None, ping_interval=None):
            next_at = time.monotonic()
            while True:
                broadcast(known, bytes(SIZE))
                next_at += every_ms / 1000
                await asyncio.sleep(max(0.0, next_at - time.monotonic()))

    uvloop.run(main())


def by_aiohttp(port: int, every_ms: int) -> None:
    """One awaited `send_bytes` after another."""

    async def main() -> None:
        known: set[web.WebSocketResponse] = set()

        async def handler(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(compress=False)
            await socket.prepare(request)
            known.add(socket)
            async for _ in socket:
                pass
            known.discard(socket)
            return socket

        app = web.Application()
        app.router.add_get("/ws", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        next_at = time.monotonic()
        while True:
            for socket in list(known):
                await socket.send_bytes(bytes(SIZE))
            next_at += every_ms / 1000
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))

    uvloop.run(main())


def nothing(port: int, every_ms: int) -> None:
    """Sockets that are held, and that is all."""

    class Held(asyncio.Protocol):
        __slots__ = ("transport",)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """Keeps it."""
            self.transport = transport

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Held, "127.0.0.1", port, backlog=4096)
        await server.serve_forever()

    uvloop.run(main())
