"""One attempt to deliver: a POST whose answer is a number. The only place here that speaks HTTP.

Nothing of the other side is trusted: no redirect is followed, no cookie kept, nothing unpacked, its body is not looked
at. Every address is judged when the connection is made, whatever a name led to before.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

import qserver

from . import targets
from .schedule import retry_after_ms
from .tally import Outcome

TIMEOUT_S: Final = 15.0
"""For everything from looking up the name to the answer's head; the specification asks for 15 to 30 s."""
CONTENT_TYPE: Final = "application/cloudevents+json"
_BODY_MAX: Final = 16 * 1024
"""So much of an answer's body is passed over to keep the connection, if it comes within `_BODY_S`."""
_BODY_S: Final = 1.0
_KEEP_S: Final = 30.0


class Refused(OSError):
    """The address is none that we may connect to."""


class Post:
    """Sends, for one process. `reach`: which addresses are allowed. Close it."""

    def __init__(self, reach: targets.Reach = "public", *, timeout_s: float = TIMEOUT_S) -> None:
        self.reach = reach
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Ends the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, url: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> Outcome:
        """Posts a body; never raises. `now_ms` is what a date in `Retry-After` is compared with."""
        began = time.monotonic()
        status, error, rest_ms = 0, "", 0
        try:
            async with (
                asyncio.timeout(self._timeout_s) as bound,
                self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
                if not 200 <= status < 300:
                    error = f"answered {status}"
                    rest_ms = retry_after_ms(answer.headers.get("Retry-After", ""), now_ms)
                bound.reschedule(asyncio.get_running_loop().time() + _BODY_S)
                await _pass_over(answer.content)
        except Exception as failure:  # whatever a library makes of what the other side sends, it ends here
            if not status:
                error = _words(failure)
        return Outcome(status, error, rest_ms, int((time.monotonic() - began) * 1000))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # bounded where the attempts are begun, so that no receiver waits for another's connections
                resolver=Resolver(),
                ttl_dns_cache=10,
                keepalive_timeout=_KEEP_S,
                socket_factory=self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                headers={
                    "User-Agent": f"qserver/{qserver.__version__}",
                    "Content-Type": CONTENT_TYPE,
                    "Accept": "*/*",
                    "Accept-Encoding": "identity",
                },
            )
        return self._session

    def _socket(self, found: tuple[Any, ...]) -> socket.socket:
        """Makes the socket for an address, if it is allowed. Raises Refused."""
        family, kind, protocol, _, address = found
        if not targets.allowed(str(address[0]), self.reach):
            raise Refused(targets.closed(self.reach))
        return socket.socket(family, kind, protocol)


class Resolver(AbstractResolver):
    """Looks names up, each in a thread of its own: one that hangs holds up neither others nor the process's end."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def settle(rows: list[Any], error: OSError | None) -> None:
            if found.done():
                return
            if error is None:
                found.set_result(rows)
            else:
                found.set_exception(error)

        def look_up() -> None:
            rows, failure = [], None
            try:
                rows = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except OSError as error:
                failure = error
            except UnicodeError:
                failure = socket.gaierror(socket.EAI_NONAME, "not a name")
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(functools.partial(settle, rows, failure))

        threading.Thread(target=look_up, name="look up", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await found
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def _pass_over(body: aiohttp.StreamReader) -> None:
    """Reads a body that is small, so that the connection can serve again; with more in it, it will be closed."""
    left = _BODY_MAX
    while left > 0 and (chunk := await body.read(left)):
        left -= len(chunk)


def _words(failure: Exception) -> str:
    """What went wrong, in words that tell nothing of the URL."""
    cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    if isinstance(cause, Refused):
        return str(cause)
    for kind, words in _WORDS:
        if isinstance(failure, kind) or isinstance(cause, kind):
            return words
    return "the exchange broke off"


_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (TimeoutError, "no answer in time"),
    (aiohttp.ClientConnectorDNSError, "the name cannot be looked up"),
    (aiohttp.ClientConnectorCertificateError, "the certificate is not trusted"),
    (aiohttp.ClientSSLError, "TLS cannot be agreed on"),
    (ConnectionRefusedError, "the connection is refused"),
    (aiohttp.ClientConnectorError, "cannot connect"),
    (aiohttp.ServerDisconnectedError, "hung up without an answer"),
    (aiohttp.InvalidURL, "this is not a URL"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
)
