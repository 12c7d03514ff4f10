"""Who holds a token. Answers from memory, and forgets at once what the control partition's stream says is revoked.

The stream is followed for as long as this process lives. While it can be followed, what stands in memory is true; when
the connection breaks or the epoch changes, memory is dropped and every token is looked up again. So a revocation that
this process could not hear of never leaves a token standing, and a token that cannot be looked up is `Unavailable`
(come again), never `unauthorized` (go away).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from qserver.domain.errors import Refusal, Unavailable
from qserver.domain.events import Event
from qserver.domain.lifecycle import Role
from qserver.remembered import Remembered
from qserver.store.answers import TokenRecord
from qserver.store.gate import CONTROL
from qserver.store.store import Store
from qserver.store.streams import Entry, Reader

from . import secrets
from .principal import Principal

KNOWN_MAX: Final = 50_000
"""So many tokens are kept in memory; the one looked up first goes first."""
UNKNOWN_MAX: Final = 10_000
"""So many texts that are no tokens are kept in memory."""
LONGEST_TOKEN: Final = 512
_CLOCK_EVERY_S: Final = 60.0
_RETRY_S: Final = (0.05, 0.2, 0.5, 1.0, 2.0)

_event = msgspec.msgpack.Decoder(Event)
_log = logging.getLogger(__name__)


class Authenticator:
    """Tokens of one store. `start` it before use; `close` ends the following."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[bytes, Principal] = {}
        self._digests: dict[str, bytes] = {}
        self._unknown: dict[bytes, None] = {}
        self._digested = Remembered[str, bytes](4096)  # texts that came as tokens lately, of whatever use -> digests
        self._following = False
        self._changes = 0  # raised by whatever makes an answer that is still under way stale
        self._clock_offset_ms = 0.0
        self._clock_read_s = 0.0
        self._epoch = ""
        self._cursor = "0-0"
        self._callbacks: list[Callable[[str], None]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to follow the control partition. A data server that is away is waited for in the background."""
        with contextlib.suppress(Unavailable):
            await self._catch_up()
            self._following = True
        self._task = asyncio.create_task(self._follow(), name="authenticator")

    async def close(self) -> None:
        """Ends the following; memory is dropped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._drop()

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Calls back with the id of every token that is revoked from now on, by whichever process."""
        self._callbacks.append(callback)

    def now_ms(self) -> int:
        """The data server's clock as last read, carried on by our own, ms since the Unix epoch."""
        return int(self._clock_offset_ms + time.monotonic() * 1000)

    def cached(self, token: str) -> Principal | None:
        """Who holds this token, when memory knows and it has not expired; for the path that must be quick."""
        principal = self._known.get(self._digested.get(token) or self._digest(token))
        if principal is not None and principal.expires_ms and principal.expires_ms <= self.now_ms():
            self._forget(principal.id)
            return None
        return principal

    def _digest(self, token: str) -> bytes:
        found = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        return self._digested.add(token, found) if len(token) <= LONGEST_TOKEN else found

    def is_own(self, token: str) -> bool:
        """Whether the text was made by this server, revoked or not. Tells guesses from devices, without a look-up."""
        return secrets.is_own_token(self._store.server_key, token)

    async def authenticate(self, token: str) -> Principal:
        """Who holds this token. Raises Refusal (unauthorized; of a session that ended also `reason`, and `by` whom),
        or Unavailable when that cannot be known now.
        """
        return self.cached(token) or await self._look_up(token)

    def revoked(self, token_id: str) -> None:
        """Forgets a token and tells who asked to be told. The process that revokes need not wait for the stream."""
        self._forget(token_id)
        for callback in self._callbacks:
            callback(token_id)

    async def _look_up(self, token: str) -> Principal:
        if not token or len(token) > LONGEST_TOKEN:
            raise Refusal("unauthorized")
        digest = self._digest(token)
        if digest in self._unknown:
            raise Refusal("unauthorized")
        if not self._clock_read_s:
            await self._catch_up()
        changes = self._changes
        record = await self._store.token_by_digest(digest.hex())
        if changes != self._changes:  # something was revoked or made meanwhile: what was read may be older than that
            record = await self._store.token_by_digest(digest.hex())
        elif self._following:
            self._remember(digest, record)
        principal = None if record is None else self._valid(record)
        if principal is None:
            raise _refused(record)
        return principal

    def _remember(self, digest: bytes, record: TokenRecord | None) -> None:
        if record is None:
            self._unknown[digest] = None
            if len(self._unknown) > UNKNOWN_MAX:
                del self._unknown[next(iter(self._unknown))]
        elif (principal := self._valid(record)) is not None:
            self._known[digest] = principal
            self._digests[principal.id] = digest
            if len(self._known) > KNOWN_MAX:
                self._forget(next(iter(self._known.values())).id)

    def _valid(self, record: TokenRecord) -> Principal | None:
        if record.revoked_ms or (record.expires_ms and record.expires_ms <= self.now_ms()):
            return None
        return Principal(
            record.id, Role(record.role), record.hall, record.window, record.name, record.expires_ms, record.staff
        )

    def _forget(self, token_id: str) -> None:
        self._changes += 1
        digest = self._digests.pop(token_id, None)
        if digest is not None:
            self._known.pop(digest, None)

    def _drop(self) -> None:
        self._changes += 1
        self._following = False
        self._known.clear()
        self._digests.clear()
        self._unknown.clear()

    async def _catch_up(self) -> None:
        touched = await self._store.touch(CONTROL)
        self._clock_read_s = time.monotonic()
        self._clock_offset_ms = touched.now_ms - self._clock_read_s * 1000
        if touched.ep == self._epoch:
            return
        self._drop()
        first = not self._epoch
        self._epoch = touched.ep
        # After a rewind the position may lie beyond the stream's end; what follows it would never come.
        self._cursor = touched.last_id if first else min(self._cursor, touched.last_id, key=_position)

    async def _follow(self) -> None:
        reader = self._store.reader((CONTROL,))
        tries = 0
        try:
            while True:
                try:
                    if not self._following:
                        await self._catch_up()
                        self._following = True
                    tries = 0
                    await self._read(reader)
                except Unavailable as error:
                    if self._following:
                        _log.warning("tokens cannot be followed: %s", error)
                    self._drop()
                    await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                    tries += 1
                except Exception:
                    _log.exception("following tokens failed; going on")
                    self._drop()
                    await asyncio.sleep(_RETRY_S[-1])
        finally:
            await reader.close()

    async def _read(self, reader: Reader) -> None:
        while True:
            found = await reader.read({CONTROL: self._cursor})
            for entry in found.get(CONTROL, ()):
                self._apply(entry)
                self._cursor = entry[0].decode()
            if time.monotonic() - self._clock_read_s > _CLOCK_EVERY_S:
                await self._catch_up()
                self._following = True

    def _apply(self, entry: Entry) -> None:
        _, fields = entry
        packed = fields.get(b"e")
        if packed is None:  # the epoch changed: another server, perhaps with an older past
            self._drop()
            self._following = True
            self._epoch = fields[b"x"].decode()
            return
        event = _event.decode(packed)
        if event.kind == "token.revoked":
            self.revoked(event.more()["token"])
        elif event.kind == "token.created":
            self._unknown.clear()
            self._forget(event.more()["token"])  # one of the same id may have stood there before


def _refused(record: TokenRecord | None) -> Refusal:
    """Why a token is no good; its holder may know what became of a session."""
    if record is None or not record.staff:
        return Refusal("unauthorized")
    if record.ended:
        return Refusal("unauthorized", "the session has ended", reason=record.ended, by=record.ended_by)
    return Refusal("unauthorized", "the session has ended", reason="expired")


def _position(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
