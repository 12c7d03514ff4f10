"""Who asks: the holder of a token, the holder of a ticket's link, or anybody; and how fast each may.

Guesses are paid by the address they come from, so that devices behind the same address do not suffer; and they are
paid before anybody is asked about them.
"""

from __future__ import annotations

import time

from qserver.auth import principal as principals
from qserver.auth import secrets
from qserver.auth.authenticator import Authenticator
from qserver.auth.principal import NOBODY, Principal
from qserver.domain.errors import Refusal
from qserver.store.store import Store

from .asked import Asked
from .limits import Limits, Rate


class Callers:
    """Tells callers apart and counts what they ask."""

    def __init__(self, store: Store, authenticator: Authenticator, limits: Limits) -> None:
        self._store = store
        self._auth = authenticator
        self._per_token = Rate(limits.per_token)
        self._per_address = Rate(limits.per_address)

    def remembered(self, request: Asked) -> Principal | None:
        """The holder of the request's token when memory knows it. Refused: rate_limited."""
        header = request.headers.get("authorization")
        if header is None or not header.startswith("Bearer "):
            return None
        principal = self._auth.cached(header[7:])
        if principal is not None:
            self._charge(principal)
        return principal

    async def look_up(self, request: Asked) -> Principal:
        """The holder of a token that memory does not know. Refused: unauthorized, rate_limited. Raises Unavailable."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            self._charge_address(request)
            raise Refusal("unauthorized")
        own = self._auth.is_own(token)
        if not own:
            self._charge_address(request)
        try:
            principal = await self._auth.authenticate(token)
        except Refusal:
            if own:  # once ours, since revoked
                self._charge_address(request)
            raise
        self._charge(principal)
        return principal

    def holder(self, secret: str, request: Asked) -> tuple[Principal, str]:
        """The holder of a ticket's link, and the ticket's id. Refused: not_found, rate_limited."""
        found = secrets.read_ticket_secret(self._store.server_key, secret)
        if found is None:
            self._charge_address(request)
            raise Refusal("not_found", what="ticket")
        principal = principals.holder(*found)
        self._charge(principal)
        return principal, found[1]

    def anyone(self, request: Asked) -> Principal:
        """Whoever asks an open route. Refused: rate_limited."""
        self._charge_address(request)
        return NOBODY

    def _charge(self, principal: Principal) -> None:
        if wait := self._per_token.take(principal.id, time.monotonic()):
            raise Refusal("rate_limited", retry_after_s=wait)

    def _charge_address(self, request: Asked) -> None:
        if wait := self._per_address.take(request.origin.remote, time.monotonic()):
            raise Refusal("rate_limited", retry_after_s=wait)
