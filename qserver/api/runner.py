"""The application on sockets, with what aiohttp itself answers in the interface's words too.

What is no HTTP never reaches a handler: aiohttp answers it, naming itself and its version and repeating what it was
sent, and logs each with a traceback. Here it becomes a problem document like every other refusal, and a count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from . import problems
from .frame import API, FRAME, Frame

Handler = Callable[[BaseRequest], Awaitable[web.StreamResponse]]


class NotOurMistakes(logging.Filter):
    """Counts, and keeps out of the log, what clients send that is no HTTP; anybody could fill the disk with it."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (HttpProcessingError, RequestPayloadError)):
            self.broken += 1
            return False
        return True

    def metrics(self) -> Iterable[str]:
        """The count, as Prometheus reads it."""
        yield "# HELP qserver_http_broken_requests_total What came and was no HTTP."
        yield "# TYPE qserver_http_broken_requests_total counter"
        yield f"qserver_http_broken_requests_total {self.broken}"


BROKEN: Final = NotOurMistakes()
"""The process's count: aiohttp's logger is one for the process too."""
_logger: Final = logging.getLogger(__name__)
_logger.addFilter(BROKEN)

OPTIONS: Final[dict[str, Any]] = {
    "access_log": None,  # AccessLog writes it
    "auto_decompress": False,  # compressed bodies are refused, not opened
    "keepalive_timeout": 75.0,
    "lingering_time": 5.0,  # so long an unread body is still taken in, for its sender to see the refusal
    "logger": _logger,
}


class Protocol(RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What goes to the client when there is no request a handler could answer. Ends the connection."""
        super().handle_error(request, status, exc, message)
        if status < 500:
            return problems.problem("validation", "this is not HTTP as it should be", close=True)
        return problems.problem("internal", close=True)


class Server(web.Server):
    """Makes the connections of one application."""

    def __call__(self) -> RequestHandler:
        """A new connection's protocol."""
        return Protocol(self, loop=asyncio.get_running_loop(), **OPTIONS)


class Everything(web.PlainResource):
    """All that lies below a prefix, given to the frame, which finds the route itself: aiohttp would try the patterns of
    all routes of a hall one after the other.
    """

    def __init__(self, frame: Frame) -> None:
        super().__init__(API.rstrip("/"))
        self.route = self.add_route("*", frame.handle)

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo, set[str]]:
        """Takes whatever aiohttp's index led here."""
        return UrlMappingMatchInfo({}, self.route), set()


class Runner(web.AppRunner):
    """Runs an application on sites, as aiohttp's own runner does."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return Server(_straight(self.app, made.request_handler), request_factory=made.request_factory)


def _straight(app: web.Application, otherwise: Handler) -> Handler:
    """Gives requests of the interface straight to the frame, which would end up there anyway.

    Finding out where a request belongs, and noting that on it, is a good part of what aiohttp spends on a request that
    does little. Whoever waits for `100 Continue` goes the long way, on which it is given.
    """
    handle = app[FRAME].handle
    resource = next(one for one in app.router.resources() if isinstance(one, Everything))
    belongs = UrlMappingMatchInfo({}, resource.route)
    belongs.add_app(app)
    belongs.freeze()

    async def straight(request: BaseRequest) -> web.StreamResponse:
        if request.rel_url.raw_path.startswith(API) and hdrs.EXPECT not in request.headers:
            assert isinstance(request, web.Request)
            request._match_info = belongs
            return await handle(request)
        return await otherwise(request)

    return straight
