"""The application on sockets: the short way of a request to the frame, and what aiohttp itself answers in our words.

What is no HTTP never reaches a handler: aiohttp answers it, naming itself and its version and repeating what it was
sent, and logs each with a traceback. Here it becomes a problem document like every other refusal, and a count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo
from aiohttp.web_request import BaseRequest
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from qserver.outlet import Outlet

from . import problems
from .asked import Asked, Origin, whole
from .frame import FRAME, Frame
from .paths import API


class NotOurMistakes(logging.Filter):
    """Counts, and keeps out of the log, what clients send that is no HTTP, and what they leave in the middle; anybody
    could fill the disk with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.broken = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (HttpProcessingError, RequestPayloadError, ConnectionError)):
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
    """One connection. A request that came whole goes straight to the frame; everything else goes aiohttp's way.

    One request at a time: what comes meanwhile waits unread behind it, and then goes aiohttp's way too. A client may
    end its side behind its last request (`shutdown`): what came whole is answered before the connection ends.
    """

    __slots__ = (
        "_app",
        "_broken",
        "_ended",
        "_frame",
        "_later",
        "_origin",
        "_outlet",
        "_serving",
        "_straight",
        "_taken",
    )

    def __init__(self, server: Server, app: web.Application) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **OPTIONS)
        self._app = app
        self._frame = app[FRAME]
        self._broken = False  # what came is no HTTP
        self._straight = True  # nothing of what aiohttp was given can go on in what comes next
        self._serving: asyncio.Task[None] | None = None
        self._later = b""
        self._ended = False  # the client sends nothing more
        self._taken: StreamReader = EMPTY_PAYLOAD  # the body of the request that aiohttp works on
        self._origin = Origin("", "", self.gone)

    def gone(self) -> bool:
        """Whether nobody may be waiting any more: a client that has left looks as one that only ended its side."""
        return self.transport is None or self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        super().connection_made(transport)
        self._outlet = Outlet(cast("asyncio.Transport", transport))
        peer = self.peername
        self._origin = Origin(
            peer[0] if isinstance(peer, tuple) else "", "https" if self.ssl_context else "http", self.gone
        )

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop."""
        self._outlet.hold()
        super().connection_lost(exc)

    def _leave_to_aiohttp(self) -> None:
        """From now on everything goes aiohttp's way, perhaps to another protocol."""
        self._straight = False
        self._outlet.hold()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._broken:
            return
        if self._serving is not None:
            self._later += data
            if self.transport is not None:
                self.transport.pause_reading()
            return
        if self._straight and data:  # aiohttp gives itself nothing, to go on with what it has
            asked = whole(data, self._app, self._origin)
            if asked is None:
                self._leave_to_aiohttp()
            elif self._idle() and asked.path.startswith(API):
                refusal = self._frame.turned_away(asked)
                if refusal is not None:
                    self._outlet.write(refusal)
                    self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                    return
                self._request_in_progress = True  # who shuts down waits for it
                # What the loop would make of it has a number formatted for its name, and goes through one call more.
                self._serving = asyncio.Task(self._serve(asked), loop=self._loop, name="request")
                return
        super().data_received(data)
        if self._messages and isinstance(told := self._messages[-1][0], _ErrInfo):
            # Nothing that follows can be read, and the error's frames would keep what was until the collector comes.
            self._broken = True
            told.exc.with_traceback(None)
            if self.transport is not None:
                self.transport.pause_reading()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes the answer, aiohttp gives none
        """Called by the loop; whether the connection stays open, for the answers to what was asked. Never on TLS, where
        the loops know no such end.
        """
        self._ended = True
        return self.ssl_context is None and self._unanswered()

    def _unanswered(self) -> bool:
        """Whether something is still to be answered once nothing more comes: what came in part never will be whole."""
        if self._messages and not self._messages[-1][1].is_eof():
            self._messages.pop()
        if self._request_in_progress:
            return self._taken.is_eof() and not self._upgraded
        return bool(self._messages)

    def taken(self, body: StreamReader) -> None:
        """aiohttp has taken a request out of its queue, and will begin with it in the loop's next pass."""
        self._request_in_progress = True
        self._taken = body

    async def _handle_request(self, *request: Any) -> Any:
        try:
            return await super()._handle_request(*request)
        finally:
            if self._ended and not self._messages:
                self._close = True

    def _process_keepalive(self) -> None:
        if self._serving is not None:  # to aiohttp the connection looks idle
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def _idle(self) -> bool:
        """Whether aiohttp has nothing to do for this connection, and the client takes its answers."""
        waiter = self._waiter
        over = self._force_close or self._close or self._upgraded or self._paused
        return not over and waiter is not None and not waiter.done() and not self._messages

    async def _serve(self, asked: Asked) -> None:
        close = True
        try:
            answer = await self._frame.answer(asked)
            close = answer.closes
            if self.transport is not None:
                self._outlet.write(answer.whole(not close))
        except ConnectionError:
            pass  # the client is gone
        finally:
            self._serving = None
            self._request_in_progress = False
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
            if close:
                self.force_close()
            elif self._later and self.transport is not None:
                later, self._later = self._later, b""
                self._leave_to_aiohttp()
                self.transport.resume_reading()
                super().data_received(later)
                if self._ended and not self._unanswered():
                    self.force_close()
            elif self._ended:
                self.force_close()

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

    def __init__(self, app: web.Application, made: web.Server) -> None:
        super().__init__(made.request_handler, request_factory=self._take)
        self._app = app
        self._make = made.request_factory

    def _take(self, head: RawRequestMessage, body: StreamReader, protocol: RequestHandler, *more: Any) -> BaseRequest:
        if isinstance(protocol, Protocol):
            protocol.taken(body)
        return self._make(head, body, protocol, *more)

    def __call__(self) -> RequestHandler:
        """A new connection's protocol."""
        return Protocol(self, self._app)


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
        return Server(self.app, await super()._make_server())
