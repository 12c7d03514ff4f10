"""The upgrade of an HTTP request to a WebSocket, done by hand: one answer, and the transport is ours.

aiohttp serves the one port and parses the request; its own WebSocket would keep a task, a reader and a writer per
client. It lets go of the connection here, and everything of the request is freed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler
from websockets.utils import accept_key

from qserver.wire.codecs import Codec, choose


class Refused(Exception):
    """The request is no upgrade we can answer; `status` is HTTP's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Upgraded(web.StreamResponse):
    """What the handler gives back to aiohttp when the connection is no longer its own: nothing to send."""

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Does nothing: the answer was written."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Does nothing."""


class _Tail:
    """Collects what the client sent right behind its request."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing follows."""


def agree(request: web.BaseRequest) -> tuple[bytes, Codec | None]:
    """The answer to an upgrade request, and the codec both sides speak (None: none in common). Raises Refused."""
    headers = request.headers
    if request.method != "GET" or headers.get("Upgrade", "").lower() != "websocket":
        raise Refused(426, "this address speaks WebSocket only")
    if "upgrade" not in {part.strip().lower() for part in headers.get("Connection", "").split(",")}:
        raise Refused(400, "Connection: Upgrade is missing")
    if headers.get("Sec-WebSocket-Version") != "13":
        raise Refused(426, "WebSocket version 13 only")
    key = headers.get("Sec-WebSocket-Key", "")
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise Refused(400, "Sec-WebSocket-Key is no key")
    except binascii.Error as error:
        raise Refused(400, "Sec-WebSocket-Key is no key") from error
    offered = [name.strip() for line in headers.getall("Sec-WebSocket-Protocol", []) for name in line.split(",")]
    codec = choose(offered)
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key)}",
    ]
    if codec is not None:
        lines.append(f"Sec-WebSocket-Protocol: {codec.name}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), codec


def take_over(request: web.BaseRequest, answer: bytes, make: Callable[[asyncio.Transport], asyncio.Protocol]) -> None:
    """Answers the upgrade and gives the connection to the protocol that `make` makes. Raises ConnectionError."""
    http: RequestHandler = request.protocol  # type: ignore[type-arg, assignment, unused-ignore]
    transport = http.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    transport.write(answer)
    tail = _Tail()
    http.set_parser(tail)  # type: ignore[arg-type]  # asks for feed_data and feed_eof only
    http.transport = None  # else it would close the connection when it lets go of it
    http.connection_lost(None)
    protocol = make(transport)
    transport.set_protocol(protocol)
    if not transport.is_reading():
        transport.resume_reading()
    if tail.data:
        protocol.data_received(tail.data)
