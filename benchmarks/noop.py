"""The floor of the command path: an aiohttp server whose POST handler does nothing but read the body.

`python -m benchmarks.noop PORT`: on uvloop, without an access log, as the product runs its own; until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys

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
    print("ready", flush=True)
    await over.wait()
    await runner.cleanup()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as main:
        main.run(serve(int(sys.argv[1])))
