"""Logging in: from a staff id and a password to a session. Nothing here knows HTTP.

Who may not log in learns nothing of why: a name nobody has, a wrong password and a person who was disabled are the same
answer after the same time. How often it may be tried is counted in the store, before the password is looked at, for
names that nobody has as well.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import Role
from qserver.store.answers import Answer, Op, Session, StaffRecord, TokenRecord
from qserver.store.store import Store

from . import roles, secrets
from .authenticator import Authenticator
from .passwords import Passwords
from .principal import NOBODY


class Terms(NamedTuple):
    """`session_ms`: how long a session lasts. `wrong_max` wrong passwords in a row lock a person for `lock_ms`."""

    session_ms: int = 12 * 3_600_000
    wrong_max: int = 5
    lock_ms: int = 900_000


_STRANGER: Final = Op(NOBODY.id)


class Desk:
    """Where people log in; `close` it in the end."""

    def __init__(self, store: Store, authenticator: Authenticator, terms: Terms) -> None:
        self._store = store
        self._auth = authenticator
        self.passwords = Passwords()
        self.terms = terms

    def close(self) -> None:
        """Ends the threads that hash."""
        self.passwords.close()

    async def identify(self, hall: str, staff: str, *passwords: str) -> StaffRecord:
        """Who gave this password, or one of these. Refused: unauthorized, rate_limited (locked). Raises Unavailable."""
        terms = self.terms
        person = await self._store.try_login(_STRANGER, hall, staff, terms.wrong_max, terms.lock_ms)
        fits = False
        for password in passwords:
            fits = fits or await self.passwords.fits(password, None if person is None else person.hash)
        if person is None or person.disabled_ms or not fits:
            await self._store.failed_login(_STRANGER, hall, staff, terms.wrong_max, terms.lock_ms)
            raise Refusal("unauthorized", "hall, staff number or password is wrong")
        return person

    async def log_in(self, op: Op, hall: str, staff: str, password: str, window: str, token_id: str) -> Answer[Session]:
        """Begins a session. A clerk's is at a window: the session there before ends, and an open window is taken over.

        `op.key` is kept with the hash that the password fits, not with the password. Refused: not_found and
        no_such_window (of what everybody can see), unauthorized, rate_limited, then validation (a window is needed,
        or none), forbidden (none of the person's windows). Raises Unavailable.
        """
        configured = await self._store.hall(hall)
        if window and configured.hall.window(window) is None:
            raise Refusal("no_such_window")
        person = await self.identify(hall, staff, password)
        try:
            _check_window(person, window)
        except Refusal:
            await self._store.right_password(_STRANGER, hall, staff)
            raise
        known = hashlib.blake2b("\0".join((hall, staff, window, person.hash)).encode(), digest_size=16).digest()
        text = secrets.token_text(self._store.server_key, token_id)
        begun = await self._store.login(
            msgspec.structs.replace(op, actor=person.id, body=known),
            person,
            window=window,
            token_id=token_id,
            digest=secrets.digest(text),
            lasts_ms=self.terms.session_ms,
        )
        if begun is None:
            raise Refusal("unauthorized", "hall, staff number or password is wrong")
        for ended in begun.value.ended:
            self._auth.revoked(ended)
        if window:
            await self._take_over(begun.value.token)
        return begun

    async def _take_over(self, token: TokenRecord) -> None:
        """Puts on record that the window is the session's now, when it is open under another name."""
        record = await self._store.token_by_digest(token.digest)
        if record is None or record.revoked_ms:
            return  # somebody else has it by now: this is a late repeat, or two logged in at once
        window = await self._store.window(token.hall, token.window)
        if window.state != "closed" and window.staff != token.staff:
            await self._store.open(Op(token.staff), token.hall, token.window, staff=token.staff)


def _check_window(person: StaffRecord, window: str) -> None:
    at_window = Role(person.role) in roles.AT_WINDOW
    if at_window and not window:
        raise Refusal("validation", "window: a clerk logs in at a window", field="window")
    if window and not at_window:
        raise Refusal("validation", f"window: a {person.role} works at none", field="window")
    if window and person.windows and window not in person.windows:
        raise Refusal("forbidden", "this window is not among yours", what="window")
