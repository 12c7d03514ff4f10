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

from aiohttp import web
from aiohttp.streams import StreamReader

from qserver.remembered import Remembered

HEAD_MAX: Final = 8000
"""A longer head is aiohttp's, with its bounds."""

_START: Final = re.compile(rb"(GET|POST|PUT|DELETE) (/[A-Za-z0-9/._~%-]*)(?:\?([A-Za-z0-9/._~%&=:,+-]*))? HTTP/1\.1")
_LINE: Final = re.compile(rb"([A-Za-z0-9-]+):([\x20-\x7e\t]*)")
LINES_MAX: Final = 64
_ODD: Final = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer", "content-encoding"})
"""Heads with one of these are aiohttp's."""


class Asked:
    """One request. Header names are asked for in lower case; `path` and `query` are as they came, still encoded.

    `content` is the whole body, or the stream it still comes from.
    """

    __slots__ = ("app", "content", "gone", "headers", "host", "method", "path", "query", "remote", "scheme")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        content: bytes | StreamReader,
        app: web.Application,
        origin: Origin,
        host: str,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.content = content
        self.app = app
        self.remote, self.scheme, self.gone = origin
        self.host = host

    @classmethod
    def of(cls, request: web.Request) -> Asked:
        """The request that aiohttp has read."""
        gone = getattr(request.protocol, "gone", None)  # a `runner.Protocol`, unless aiohttp's own runner serves
        origin = Origin(request.remote or "", request.scheme, gone or (lambda: request.transport is None))
        url = request.rel_url
        return cls(
            request.method, url.raw_path, url.raw_query_string, request.headers, request.content, request.app, origin,
            request.host,
        )  # fmt: skip


class Origin(NamedTuple):
    """Where requests of a connection come from: address, `http` or `https`, and whether the client has gone."""

    remote: str
    scheme: str
    gone: Callable[[], bool]


_starts: Final = Remembered[bytes, tuple[str, str, str]](4096)
_lines: Final = Remembered[bytes, tuple[str, str]](4096)
"""What was read from lines before: a device gives nearly the same head with every request."""
_LONGEST: Final = 256
"""Longer lines are read anew each time."""


class Whole(NamedTuple):
    """A request that came whole."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    content: bytes


def whole(data: bytes) -> Whole | None:
    """The one request that these bytes are, from the first to the last; None when they are anything else."""
    end = data.find(b"\r\n\r\n", 0, HEAD_MAX)
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    start = _starts.get(first) or _start(first)
    if start is None or len(lines) > LINES_MAX:
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
    content = data[end + 4 :]
    length = headers.get("content-length", "0")
    if not (length.isdecimal() and len(length) < 8 and int(length) == len(content)) or "host" not in headers:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return Whole(*start, headers, content)


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
