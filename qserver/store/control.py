"""Tokens and pairing codes: the control partition's commands. Digests only; the texts are never seen here."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from . import keys
from .answers import Answer, Op, PairingRecord, TokenRecord
from .gate import Gate

_token = msgspec.msgpack.Decoder(TokenRecord)
_token_answer = msgspec.msgpack.Decoder(tuple[int, TokenRecord])
_pairing_answer = msgspec.msgpack.Decoder(tuple[int, PairingRecord])


class ControlStore(Gate):
    """What belongs to no hall."""

    async def create_token(
        self,
        op: Op,
        *,
        token_id: str,
        role: str,
        hall: str = "",
        window: str = "",
        name: str = "",
        digest: str,
        expires_ms: int = 0,
    ) -> Answer[TokenRecord]:
        """Records a token by the digest of its text; one of the same id is replaced. `expires_ms` 0 = never."""
        packed, replayed = await self._control(
            "create_token", op, token_id, role, hall, window, name, digest, expires_ms
        )
        return Answer(_token_answer.decode(packed)[1], replayed)

    async def tokens(self) -> list[TokenRecord]:
        """All tokens that were not revoked, oldest first."""
        names = keys.control_keys()
        found: Any = await self._topology.call(keys.CONTROL_TAG, "HVALS", names[6])
        tokens = [token for token in map(_token.decode, found) if not token.revoked_ms]
        return sorted(tokens, key=lambda token: (token.created_ms, token.id))

    async def token_by_digest(self, digest: str) -> TokenRecord | None:
        """The token whose text has this digest (sha256, hex); a session that ended among them, see TokenRecord."""
        packed: Any = await self._topology.call(keys.CONTROL_TAG, "HGET", keys.control_keys()[6], digest)
        return None if packed is None else _token.decode(packed)

    async def revoke_token(self, op: Op, token_id: str) -> Answer[TokenRecord]:
        """Ends a token at once. Refused: not_found."""
        packed, replayed = await self._control("revoke_token", op, token_id)
        return Answer(_token_answer.decode(packed)[1], replayed)

    async def create_pairing(
        self,
        op: Op,
        *,
        pairing_id: str,
        digest: str,
        role: str,
        hall: str,
        window: str = "",
        name: str = "",
        ttl_ms: int,
    ) -> Answer[PairingRecord]:
        """Records a one-time pairing code by its digest; `ttl_ms` 0 = it lives until used."""
        packed, replayed = await self._control(
            "create_pairing", op, pairing_id, digest, role, hall, window, name, ttl_ms
        )
        return Answer(_pairing_answer.decode(packed)[1], replayed)

    async def redeem_pairing(self, op: Op, digest: str, *, token_id: str, token_digest: str) -> Answer[TokenRecord]:
        """Exchanges a pairing code for a token, once. Refused: not_found."""
        packed, replayed = await self._control("redeem_pairing", op, digest, token_id, token_digest)
        return Answer(_token_answer.decode(packed)[1], replayed)

    async def now(self) -> int:
        """The data server's clock, ms since the Unix epoch."""
        seconds, micros = await asyncio.ensure_future(self._time())
        return int(seconds) * 1000 + int(micros) // 1000

    async def _time(self) -> Any:
        return await self._topology.call(keys.CONTROL_TAG, "TIME")

    async def ping(self) -> None:
        """Asks every primary whether it answers. Raises Unavailable."""
        await asyncio.gather(*(link.call("PING") for link in self._topology.primaries()))

    async def info(self) -> dict[str, str]:
        """INFO of the first primary, as one dict."""
        text: Any = await self._topology.primaries()[0].call("INFO")
        rows = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
        return {name: value for name, _, value in rows}
