"""Staff and their sessions: who may log in, and who is logged in. Hashes come and go here; passwords never do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from qserver.domain.errors import Refusal

from . import keys
from .answers import Actor, Answer, Op, Session, StaffChange, StaffRecord, TokenRecord
from .gate import Gate

_person = msgspec.msgpack.Decoder(StaffRecord)
_changed = msgspec.msgpack.Decoder(tuple[int, StaffRecord, list[str]])
_tried = msgspec.msgpack.Decoder(tuple[int, StaffRecord | bool])
_session = msgspec.msgpack.Decoder(tuple[int, TokenRecord | bool, list[str]])
_token = msgspec.msgpack.Decoder(TokenRecord)
_TOKENS, _IDS, _STAFF = 6, 7, 11  # of the control partition's keys
_PAGE = 1000


class StaffStore(Gate):
    """People by hall and staff id, in the control partition, where sessions of all halls are revoked at once."""

    async def staff(self, hall: str) -> list[StaffRecord]:
        """Everybody of a hall, by id."""
        found: dict[bytes, StaffRecord] = {}
        cursor = b"0"
        while True:
            reply: Any = await self._topology.call(
                keys.CONTROL_TAG, "HSCAN", keys.control_keys()[_STAFF], cursor, "MATCH", f"{hall}/*", "COUNT", _PAGE
            )
            cursor, rows = reply
            found |= {name: _person.decode(packed) for name, packed in zip(rows[::2], rows[1::2], strict=True)}
            if cursor == b"0":
                return [found[name] for name in sorted(found)]

    async def person(self, hall: str, staff: str) -> StaffRecord:
        """Somebody. Refused: not_found."""
        packed: Any = await self._topology.call(
            keys.CONTROL_TAG, "HGET", keys.control_keys()[_STAFF], f"{hall}/{staff}"
        )
        if packed is None:
            raise Refusal("not_found", what="staff")
        return _person.decode(packed)

    async def actors(self, hall: str, ids: Iterable[str]) -> dict[str, Actor]:
        """Who these are that stand on record in a hall, by staff or token id. Whoever is known no more is left out."""
        names = sorted(set(ids))
        if not names:
            return {}
        ctl, of = keys.CONTROL_TAG, keys.control_keys()
        people: Any = await self._topology.call(ctl, "HMGET", of[_STAFF], *(f"{hall}/{name}" for name in names))
        found = {n: _person.decode(packed) for n, packed in zip(names, people, strict=True) if packed is not None}
        actors = {name: Actor(person.role, person.name, True) for name, person in found.items()}
        others = [name for name in names if name not in actors]
        digests: Any = await self._topology.call(ctl, "HMGET", of[_IDS], *others) if others else []
        known = {name: digest for name, digest in zip(others, digests, strict=True) if digest is not None}
        tokens: Any = await self._topology.call(ctl, "HMGET", of[_TOKENS], *known.values()) if known else []
        for name, packed in zip(known, tokens, strict=True):
            if packed is not None:
                token = _token.decode(packed)
                actors[name] = Actor(token.role, token.name, False)
        return actors

    async def add_staff(
        self, op: Op, hall: str, staff: str, *, name: str, role: str, hashed: str, windows: Sequence[str] = ()
    ) -> Answer[StaffChange]:
        """Lets somebody log in from now on. Refused: in_use (`what`: staff, or token: an actor of that name)."""
        return await self._change("staff_add", op, hall, staff, name, role, hashed, *windows)

    async def change_staff(
        self,
        op: Op,
        hall: str,
        staff: str,
        *,
        name: str | None = None,
        role: str | None = None,
        windows: list[str] | None = None,
    ) -> Answer[StaffChange]:
        """Changes what is given. Another role or other windows end the sessions. Refused: not_found."""
        given = [False if value is None else value for value in (name, role, windows)]
        return await self._change("staff_change", op, hall, staff, *given)

    async def set_password(self, op: Op, hall: str, staff: str, hashed: str, keep: str = "") -> Answer[StaffChange]:
        """Sets a password and ends all sessions but the one whose token has the digest `keep`. Refused: not_found."""
        return await self._change("staff_password", op, hall, staff, hashed, keep)

    async def disable_staff(self, op: Op, hall: str, staff: str) -> Answer[StaffChange]:
        """Lets somebody log in no more, and ends the sessions. Refused: not_found."""
        return await self._change("staff_disable", op, hall, staff)

    async def enable_staff(self, op: Op, hall: str, staff: str) -> Answer[StaffChange]:
        """Lets somebody log in again, who was disabled or locked out. Refused: not_found."""
        return await self._change("staff_enable", op, hall, staff)

    async def try_login(self, op: Op, hall: str, staff: str, most: int, lock_ms: int) -> StaffRecord | None:
        """Counts a try to log in, before its password is looked at; None: nobody has that name.

        After `most` tries in vain, each within `lock_ms` of the one before: refused (rate_limited, `retry_after_s`).
        """
        packed, _ = await self._control("login_try", op, hall, staff, most, lock_ms)
        found = _tried.decode(packed)[1]
        return found if isinstance(found, StaffRecord) else None

    async def failed_login(self, op: Op, hall: str, staff: str, most: int, lock_ms: int) -> None:
        """Records that the password of a try was wrong; the last one of `most` locks the person for `lock_ms`."""
        await self._control("login_failed", op, hall, staff, most, lock_ms)

    async def right_password(self, op: Op, hall: str, staff: str) -> None:
        """Forgets the tries in vain: the password was right, though it leads to no session."""
        await self._control("login_right", op, hall, staff)

    async def login(
        self, op: Op, person: StaffRecord, *, window: str, token_id: str, digest: str, lasts_ms: int
    ) -> Answer[Session] | None:
        """Begins a session of whoever gave the password that fits `person.hash`; with a window, the one there ends.

        None: the right to log in went in the meantime.
        """
        packed, replayed = await self._control(
            "login", op, person.hall, person.id, person.hash, window, token_id, digest, lasts_ms
        )
        _, token, ended = _session.decode(packed)
        return Answer(Session(token, ended), replayed) if isinstance(token, TokenRecord) else None

    async def logout(self, op: Op, digest: str) -> list[str]:
        """Ends the session whose token has this digest; the ids of the tokens that ended: one, or none."""
        packed, _ = await self._control("logout", op, digest)
        found: list[str] = msgspec.msgpack.decode(packed)[1]
        return found

    async def _change(self, command: str, op: Op, hall: str, staff: str, *args: Any) -> Answer[StaffChange]:
        packed, replayed = await self._control(command, op, hall, staff, *args)
        _, person, ended = _changed.decode(packed)
        return Answer(StaffChange(person, ended), replayed)
