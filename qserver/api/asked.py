"""A request as the frame sees it, and the short way to one: from the bytes of a connection, past aiohttp's machinery.

Devices give nearly every command in one segment: a plain head and a small body, whole. aiohttp makes a task, a header
map, a URL, a stream, a writer and a request of that, and this costs more than the command does. `whole` reads such
bytes by one strict pattern; whatever it does not match - chunks, pieces, a name twice, anything unusual - is left to
aiohttp's parser, so no request is ever read in two ways. No connections here; `runner` has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec
from aiohttp import web
from aiohttp.streams import StreamReader

from qserver.remembered import Remembered

HEAD_MAX: Final = 8000
"""A longer head is aiohttp's, with its bounds."""

_START: Final = re.compile(rb"(GET|POST|PUT|DELETE) (/[A-Za-z0-9/._~%-]*)(?:\?([A-Za-z0-9/._~%&=:,+-]*))? HTTP/1\.1")
_LINE: Final = re.compile(rb"([A-Za-z0-9-]+):([\x20-\x7e\t]*)")
LINES_MAX: Final = 64
"""A head with more lines, not counting the Idempotency-Key's, is aiohttp's."""
_ODD: Final = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer", "content-encoding"})
"""Heads with one of these are aiohttp's."""


class Head(msgspec.Struct, frozen=True):
    """What stands between a request's first line and its body: names of `headers` in lower case.

    The Idempotency-Key is another one with every request, so it is no part of it; unless it was not written as
    `_KEY_LINE` is. `length`: of the body, bytes.
    """

    headers: Mapping[str, str]
    host: str
    length: int


class Origin(NamedTuple):
    """Where requests of a connection come from: address, `http` or `https`, and whether the client has gone."""

    remote: str
    scheme: str
    gone: Callable[[], bool]


class Asked(msgspec.Struct, frozen=True, eq=False):
    """One request. `path` and `query` are as they came, still encoded; `key`: its Idempotency-Key, None without;
    `content`: the whole body, or the stream it still comes from.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # asked for in lower case
    key: str | None
    content: bytes | StreamReader
    app: web.Application
    origin: Origin
    host: str

    @classmethod
    def of(cls, request: web.Request) -> Asked:
        """The request that aiohttp has read."""
        gone = getattr(request.protocol, "gone", None)  # a `runner.Protocol`, unless aiohttp's own runner serves
        origin = Origin(request.remote or "", request.scheme, gone or (lambda: request.transport is None))
        url, headers = request.rel_url, request.headers
        return cls(
            request.method, url.raw_path, url.raw_query_string, headers, headers.get("idempotency-key"),
            request.content, request.app, origin, request.host,
        )  # fmt: skip


_starts: Final = Remembered[bytes, tuple[str, str, str]](4096)
_heads: Final = Remembered[bytes, Head](4096)
_lines: Final = Remembered[bytes, tuple[str, str]](4096)
"""What was read before: a device sends the same head with nearly every request, or one that differs in a line."""
_LONGEST: Final = 256
_LONGEST_HEAD: Final = 1024
"""Longer lines and heads are read anew each time: whoever makes up new ones, of many short lines, fills some 45 MB
and no more."""
_KEY_LINE: Final = b"\r\nIdempotency-Key:"
"""As nearly everybody writes it; written otherwise it makes a head that is not remembered."""


def whole(data: bytes, app: web.Application, origin: Origin) -> Asked | None:
    """The one request that these bytes are, from the first to the last; None when they are anything else."""
    end = data.find(b"\r\n\r\n", 0, HEAD_MAX)
    if end < 0:
        return None
    first_end = data.find(b"\r\n")
    first, rest, key = data[:first_end], data[first_end:end], None
    at = rest.find(_KEY_LINE)
    if at >= 0:
        rest, key = _cut(rest, at)
        if key is None:
            return None
    start, head = _starts.get(first) or _start(first), _heads.get(rest) or _head(rest)
    if start is None or head is None:
        return None
    if "idempotency-key" in head.headers:
        if key is not None:
            return None
        key = head.headers["idempotency-key"]
    content = data[end + 4 :]
    if len(content) != head.length:
        return None
    method, path, query = start
    return Asked(method, path, query, head.headers, key, content, app, origin, head.host)


def _cut(rest: bytes, at: int) -> tuple[bytes, str | None]:
    """The lines of a head without the one behind the line end at `at`, and its value; None when it is no line."""
    line_end = rest.find(b"\r\n", at + 2)
    if line_end < 0:
        line_end = len(rest)
    match = _LINE.fullmatch(rest, at + 2, line_end)
    return rest[:at] + rest[line_end:], match and match[2].decode().strip()


def _head(rest: bytes) -> Head | None:
    """What the lines of a head say, each behind a line end; None when it is aiohttp's."""
    lines = rest.split(b"\r\n")[1:]
    if len(lines) > LINES_MAX:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        known = _lines.get(line) or _line(line)
        if known is None:
            return None
        name, value = known
        if name in headers:
            return None
        headers[name] = value
    length = headers.get("content-length", "0")
    if not (length.isdecimal() and len(length) < 8) or "host" not in headers:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    head = Head(headers, headers["host"], int(length))
    if "idempotency-key" in headers or len(rest) > _LONGEST_HEAD:
        return head
    return _heads.add(rest, head)


def _start(first: bytes) -> tuple[str, str, str] | None:
    """Method, path and query of a request's first line; None when it is anything unusual."""
    match = _START.fullmatch(first)
    if match is None:
        return None
    read = match[1].decode(), match[2].decode(), (match[3] or b"").decode()
    return _starts.add(first, read) if len(first) <= _LONGEST else read


def _line(line: bytes) -> tuple[str, str] | None:
    """Name and value of a header's line; None when it is aiohttp's."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    name = match[1].decode().lower()
    if name in _ODD:
        return None
    read = name, match[2].decode().strip()
    if name == "idempotency-key" or len(line) > _LONGEST:  # no two keys are the same
        return read
    return _lines.add(line, read)
