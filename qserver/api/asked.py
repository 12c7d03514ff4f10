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

HEAD_MAX: Final = 8000
"""A longer head is aiohttp's, with its bounds."""

_HEAD: Final = re.compile(
    rb"(GET|POST|PUT|DELETE) (/[A-Za-z0-9/._~%-]*)(?:\?([A-Za-z0-9/._~%&=:,+-]*))? HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]+:[\x20-\x7e\t]*\r\n){1,64})\r\n"
)
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


class Whole(NamedTuple):
    """A request that came whole."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    content: bytes


def whole(data: bytes) -> Whole | None:
    """The one request that these bytes are, from the first to the last; None when they are anything else."""
    match = _HEAD.match(data, 0, HEAD_MAX)
    if match is None:
        return None
    headers: dict[str, str] = {}
    for line in match[4][:-2].decode().split("\r\n"):
        name, _, value = line.partition(":")
        name = name.lower()
        if name in headers or name in _ODD:
            return None
        headers[name] = value.strip()
    content = data[match.end() :]
    length = headers.get("content-length", "0")
    if not (length.isdecimal() and len(length) < 8 and int(length) == len(content)) or "host" not in headers:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return Whole(match[1].decode(), match[2].decode(), (match[3] or b"").decode(), headers, content)
