"""The floor of the command path: an aiohttp server whose POST handler does nothing but read the body.

On uvloop, without an access log, as the product runs its own; `product.Floor` runs it as a child.
"""

from __future__ import annotations

import asyncio
import signal

import uvloop
from aiohttp import web


async def nothing(request: web.Request) -> web.Response:
    """Takes the body and answers."""
    await request.read()
    return web.Response(body=b"{}", content_type="application/json")


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    app = web.Application()
    app.router.add_post("/{rest:.*}", nothing)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await over.wait()
    await runner.cleanup()


def main(port: int) -> None:
    """The whole of the process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(port))
