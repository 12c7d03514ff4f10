"""Logging in and out, and one's own password. What logging in is stands in `qserver.auth.login`; here is how fast.

An address may try so often a minute whomever it tries, a person so often whoever tries; tries in vain are counted
further in the store, for all processes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from qserver.auth import secrets
from qserver.auth.authenticator import Authenticator
from qserver.auth.login import Desk, Terms
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import Role
from qserver.domain.rules import Id
from qserver.store.answers import Op
from qserver.store.store import Store

from .asked import Asked
from .intake import STAFF_ID
from .limits import Rate
from .routing import Body, Call, Empty, Reply, Route
from .tokens import new_id

BURST_S: Final = 60.0
"""A whole hall logs in within a minute, from one address."""
PER_PERSON: Final = 0.2
"""Tries per second for one person, a dozen at once."""

StaffId = Annotated[str, msgspec.Meta(pattern=f"^{STAFF_ID}$(?!\\n)", description="staff id 工号")]
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=128, description="at least 8 characters")]


class Login(Body, frozen=True, kw_only=True):
    """Who logs in. A clerk does so at a window."""

    hall: Id
    staff: StaffId
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    window: Id | None = None


class LoggedIn(msgspec.Struct, kw_only=True):
    """A session. Its token is used like any other until then."""

    token: str
    role: Role
    hall: str
    window: str | None
    staff: str
    name: str
    expires_ms: int


class OwnPassword(Body, frozen=True, kw_only=True):
    """One's own new password, with the one so far."""

    password: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    new: Password


class Gate:
    """How often it may be tried to log in, in this process."""

    def __init__(self, per_minute: float) -> None:
        self._by_address = Rate(per_minute / 60, BURST_S)
        self._by_person = Rate(PER_PERSON, BURST_S)

    def enter(self, request: Asked, hall: str, staff: str) -> None:
        """Counts a try. Refused: rate_limited."""
        now = time.monotonic()
        wait = self._by_address.take(request.origin.remote, now) or self._by_person.take(f"{hall}/{staff}", now)
        if wait:
            raise Refusal("rate_limited", retry_after_s=wait)


DESK: Final = web.AppKey("desk", Desk)
GATE: Final = web.AppKey("gate", Gate)


def attach(app: web.Application, store: Store, authenticator: Authenticator, terms: Terms, per_minute: float) -> None:
    """Gives the application its desk, which ends with it."""
    desk = app[DESK] = Desk(store, authenticator, terms)
    app[GATE] = Gate(per_minute)

    async def run(_: web.Application) -> AsyncIterator[None]:
        yield
        desk.close()

    app.cleanup_ctx.append(run)


async def slowly(call: Call) -> Op:
    """The operation of a command whose body holds a password, kept with a digest as costly as the password's hash."""
    if not call.op.key:
        return call.op
    content = msgspec.json.encode(call.body)
    digest = await call.request.app[DESK].passwords.slow_digest(content, call.op.key[:16])
    return msgspec.structs.replace(call.op, body=digest)


async def log_in(call: Call) -> Any:
    """Exchanges a staff id and a password for a session. A clerk's session ends the one that was at the window.

    After too many wrong passwords nobody may log in as this person for a while: `rate_limited`, also for whoever gives
    the right one, and for a name that nobody has.
    """
    wanted: Login = call.body
    call.request.app[GATE].enter(call.request, wanted.hall, wanted.staff)
    begun = await call.request.app[DESK].log_in(
        call.op, wanted.hall, wanted.staff, wanted.password, wanted.window or "", new_id()
    )
    token = begun.value.token
    answer = LoggedIn(
        token=secrets.token_text(call.server_key, token.id),
        role=Role(token.role),
        hall=token.hall,
        window=token.window or None,
        staff=token.staff,
        name=token.name,
        expires_ms=token.expires_ms,
    )
    return Reply(answer, replayed=begun.replayed)


def _digest(call: Call) -> str:
    """The digest of the session's token. Refused: wrong_state for whoever did not log in."""
    if not call.principal.staff:
        raise Refusal("wrong_state", "this is a device's or a system's token, no session")
    return secrets.digest(secrets.token_text(call.server_key, call.principal.id))


async def log_out(call: Call) -> Any:
    """Ends the session that asks, on open sockets too; one that has ended already is as good. A window that is open
    stays so.
    """
    for ended in await call.store.logout(call.op, _digest(call)):
        call.auth.revoked(ended)
    return Reply(None, status=204)


async def own_password(call: Call) -> Any:
    """Sets one's own password; asked for again, it is set already. Sessions elsewhere end."""
    wanted: OwnPassword = call.body
    keep, me = _digest(call), call.principal
    call.request.app[GATE].enter(call.request, me.hall, me.staff)
    desk = call.request.app[DESK]
    try:
        await desk.identify(me.hall, me.staff, wanted.password, wanted.new)
    except Refusal as refusal:
        if refusal.code != "unauthorized":
            raise
        raise Refusal("forbidden", "the password so far is another one", field="password") from None
    hashed = await desk.passwords.hash(wanted.new)
    answer = await call.store.set_password(await slowly(call), me.hall, me.staff, hashed, keep)
    for ended in answer.value.ended:
        call.auth.revoked(ended)
    return Reply(None, status=204, replayed=answer.replayed)


ROUTES = (
    Route("POST", "/api/v1/login", log_in, body=Login, answer=LoggedIn, summary="Log in 登录", secret=True,
          codes=("unauthorized", "forbidden", "not_found", "no_such_window")),
    Route("POST", "/api/v1/logout", log_out, body=Empty, status=204, summary="Log out 退出登录",
          over=True, codes=("wrong_state",)),
    Route("POST", "/api/v1/password", own_password, body=OwnPassword, status=204, secret=True,
          summary="Set one's own password 修改密码", codes=("wrong_state",)),
)  # fmt: skip
