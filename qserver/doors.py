"""The rooms of one server process, built and wired: store, who is asking, time, screens, feed, and the port.

`Doors` opens them in the order they need each other and closes them in the opposite one. It holds no truth: it may be
cut off at any line. What the whole server is made of beyond one process stands in `server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

from qserver.api.access_log import AccessLog
from qserver.api.app import application
from qserver.api.limits import Limits
from qserver.api.pages import pages
from qserver.api.runner import Runner
from qserver.archive.archiver import Archiver
from qserver.archive.shelf import Shelf
from qserver.auth.authenticator import Authenticator
from qserver.auth.login import Terms
from qserver.domain.errors import QserverError, Unavailable
from qserver.feed.trim import Trimmer
from qserver.hooks.hooks import Hooks
from qserver.push import Push
from qserver.store.store import Store
from qserver.store.topology import Topology
from qserver.sweep import Sweep

from .config import Settings
from .logs import Writer

BACKLOG = 4096
"""Connections the kernel accepts for us before we do: a whole hall that comes back at once waits in line."""
SHUTDOWN_S = 3.0
"""How long requests that are being worked on may take to end."""
COLLECT_AFTER = (7_000, 10, 10)
"""The collector's thresholds. Requests leave few cycles behind, and Python's own 700 made it 3 % of their cost."""
_RETRY_S = 0.5

log = logging.getLogger(__name__)


class ListenError(QserverError):
    """The port cannot be listened on."""


class ArchiveError(QserverError):
    """The archive's directory cannot be used."""


async def open_store(url: str, partitions: int, *, name: str = "qserver") -> Store:
    """A started store. A data server that is away is waited for as long as it takes.

    Raises ValueError when the data server was first used with another number of partitions.
    """
    topology = Topology.from_url(url, name=name)
    told = ""
    while True:
        store = Store(topology, partitions)
        try:
            await topology.open()
            await store.start()
            return store
        except Unavailable as error:
            if str(error) != told:
                told = str(error)
                log.warning("waiting for the data server", extra={"error": told})
            await topology.close()
            topology = Topology.from_url(url, name=name)
            await asyncio.sleep(_RETRY_S)
        except BaseException:
            await topology.close()
            raise


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket bound to the address, not yet listening; `shared`: other processes may bind it too.

    Raises ListenError.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                # `::` means every address of the machine, the older ones too.
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            bound.bind(where)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ListenError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error
    return bound


def tls(settings: Settings) -> ssl.SSLContext | None:
    """The server's side of TLS, None without a certificate. Raises ListenError when the files do not fit."""
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, settings)
    return context


def load_certificate(context: ssl.SSLContext, settings: Settings) -> None:
    """Take up certificate and key as they stand in their files now. Raises ListenError."""
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"certificate {settings.tls_cert} and key {settings.tls_key}: {error}") from error


def _shelf(directory: Path) -> Shelf:
    """The archive in a directory, opened. Raises ArchiveError."""
    shelf = Shelf(directory)
    try:
        shelf.open()
    except (OSError, ValueError) as error:
        raise ArchiveError(f"the archive {directory} cannot be used: {error}") from error
    return shelf


def raise_file_limit() -> int:
    """Let this process hold as many sockets as the system allows it; answers how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft


class Doors:
    """The rooms of this process. `start` opens them, `stop` closes them; one use each.

    `bound` is the socket to listen on; it is closed with the doors. `writer` takes the access log's lines.
    """

    def __init__(self, settings: Settings, bound: socket.socket, writer: Writer | None = None) -> None:
        self._settings = settings
        self._bound = bound
        self._writer = writer
        self._context: ssl.SSLContext | None = None
        self._site: web.SockSite | None = None
        self._push: Push | None = None
        self._draining = False
        self._open = contextlib.AsyncExitStack()

    async def start(self, url: str) -> None:
        """Open everything on the data server at `url` and listen. Raises ListenError, ArchiveError, ValueError."""
        settings = self._settings
        try:
            self._context = tls(settings)
            raise_file_limit()
            store = await open_store(url, settings.partitions)
            self._open.push_async_callback(store.close)
            authenticator = Authenticator(store)
            await authenticator.start()
            self._open.push_async_callback(authenticator.close)
            self._push = push = Push(store, authenticator)
            await push.start()
            self._open.push_async_callback(push.stop)
            shelf, archiver = None, None
            if settings.archive is not None:  # before the sweep, which lets go of what no archive waits for
                shelf = _shelf(settings.archive)
                archiver = Archiver(store, shelf)
                await archiver.start()
                self._open.push_async_callback(archiver.stop)
            sweep = Sweep(store)
            await sweep.start()
            self._open.push_async_callback(sweep.stop)
            trimmer = Trimmer(store)
            trimmer.start()
            self._open.push_async_callback(trimmer.stop)
            hooks = Hooks(store, settings.webhook_targets)
            await hooks.start()
            self._open.push_async_callback(hooks.stop)
            app = application(
                store,
                authenticator,
                archive=shelf,
                limits=Limits(
                    settings.rate_limit_per_token,
                    settings.rate_limit_per_address,
                    settings.requests_in_flight,
                    settings.login_rate_per_minute,
                ),
                terms=Terms(settings.session_s * 1000, settings.login_wrong_max, settings.login_lock_s * 1000),
                websocket=push.handler,
                pages=pages(),
                metrics=(
                    push.metrics,
                    sweep.metrics,
                    trimmer.metrics,
                    hooks.metrics,
                    *([archiver.metrics] if archiver is not None else []),
                    self._own_metrics,
                ),
                access_log=self._access_log(),
                draining=lambda: self._draining,
                hooks=hooks,
            )
            runner = Runner(app, shutdown_timeout=SHUTDOWN_S)
            await runner.setup()
            self._open.push_async_callback(runner.cleanup)
            self._site = web.SockSite(runner, self._bound, ssl_context=self._context, backlog=BACKLOG)
            await self._site.start()
        except BaseException:
            await self.stop()
            raise
        # What stands now stands until the end: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)

    async def stop(self) -> None:
        """Take nobody in any more, send the screens away (4001), end what is being worked on, close everything."""
        self._draining = True
        if self._site is not None:
            await self._site.stop()
            self._site = None
        if self._push is not None:
            await self._push.drain()
            self._push = None
        await self._open.aclose()
        self._bound.close()

    def renew_certificate(self) -> None:
        """Read certificate and key again, for connections from now on."""
        if self._context is None:
            return
        try:
            load_certificate(self._context, self._settings)
            log.info("certificate read again")
        except ListenError as error:
            log.error("the old certificate stays", extra={"error": str(error)})

    def _access_log(self) -> AccessLog | None:
        if self._writer is None:
            return None
        return AccessLog(self._writer.write, sample=self._settings.access_log_sample)

    def _own_metrics(self) -> Iterator[str]:
        if self._writer is not None:
            yield from self._writer.metrics()
