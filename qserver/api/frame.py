"""What every request goes through, from its head to its answer: who, may it, how much, what form; then the handler.

Everything that can be made ready was made ready once (`paths`); there are no middlewares. The order of the checks is
the order in which a stranger may learn things: nothing but the route's existence before the token.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from qserver.auth.authenticator import Authenticator
from qserver.auth.principal import NOBODY, Principal
from qserver.auth.roles import OPEN, SECRET
from qserver.domain.errors import Refusal, Unavailable
from qserver.store.answers import Op
from qserver.store.store import Store

from . import intake, problems, responses
from .access_log import AccessLog
from .asked import Asked
from .callers import Callers
from .limits import InFlight, Limits
from .metrics import Meter
from .paths import Endpoint, Node, Paths
from .routing import Call, Reply, Route

_REPLAYED: Final = {"Idempotency-Replayed": "true"}
_encode = msgspec.json.Encoder().encode


TOO_MUCH: Final = "too much is being done at once"
_NO_OP: Final = Op("")
_full: Final = problems.unavailable(Unavailable(TOO_MUCH))


class Known:
    """What is known of a request so far, for whoever has to answer it when it is refused."""

    __slots__ = ("hall", "node", "op", "principal", "unread")

    def __init__(self) -> None:
        self.node: Node | None = None  # where its path leads
        self.unread = False  # the path's parts are still to be read
        self.hall = ""
        self.op = _NO_OP
        self.principal: Principal = NOBODY


class Frame:
    """All routes on one store. `answer` is the one way through; `handle` is what aiohttp knows."""

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        routes: Sequence[Route],
        limits: Limits,
        access_log: AccessLog | None = None,
    ) -> None:
        self._store = store
        self._auth = authenticator
        self._log = access_log
        self._callers = Callers(store, authenticator, limits)
        self._in_flight = InFlight(limits.in_flight)
        self.paths = Paths(routes)
        self.endpoints = self.paths.endpoints
        self.lost = Meter("any", "none")

    @property
    def in_flight(self) -> int:
        """Requests being worked on."""
        return self._in_flight.total

    def turned_away(self, request: Asked) -> bytes | None:
        """The answer to a request for which there is no room, before anything else about it is looked at; None when
        there may be. What is refused must cost next to nothing, or refusing takes the time of those who are served.
        """
        if (found := self.paths.remembered(request.path)) is None:
            return None
        endpoint, hall = found[0].endpoints.get(request.method), found[1].get("hall", "")
        if endpoint is None or endpoint.exempt or self._in_flight.has_room(hall, time.monotonic()):
            return None
        endpoint.meter.count(503, 0.0)
        if self._log is not None:
            self._log.add(endpoint.key, 503, 0.0, "", hall, request.origin.remote)
        return _full.whole()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`answer` for what aiohttp has read."""
        return await self.answer(Asked.of(request))

    async def answer(self, request: Asked) -> responses.Written:
        """Answers any request; never raises but for a lost connection."""
        began = time.perf_counter()
        known = Known()
        endpoint, parts = self._led(request, known)
        if endpoint is None:
            response, meter, key = _no_way(known.node), self.lost, "none"
        else:
            meter, key = endpoint.meter, endpoint.key
            try:
                response = await self._run(endpoint, parts, request, known)
            except intake.TooLarge as error:
                response = problems.problem(error.code, error.detail, error.data, close=True)
            except Refusal as error:
                response = await self._refused(error, known)
            except Unavailable as error:
                response = problems.unavailable(error)
            except ConnectionError:
                raise  # the client is gone: aiohttp knows what to do
            except msgspec.ValidationError:
                response = await self._not_ours(endpoint, known)
            except Exception:
                response = problems.internal(endpoint.key)
        seconds = time.perf_counter() - began
        meter.count(response.status, seconds)
        if self._log is not None:
            self._log.add(key, response.status, seconds, known.principal.id, known.hall, request.origin.remote)
        return response

    def _led(self, request: Asked, known: Known) -> tuple[Endpoint | None, dict[str, str]]:
        """Where a request's path leads, and the parts of it; None when nothing is there for its method."""
        found = self.paths.remembered(request.path)
        if found is not None:
            node, parts = found[0], dict(found[1])
        else:
            found = self.paths.find(request.path)
            if found is None:
                return None, {}
            node, parts = found
            known.unread = True
        known.node = node
        return node.endpoint(request.method), parts

    async def _run(self, endpoint: Endpoint, parts: dict[str, str], request: Asked, known: Known) -> responses.Written:
        principal = self._who(endpoint, parts, request)
        if principal is None:
            try:
                principal = await self._callers.look_up(request)
            except Refusal as refusal:
                if endpoint.route.over and "reason" in refusal.data:  # of a session, told to its holder alone
                    return responses.answer(endpoint.status, b"", "")
                raise
        self._admit(endpoint, parts, request, known, principal)
        content = request.content
        if isinstance(content, bytes):  # nearly always: it came whole
            intake.check_size(content, endpoint.route.bound)
        else:
            content = await intake.body(request, content, endpoint.route.bound)
        hall, counts = known.hall, not endpoint.exempt
        if counts and not self._in_flight.enter(hall, time.monotonic()):
            raise Unavailable(TOO_MUCH)
        try:
            value = await endpoint.handler(self._call(endpoint, parts, request, known, content))
            if type(value) is not Reply:
                return responses.answer(endpoint.status, _encode(value))
            if value.keep and known.op.key:
                return await self._told_and_kept(endpoint, value, known)
            return _told(endpoint, value)
        finally:
            if counts:
                self._in_flight.leave(hall, time.monotonic())

    def _who(self, endpoint: Endpoint, parts: dict[str, str], request: Asked) -> Principal | None:
        """Who asks; None when the token must be looked up. Behind a link the ticket becomes one of the parts."""
        roles = endpoint.access.roles
        if roles is OPEN:
            return self._callers.anyone(request) if endpoint.api else NOBODY
        if roles is SECRET:
            principal, parts["ticket"] = self._callers.holder(parts["secret"], request)
            return principal
        return self._callers.remembered(request)

    def _admit(
        self, endpoint: Endpoint, parts: dict[str, str], request: Asked, known: Known, principal: Principal
    ) -> None:
        """Whether it may ask this, and of which hall. Refused: forbidden, and what a part that looks like none is."""
        roles = endpoint.access.roles
        if roles is not SECRET and not endpoint.access.permits(
            principal, parts.get("hall", ""), parts.get("window", "")
        ):
            raise Refusal("forbidden")
        known.principal = principal
        if known.unread and known.node is not None:
            self.paths.read(request.path, known.node, parts)
        known.hall = parts.get("hall", principal.hall if roles is SECRET else "")

    def _call(self, endpoint: Endpoint, parts: dict[str, str], request: Asked, known: Known, content: bytes) -> Call:
        """What the handler gets. Refused: validation, unsupported_media_type."""
        principal = known.principal
        key = intake.idempotency_key(request) if endpoint.takes_key else ""
        if not key:
            op = Op(principal.actor, seated=principal.seated)
        elif endpoint.route.secret:
            op = intake.operation(principal, request, key, b"")
        else:
            op = known.op = intake.operation(principal, request, key, content)
        if content:
            intake.check_type(request)
        body, query, store = endpoint.decode(content), endpoint.query(request), self._store
        return Call(store, self._auth, store.server_key, principal, known.hall, parts, body, query, op, request)

    async def _refused(self, refusal: Refusal, known: Known) -> responses.Written:
        """A refusal as an answer, kept when the request carries a key and the code is one that is kept.

        A function's refusal is kept by the function; then the store gives it back, and it is not a replay. What
        another request with the key was given before goes before what this one was about to be given.
        """
        code = refusal.code
        if not known.op.key or refusal.replayed or code not in problems.KEPT or code == "idempotency_mismatch":
            return problems.refused(refusal)
        body = problems.document(code, refusal.detail, refusal.data)
        try:
            return await self._keep(known, problems.STATUS[code], body) or problems.refused(refusal)
        except Refusal as before:
            before.replayed = before.code not in (code, "idempotency_mismatch")
            return problems.refused(before)
        except Unavailable as error:
            return problems.unavailable(error)

    async def _told_and_kept(self, endpoint: Endpoint, reply: Reply, known: Known) -> responses.Written:
        """A handler's answer, kept under the request's key; or the one kept there before it."""
        told = _told(endpoint, reply)
        if reply.value is None:
            return told
        return await self._keep(known, told.status, told.content) or told

    async def _keep(self, known: Known, status: int, body: bytes) -> responses.Written | None:
        """This answer, or the one kept under the request's key before it; None when that one is a function's, which
        only the command itself can give again.
        """
        try:
            kept = await self._store.keep(known.op, known.hall or None, status, body)
            status, body = kept.value
        except (AttributeError, ValueError):
            return None
        if not isinstance(status, int):
            return None
        content_type = responses.JSON if status < 400 else responses.PROBLEM
        return responses.answer(status, body, content_type, _REPLAYED if kept.replayed else None)

    async def _not_ours(self, endpoint: Endpoint, known: Known) -> responses.Written:
        """A command gave an answer that is none of its own: the frame's, when it had refused under this key before
        the command was reached, and would not now. That one is given again; anything else is a mistake.
        """
        made = problems.internal(endpoint.key)
        if not known.op.key:
            return made
        try:
            return await self._keep(known, made.status, made.content) or made
        except Refusal as before:
            return problems.refused(before)
        except Unavailable as error:
            return problems.unavailable(error)


def _no_way(node: Node | None) -> responses.Written:
    """What is said where nothing stands for a path, or for a method on it."""
    if node is None:
        return problems.problem("not_found", "there is no such route", {"what": "route"})
    return problems.problem("method_not_allowed", headers={"Allow": ", ".join(sorted(node.endpoints))})


def _told(endpoint: Endpoint, reply: Reply) -> responses.Written:
    """A handler's answer with more to it, as bytes."""
    status = endpoint.status if reply.status is None else reply.status
    headers = reply.headers
    if reply.replayed:
        headers = _REPLAYED if headers is None else {**headers, **_REPLAYED}
    content = reply.value
    if content is None:
        return responses.answer(status, b"", "", headers)
    if not isinstance(content, bytes):
        content = _encode(content)
    return responses.answer(status, content, reply.content_type, headers)


FRAME: Final = web.AppKey("frame", Frame)
"""Where an application keeps its frame."""
