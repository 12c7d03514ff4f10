"""What the store answers, as types; and who asks. Only shapes live here."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from qserver.domain import hall as halls
from qserver.domain import ticket as public

T = TypeVar("T")


class Op(NamedTuple):
    """Who gives a command, and under which key its answer is kept.

    `key`: digest of token, method, path and Idempotency-Key, b"" to keep nothing; `body`: 16 bytes, digest of the
    body's bytes.
    """

    actor: str
    key: bytes = b""
    body: bytes = b""


SYSTEM = Op("system")


class Answer(NamedTuple, Generic[T]):
    """What a command gave, and whether it is the kept answer of an earlier command with the same key."""

    value: T
    replayed: bool


class Configured(NamedTuple):
    """A hall's definition, the revision it stands in, and whether the command made the hall."""

    hall: halls.Hall
    revision: str
    created: bool


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


class Suspension(NamedTuple):
    """Whether issuing for a service is stopped, and why."""

    service: str
    suspended: bool
    reason: str


class Notice(NamedTuple):
    """A notice for the screens."""

    id: str
    text: str
    at_ms: int


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
    """The public state of a hall at sequence `s` (its last public event), epoch `ep`."""

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


class Due(NamedTuple):
    """Deadlines that are due in a partition, the instant of the next one (0 = none) and the server's clock, ms."""

    members: list[str]
    next_ms: int
    now_ms: int


class Touched(NamedTuple):
    """A partition's epoch, the id of its stream's last entry and the server's clock, ms."""

    ep: str
    last_id: str
    now_ms: int


class StreamInfo(NamedTuple):
    """How long a partition's stream is and between which ids it lies ("0-0" when empty)."""

    length: int
    first_id: str
    last_id: str


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


class PairingRecord(msgspec.Struct, array_like=True, frozen=True):
    """A one-time code that a page exchanges for a token. `expires_ms` 0 = when used."""

    id: str
    role: str
    hall: str
    window: str
    name: str
    expires_ms: int
