"""The whole server: the embedded data server or a topology, what the first start needs, and one or several doors.

The only place where these are put together. `Server` starts them in order and ends them in the opposite one; signals
and options are `commands.serve`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from typing import NamedTuple

import msgspec

from qserver.store.embedded import Embedded

from . import provision
from .config import Settings
from .doors import Doors, listen, open_store
from .logs import Writer
from .workers import Workers

log = logging.getLogger(__name__)


class Started(NamedTuple):
    """What a person at the console is told. `admin_token`: "" when none was made; `links`: of the demo's screens."""

    url: str
    admin_token: str
    links: list[tuple[provision.Screen, str]]


class Server:
    """A server as `qserver serve` runs it. One use each: `start`, `wait`, `stop`."""

    def __init__(self, settings: Settings, writer: Writer | None = None) -> None:
        self.settings = settings
        self.port = 0
        self._writer = writer
        self._over = asyncio.Event()
        self._open = contextlib.AsyncExitStack()
        self._doors: Doors | None = None
        self._workers: Workers | None = None

    @property
    def url(self) -> str:
        """Where it is reached; for an address that means all, this machine's own one."""
        scheme = "https" if self.settings.tls_cert else "http"
        host = reachable(self.settings.host)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> Started:
        """Start everything; it serves when this returns.

        Raises QserverError (the data directory, the port, a certificate or a hall file cannot be used) and ValueError
        (the data server was first used with another number of partitions).
        """
        settings = self.settings
        try:
            bound = listen(settings.host, settings.port, shared=settings.workers > 1)
            self._open.callback(bound.close)
            self.port = bound.getsockname()[1]
            redis_url = settings.redis_url or await self._embedded()
            admin_token, links = await self._provision(redis_url)
            if settings.workers == 1:
                doors = Doors(settings, bound, self._writer)
                await doors.start(redis_url)
                self._doors = doors
                self._open.push_async_callback(doors.stop)
            else:  # our own socket only holds the port for them
                workers = Workers(
                    msgspec.structs.replace(
                        settings,
                        port=self.port,
                        redis_url=redis_url,
                        admin_token="",
                        data_dir=str(settings.archive.parent) if settings.archive else "",
                    )
                )
                await workers.start()
                self._workers = workers
                self._open.push_async_callback(workers.stop)
        except BaseException:
            await self._open.aclose()
            raise
        log.info("serving", extra={"url": self.url, "workers": settings.workers})
        return Started(self.url, admin_token, [(screen, self.url + link) for screen, link in links])

    async def _embedded(self) -> str:
        embedded = Embedded(self.settings.directory)
        await embedded.start()
        self._open.push_async_callback(embedded.stop)
        return embedded.url

    async def _provision(self, redis_url: str) -> tuple[str, list[tuple[provision.Screen, str]]]:
        store = await open_store(redis_url, self.settings.partitions)
        try:
            token = await provision.admin_token(store, self.settings)
            if not self.settings.redis_url:
                await provision.free_webhooks(store)
            for hall in await provision.renew_halls(store):
                log.info("hall compiled anew", extra={"hall": hall})
            for hall in await provision.apply_halls(store, self.settings):
                log.info("hall applied", extra={"hall": hall})
            return token, await provision.demo_links(store) if self.settings.demo else []
        finally:
            await store.close()

    def ask_to_stop(self) -> None:
        """Let `wait` return."""
        self._over.set()

    async def wait(self) -> None:
        """Wait until somebody asks to stop."""
        await self._over.wait()

    def renew_certificate(self) -> None:
        """Read certificate and key again, for connections from now on."""
        if self._doors is not None:
            self._doors.renew_certificate()
        if self._workers is not None:
            self._workers.signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End everything: screens are sent away (4001), requests finished, the embedded data server stopped last."""
        self._over.set()
        await self._open.aclose()


def reachable(host: str) -> str:
    """A name under which this machine is reached when it listens on `host`."""
    if host not in ("", "0.0.0.0", "::"):
        return host
    # Which of the machine's addresses leads out; connecting a datagram socket sends nothing.
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"
