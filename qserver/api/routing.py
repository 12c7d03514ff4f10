"""What a route is, what its handler gets and what it gives back. Only shapes live here; `app` runs them.

A module of routes:

    class Issue(Body):
        service: Id

    async def issue(call: Call) -> Reply:
        answer = await call.store.issue(call.op, call.hall, call.body.service)
        return Reply({"ticket": answer.value.ticket}, replayed=answer.replayed)

    ROUTES = (Route("POST", H + "/tickets", issue, body=Issue, answer=Issued, status=201, summary="..."),)

A handler raises `Refusal` or `Unavailable` and never builds an error answer itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from qserver.auth.principal import Principal
from qserver.store.answers import Op

if TYPE_CHECKING:
    from qserver.auth.authenticator import Authenticator
    from qserver.store.store import Store

    from .asked import Asked

H = "/api/v1/halls/{hall}"
"""Where everything of one hall lives."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of request bodies and query strings: a field nobody knows is a mistake, not a wish to be ignored."""


class Empty(Body, frozen=True, kw_only=True):
    """The body of a command that takes nothing; no body at all is as good."""


class Reply(msgspec.Struct, frozen=True, eq=False):
    """An answer with more to it than its value.

    `value`: what msgspec can encode, or bytes to send as they are under `content_type`, or None for no body at all.
    `status` None = the route's. `replayed`: it is a kept answer given again. `keep`: no store command of this request
    keeps the answer, so the frame does, when the request carries a key.
    """

    value: Any
    status: int | None = None
    headers: Mapping[str, str] | None = None
    replayed: bool = False
    keep: bool = False
    content_type: str = "application/json"


class Call(msgspec.Struct, frozen=True, eq=False):
    """One request, as its handler sees it.

    `hall`: the path's (or the ticket link's) hall, "" without. `params`: the path's parts by name; behind a ticket's
    link also `ticket`, the id. `body`, `query`: decoded into the route's types, None when it has none. `op`: who, and
    under which key the answer is kept; hand it to the store's command.
    """

    store: Store
    auth: Authenticator
    server_key: bytes
    principal: Principal
    hall: str
    params: dict[str, str]
    body: Any
    query: Any
    op: Op
    request: Asked


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the interface; who may use it stands in `qserver.auth.roles.ACCESS` under `METHOD PATH`.

    `body`, `query`: msgspec types (Body's children, or any that forbids unknown fields); a body type whose fields all
    have defaults may be left out by the client. `reads`: what the handler gets instead of `body`, when it judges
    parts of it one by one; the documents still say what is right. `answer`: the type of the answer, for the
    documents, as are `also`, other statuses of success (201, 304), and `codes`, refusals beyond those every route may
    give. `bound`: largest body, bytes. `waits`: it may wait for something to happen, so it does not count as work in
    flight. `secret`: the body holds a password; the frame keeps neither an answer nor a digest of it, and its handler
    gives `call.op` a `body` that nobody can guess passwords from. `over`: it ends a session, so one that has ended
    already is answered as if it did now.
    """

    method: str
    path: str
    handler: Handler
    body: Any = None
    reads: Any = None
    answer: Any = None
    status: int = 200
    summary: str = ""
    query: Any = None
    bound: int = 64 * 1024
    codes: tuple[str, ...] = ()
    also: tuple[int, ...] = ()
    waits: bool = False
    secret: bool = False
    over: bool = False

    @property
    def key(self) -> str:
        """Its row in the role table."""
        return f"{self.method} {self.path}"
