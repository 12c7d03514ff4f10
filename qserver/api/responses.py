"""Answers as bytes: heads that never change are made once, and a whole answer is one write.

aiohttp's own Response builds, fills in and serialises a header map per answer; that costs more than the command
behind it. `Written` gives aiohttp an answer that already is its bytes.
"""

from __future__ import annotations

import http
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11
from aiohttp.web_request import BaseRequest

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

SECURITY: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer, pages' too. Ticket links carry their secret in the path, so no page tells its address."""
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; media-src 'self'; "
    "connect-src 'self' ws: wss:; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content security policies: of answers, which never are pages, and of our pages, which load nothing from elsewhere."""


def page_headers() -> dict[str, str]:
    """What a page's answer carries besides its type."""
    return {**SECURITY, "Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    reason = http.HTTPStatus(status).phrase
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


_EMPTY: Final = frozenset({204, 304})
"""Answers that have no body by their meaning, so no length either."""
_PAGES: Final = frozenset({"text/html; charset=utf-8"})
_heads: dict[tuple[int, str], bytes] = {}
_date: tuple[int, bytes] = (0, b"")


def _api_head(status: int, content_type: str) -> bytes:
    head = _heads.get((status, content_type))
    if head is None:
        policy = API_POLICY if content_type not in _PAGES else PAGE_POLICY
        headers = {**SECURITY, "Content-Security-Policy": policy, "Cache-Control": "no-store"}
        if content_type:
            headers["Content-Type"] = content_type
        head = _heads[status, content_type] = _head(status, headers)
    return head


def _dated() -> bytes:
    """The Date line, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
    return _date[1]


class Written(web.StreamResponse):
    """An answer that is its bytes: `head` ends a line, `body` follows. `close` ends the connection after it."""

    def __init__(self, status: int, head: bytes, body: bytes, *, close: bool = False) -> None:
        self._status = status
        self._head = head
        self.content = body
        self.closes = close
        self._keep_alive = None

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Writes the whole answer; aiohttp calls this where it would write the head."""
        keep = self._keep_alive = not self.closes and request.keep_alive and request.version >= HttpVersion11
        writer = request.writer
        await writer.write(self.whole(keep, request.method == "HEAD"))
        await writer.drain()  # a client that sends on and never reads must not fill our memory
        self._eof_sent = True
        return writer

    def whole(self, keep: bool = True, bodiless: bool = False) -> bytes:
        """All bytes of the answer. `keep`: the connection goes on; `bodiless`: only the head was asked for."""
        body = self.content
        length = b"" if self._status in _EMPTY else b"Content-Length: %d\r\n" % len(body)
        end = b"\r\n" if keep else b"Connection: close\r\n\r\n"
        return b"".join((self._head, _dated(), length, end, b"" if bodiless else body))

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


def answer(
    status: int,
    body: bytes,
    content_type: str = JSON,
    headers: Mapping[str, str] | None = None,
    *,
    close: bool = False,
) -> Written:
    """An answer of the API. `headers` come on top of those that every answer has."""
    head = _api_head(status, content_type)
    if headers:
        head += "".join(f"{name}: {_one_line(value)}\r\n" for name, value in headers.items()).encode("latin-1")
    return Written(status, head, body, close=close)


def _one_line(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("a header's value is one line of printable ASCII")
    return value
