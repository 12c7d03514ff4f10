"""A position of a group as consumers hold it: opaque text, good for the group and the shard it was given for. Pure."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import NamedTuple

import msgspec

from qserver.domain.errors import Refusal

SHARDS_MAX = 32
_SHARD = re.compile(r"([1-9]\d?)/([1-9]\d?)")
LONGEST = 32_768
"""Twenty letters per partition and a little; there may be 1024 partitions."""


class Shard(NamedTuple):
    """Part `k` (from 1) of `of` among which consumers of a group divide its events."""

    k: int = 1
    of: int = 1

    def has(self, hall: str, ticket: str, window: str) -> bool:
        """Whether an event belongs to this part. All of a ticket's events fall to the same, so do a window's."""
        if self.of == 1:
            return True
        return zlib.crc32(f"{hall}/{ticket or window}".encode()) % self.of == self.k - 1


def shard(text: str) -> Shard:
    """Reads `1/4`; "" is the whole. Refused: validation."""
    if not text:
        return Shard()
    match = _SHARD.fullmatch(text)
    found = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= found.k <= found.of <= SHARDS_MAX:
        raise Refusal("validation", f"shard: write 1/4 for the first of four, at most {SHARDS_MAX}", field="shard")
    return found


class Cursor(msgspec.Struct, array_like=True, frozen=True):
    """Group (the id of its record), shard, and four numbers per partition."""

    group: str
    k: int
    of: int
    positions: list[int]

    def text(self) -> str:
        """The cursor as consumers get it."""
        packed = msgspec.msgpack.encode(self)
        return base64.urlsafe_b64encode(zlib.crc32(packed).to_bytes(4, "big") + packed).decode().rstrip("=")


_decode = msgspec.msgpack.Decoder(Cursor).decode


def read(text: str) -> Cursor:
    """The cursor in a text. Refused: validation."""
    try:
        if not text.isascii() or len(text) > LONGEST:
            raise ValueError
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        packed = raw[4:]
        if zlib.crc32(packed).to_bytes(4, "big") != raw[:4]:
            raise ValueError
        found = _decode(packed)
        if not 1 <= found.k <= found.of <= SHARDS_MAX or len(found.positions) % 4 or min(found.positions) < 0:
            raise ValueError
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise Refusal("validation", "cursor: this is none of ours", field="cursor") from None
    return found
