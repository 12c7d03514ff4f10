"""Tokens and pairing codes: who may come in. Texts are derived, shown once, and never stored."""

from __future__ import annotations

import secrets as random
from typing import Annotated, Any, Final

import msgspec

from qserver.auth import roles, secrets
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import Role
from qserver.domain.rules import Id
from qserver.store.answers import TokenRecord

from .routing import Body, Call, Reply, Route

PAIRING_MS: Final = 600_000
"""A pairing code lives ten minutes."""

TokenId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="token id")]
Label = Annotated[str, msgspec.Meta(max_length=100, description="what people call the device or system")]


class NewToken(Body, frozen=True, kw_only=True):
    """What the token is for. `clerk` and `pad` need a window; only admin, assessor and analytics may lack a hall."""

    role: Role
    hall: Id | None = None
    window: Id | None = None
    name: Label = ""
    expires_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53, description="ms since the Unix epoch; 0 = never")] = 0


class TokenInfo(msgspec.Struct, kw_only=True):
    """A token as it may be shown: never the token itself."""

    id: str
    role: Role
    hall: str | None
    window: str | None
    name: str
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    staff: Annotated[str | None, msgspec.Meta(description="who logged in; null of a device or system")]


class TokenMade(TokenInfo, kw_only=True):
    """A new token, the only time its text is shown."""

    token: str


class Tokens(msgspec.Struct):
    """All tokens."""

    tokens: list[TokenInfo]


class NewPairing(Body, frozen=True, kw_only=True):
    """What the device will be that uses the code."""

    role: Role
    hall: Id | None = None
    window: Id | None = None
    name: Label = ""


class PairingMade(msgspec.Struct):
    """A code that works once, until then."""

    code: str
    expires_ms: int


class Pair(Body, frozen=True, kw_only=True):
    """Exchanges a code for a token."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Paired(msgspec.Struct, kw_only=True):
    """What the device is from now on."""

    token: str
    role: Role
    hall: str | None
    window: str | None


def new_id() -> str:
    """A new id of a token or pairing; nothing secret hangs on it."""
    return random.token_hex(6)


def _info(record: TokenRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "role": Role(record.role),
        "hall": record.hall or None,
        "window": record.window or None,
        "name": record.name,
        "created_ms": record.created_ms,
        "expires_ms": record.expires_ms or None,
        "revoked_ms": record.revoked_ms or None,
        "staff": record.staff or None,
    }


async def _check_binding(call: Call, role: Role, hall: str, window: str) -> None:
    """Refused: forbidden (another hall), validation (binding and role do not fit), not_found, no_such_window."""
    if call.principal.hall and call.principal.hall != hall:
        raise Refusal("forbidden", "a token bound to a hall gives out tokens of that hall only")
    if not hall and (window or role not in roles.SPANNING):
        raise Refusal("validation", f"hall: a token of role {role} is bound to a hall", field="hall")
    if not window and role in roles.AT_WINDOW:
        raise Refusal("validation", f"window: a token of role {role} is bound to a window", field="window")
    if not hall:
        return
    configured = await call.store.hall(hall)
    if window and configured.hall.window(window) is None:
        raise Refusal("no_such_window")


async def create(call: Call) -> Any:
    """Makes a token. Its text is in this answer and nowhere else; a repeat with the same key shows it again."""
    wanted: NewToken = call.body
    hall, window = wanted.hall or "", wanted.window or ""
    await _check_binding(call, wanted.role, hall, window)
    token_id = new_id()
    answer = await call.store.create_token(
        call.op,
        token_id=token_id,
        role=wanted.role,
        hall=hall,
        window=window,
        name=wanted.name,
        digest=secrets.digest(secrets.token_text(call.server_key, token_id)),
        expires_ms=wanted.expires_ms,
    )
    text = secrets.token_text(call.server_key, answer.value.id)
    return Reply(TokenMade(**_info(answer.value), token=text), replayed=answer.replayed)


async def list_all(call: Call) -> Any:
    """Tokens that work, sessions among them; an admin bound to a hall sees those of the hall."""
    mine = call.principal.hall
    return Tokens([TokenInfo(**_info(one)) for one in await call.store.tokens() if not mine or one.hall == mine])


async def revoke(call: Call) -> Any:
    """Ends a token: the next request with it is refused, and its sockets are closed, whichever process holds them."""
    token_id, mine = call.params["id"], call.principal.hall
    if mine and not any(one.id == token_id and one.hall == mine for one in await call.store.tokens()):
        raise Refusal("not_found", what="token")
    answer = await call.store.revoke_token(call.op, token_id)
    call.auth.revoked(token_id)
    return TokenInfo(**_info(answer.value))


async def create_pairing(call: Call) -> Any:
    """Makes a code for a device. A supervisor gives out what its own hall's floor uses, nothing above itself."""
    wanted: NewPairing = call.body
    hall, window = wanted.hall or "", wanted.window or ""
    if call.principal.role is not Role.ADMIN and wanted.role not in roles.GIVEN_BY_SUPERVISOR:
        raise Refusal("forbidden", f"role {wanted.role} is given by an admin")
    await _check_binding(call, wanted.role, hall, window)
    pairing_id = new_id()
    answer = await call.store.create_pairing(
        call.op,
        pairing_id=pairing_id,
        digest=secrets.digest(secrets.pairing_code(call.server_key, pairing_id)),
        role=wanted.role,
        hall=hall,
        window=window,
        name=wanted.name,
        ttl_ms=PAIRING_MS,
    )
    code = secrets.pairing_code(call.server_key, answer.value.id)
    return Reply(PairingMade(code, answer.value.expires_ms), replayed=answer.replayed)


async def pair(call: Call) -> Any:
    """Makes a device of whoever holds a code. A code works once; send a key, so that a lost answer can be asked for."""
    token_id = new_id()
    answer = await call.store.redeem_pairing(
        call.op,
        secrets.digest(call.body.code),
        token_id=token_id,
        token_digest=secrets.digest(secrets.token_text(call.server_key, token_id)),
    )
    record = answer.value
    paired = Paired(
        token=secrets.token_text(call.server_key, record.id),
        role=Role(record.role),
        hall=record.hall or None,
        window=record.window or None,
    )
    return Reply(paired, replayed=answer.replayed)


ROUTES = (
    Route(
        "POST",
        "/api/v1/tokens",
        create,
        body=NewToken,
        answer=TokenMade,
        status=201,
        summary="Make a token 新建令牌",
        codes=("not_found", "no_such_window"),
    ),
    Route("GET", "/api/v1/tokens", list_all, answer=Tokens, summary="All tokens, without their texts 令牌列表"),
    Route(
        "DELETE",
        "/api/v1/tokens/{id}",
        revoke,
        answer=TokenInfo,
        summary="Revoke a token, at once, on open sockets too 吊销令牌",
        codes=("not_found",),
    ),
    Route(
        "POST",
        "/api/v1/pairings",
        create_pairing,
        body=NewPairing,
        answer=PairingMade,
        summary="Make a one-time pairing code 新建配对码",
        codes=("not_found", "no_such_window"),
    ),
    Route(
        "POST",
        "/api/v1/pair",
        pair,
        body=Pair,
        answer=Paired,
        summary="Exchange a pairing code for a token 设备配对",
        codes=("not_found",),
    ),
)
