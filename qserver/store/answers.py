"""What the store answers, as types; and who asks. Only shapes live here."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from qserver.domain import hall as halls
from qserver.domain import ticket as public

T = TypeVar("T")


class Op(msgspec.Struct, frozen=True):
    """Who gives a command, and under which key its answer is kept.

    `key`: digest of token, method, path and Idempotency-Key, b"" to keep nothing; `body`: 16 bytes, digest of the
    body's bytes. `seated`: a clerk who logged in, who commands a window only while it is his by the record.
    """

    actor: str
    key: bytes = b""
    body: bytes = b""
    seated: bool = False


SYSTEM = Op("system")


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """What a command gave, and whether it is the kept answer of an earlier command with the same key."""

    value: T
    replayed: bool


class Configured(NamedTuple):
    """A hall's definition, the revision it stands in, and whether the command made the hall."""

    hall: halls.Hall
    revision: str
    created: bool


class Issued(msgspec.Struct, frozen=True):
    """Answer of `issue` and of a look at one's own ticket. `ahead` counts waiting tickets called earlier."""

    ticket: public.Ticket
    ahead: int
    open_windows: int
    mean_ms: int


class Called(msgspec.Struct, frozen=True):
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
    """One rating as handed to the function. `score` 1..5; `age_ms`: how long ago it was given, by the device;
    `number`: the device's own count of its ratings, proven by its signature, 0 when it did not sign."""

    rid: str
    ticket: str
    leg: int
    score: int
    age_ms: int
    aspects: list[str] = []
    reasons: list[str] = []
    comment: str = ""
    number: int = 0


class ShownItem(msgspec.Struct, array_like=True, frozen=True):
    """A prompt that a pad showed `age_ms` ago. `signed`: the device proved that it says so."""

    ticket: str
    leg: int
    age_ms: int
    signed: bool = False


class RatingResult(msgspec.Struct, array_like=True, frozen=True):
    """What became of one rating: recorded, duplicate, conflict or rejected (with a code).

    Of a conflict: the rid (of a pad's rating, else ""), the source and the instant of the rating that stands.
    """

    rid: str
    status: str
    code: str
    against_rid: str = ""
    against_source: str = ""
    against_ms: int = 0


class Rated(msgspec.Struct, frozen=True):
    """Answer of `rate`: a result per rating, the server's clock, ms, and what became of each prompt that was shown."""

    results: list[RatingResult]
    now_ms: int
    shown: list[str]


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


class PadRecord(NamedTuple):
    """What is known of the pads at a window. `device`: the one that rated last, "" for none that signs; `known`: those
    remembered, the latest first: id and highest number; `doubt`: of the ratings whose pad is
    doubted how many, and of the last one why, when (ms), device ("" = unsigned), number; False without any.
    """

    window: str
    device: str
    known: list[tuple[str, int]]
    doubt: tuple[int, str, int, str, int] | bool


class StreamInfo(NamedTuple):
    """How long a partition's stream is and between which ids it lies ("0-0" when empty)."""

    length: int
    first_id: str
    last_id: str


class TokenRecord(msgspec.Struct, array_like=True, frozen=True):
    """A token as stored: never the token itself, only its digest. `expires_ms` 0 = never.

    `staff`: whose session it is, "" of a device or system. A session that ended is known until it would have ended by
    itself: `revoked_ms`, `ended` (why) and `ended_by` (whose doing it was) are set then.
    """

    id: str
    role: str
    hall: str
    window: str
    name: str
    digest: str
    created_ms: int
    expires_ms: int
    revoked_ms: int
    staff: str = ""
    ended: str = ""
    ended_by: str = ""


class StaffRecord(msgspec.Struct, array_like=True, frozen=True):
    """Somebody who logs in. The record leaves the store, its `hash` and `sessions` never the server."""

    hall: str
    id: str
    name: str
    role: str
    windows: list[str]  # where a clerk may work; none named = every window
    hash: str  # of the password: argon2id, in its PHC form
    created_ms: int
    changed_ms: int  # when the password was set
    disabled_ms: int  # 0 = may log in
    wrong: int  # tries to log in since the last one that went well
    tried_ms: int  # when the last of them was
    locked_ms: int  # until when nobody may try, 0 = not locked
    login_ms: int  # the last log-in, 0 = none yet
    sessions: list[str]  # digests of its sessions' tokens, oldest first


class Actor(msgspec.Struct, frozen=True):
    """Who it is that stands on record: a role, a name ("" = none was given), and whether it is a person; else a device
    or a system."""

    role: str
    name: str
    person: bool


class Session(NamedTuple):
    """A log-in that went well: the session's token, and the ids of the sessions that ended for it."""

    token: TokenRecord
    ended: list[str]


class StaffChange(NamedTuple):
    """A person as it is after a change, and the ids of the sessions that ended for it."""

    person: StaffRecord
    ended: list[str]


class PairingRecord(msgspec.Struct, array_like=True, frozen=True):
    """A one-time code that a page exchanges for a token. `expires_ms` 0 = when used."""

    id: str
    role: str
    hall: str
    window: str
    name: str
    expires_ms: int


class HookRecord(msgspec.Struct, array_like=True, frozen=True):
    """A webhook as stored: what it is, whose turn it is to send, how it goes. Its secrets are derived, never stored.

    The field order is the order in Redis; append only. Instants are ms since the Unix epoch, 0 = never.
    """

    id: str
    hall: str  # "" = all
    url: str
    kinds: list[str]
    name: str
    created_ms: int
    secret: int  # which of its secrets is the present one, from 1
    previous_until_ms: int  # until when the one before it signs too
    disabled_ms: int
    why: str  # why it is disabled
    lease: str  # the process that sends
    lease_until_ms: int
    failures: int  # in a row
    rest_until_ms: int  # until when the receiver asked to be left alone
    tried_ms: int
    letters: int  # the last letter's number
    waiting: int  # letters to be tried again
    dead: int  # letters kept that are tried no more
    sent: int  # ever
    failed: int  # attempts, ever
    died: int  # letters, ever
    dropped: int  # dead letters that made room for later ones, ever
    sent_ms: int
    failed_ms: int
    error: str  # the last one
    settled: int  # the last settlement's number


class LetterRecord(msgspec.Struct, array_like=True, frozen=True):
    """An event that could not be delivered, kept as it was to be sent. Instants are ms since the Unix epoch."""

    n: int
    id: str  # the event's
    kind: str
    body: str
    at_ms: int  # when it happened
    attempts: int
    due_ms: int  # of the next attempt; 0 = dead
    tried_ms: int  # 0 = never
    error: str  # the last one
    dead_ms: int  # 0 = it is to be tried again
    hurried: bool  # it was tried before its time once, because the receiver was back


class Taken(NamedTuple):
    """A webhook whose turn it may be. `ours`: nobody else sends for it until the lease ends.

    `letters`: those that are due, or else the one that is due next; `now_ms` by the data server's clock.
    """

    hook: HookRecord
    now_ms: int
    ours: bool
    letters: list[LetterRecord]


class Tried(msgspec.Struct, array_like=True, frozen=True):
    """What became of a letter. `delay_ms`: until the next attempt; -1 = it is dead, -2 = it was delivered."""

    n: int
    delay_ms: int
    error: str


class Failed(msgspec.Struct, array_like=True, frozen=True):
    """An event of the feed that was not delivered and becomes a letter. `delay_ms`: -1 = a dead one at once."""

    id: str
    kind: str
    body: str
    at_ms: int
    attempts: int
    delay_ms: int
    error: str


class Settlement(msgspec.Struct, array_like=True, frozen=True):
    """What became of everything of one round. `group`, `positions`: up to where the feed was read, "" = not at all.

    `number`: one more than that of the settlement before; the same one again changes nothing.

    `failures` in a row now; `back`: it answers again, so letters are due, each once; `rest_ms`: how long it wants to be
    left alone, 0 = not; `gone`: it wants no more at all.
    """

    letters: list[Tried]
    events: list[Failed]
    group: str
    positions: list[int]
    sent: int
    failed: int
    failures: int
    back: bool
    rest_ms: int
    gone: bool
    error: str
    number: int
