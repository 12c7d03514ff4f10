"""Every change and every reading of a hall, as one typed method each: one method, one FCALL.

Methods raise `Refusal` (nothing changed; the code says why) or `Unavailable` (with `unknown` when the command was
sent and its answer lost: repeat it with the same `Op.key`). Nothing here decides; the functions in lua/ do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from qserver.domain import hall as halls
from qserver.domain import ticket as public
from qserver.domain.errors import Refusal

from . import keys, records
from .link import Reply
from .topology import Topology

T = TypeVar("T")
_TICKET = msgspec.msgpack.Decoder(records.TicketRecord)


class Op(NamedTuple):
    """Who gives a command, and under which key its answer is kept.

    `key`: digest of token, method, path and Idempotency-Key, b"" to keep nothing; `body`: digest of the body's bytes.
    """

    actor: str
    key: bytes = b""
    body: bytes = b""


SYSTEM = Op("system")


class Issued(NamedTuple):
    """Answer of `issue` and of a look at one's own ticket. `ahead` counts waiting tickets called earlier."""

    ticket: public.Ticket
    ahead: int
    open_windows: int
    mean_ms: int


class Called(NamedTuple):
    """Answer of `call`: the ticket called (None when nobody waits) and the one finished in the same step."""

    ticket: public.Ticket | None
    finished: public.Ticket | None


class RatingItem(msgspec.Struct, array_like=True, frozen=True):
    """One rating as handed to the function. `score` 1..5; `age_ms`: how long ago it was given, by the device."""

    rid: str
    ticket: str
    leg: int
    score: int
    age_ms: int
    aspects: list[str] = []
    reasons: list[str] = []
    comment: str = ""


class RatingResult(NamedTuple):
    """What became of one rating: recorded, duplicate, conflict, rejected (with a code) or retry."""

    rid: str
    status: str
    code: str


class BoardState(NamedTuple):
    """The public state of a hall at sequence `s` (last public event), epoch `ep`."""

    ep: str
    s: int
    hall: str
    calls: list[dict[str, Any]]
    windows: list[dict[str, Any]]
    waiting: dict[str, int]
    notices: list[dict[str, Any]]


class Stats(NamedTuple):
    """Live figures of a hall: counters and waiting per service (with the longest wait), windows as they are."""

    ep: str
    s: int
    day: str
    now_ms: int
    services: dict[str, dict[str, int]]
    windows: list[public.Window]
    open_reviews: int


class Touched(NamedTuple):
    """Answer of `touch`: the partition's epoch, the id of its stream's last entry and the server's clock."""

    ep: str
    last_id: str
    now_ms: int


class TokenRecord(msgspec.Struct, array_like=True, frozen=True):
    """A token as stored: never the token itself, only its digest. `expires_ms` 0 = never."""

    id: str
    role: str
    hall: str
    window: str
    name: str
    digest: str
    created_ms: int
    expires_ms: int
    revoked_ms: int
