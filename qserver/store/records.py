"""The records as they stand in Redis, field by field, and their public forms.

The function library packs records as flat MessagePack arrays (`{}` and nil do not survive cmsgpack), so the field
order here is the order there: `library.py` generates the Lua field numbers from these types. Append only.
Absent is 0, '' or false in a record and None in the public form. Only shapes and conversions live here.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from qserver.domain import reviews
from qserver.domain import ticket as public
from qserver.domain.lifecycle import State, WindowState

WAIT_WARNED, WAIT_OVER, SERVICE_WARNED, SERVICE_OVER, UNRELIABLE, SHOWN = 1, 2, 4, 8, 16, 32
"""Bits of `flags`; SHOWN: the pad said that it asked."""
SIGNALS: dict[public.Signal, int] = {name: 64 << n for n, name in enumerate(get_args(public.Signal))}
"""Bits of `flags` that are for people to look at."""


class LegRecord(msgspec.Struct, array_like=True, frozen=True):
    """A leg that has ended."""

    service: str
    window: str
    staff: str
    queued_ms: int
    first_called_ms: int
    called_ms: int
    started_ms: int
    finished_ms: int
    calls: int
    held_ms: int
    flags: int
    outcome: str
    rating: list[Any] | bool


class TicketRecord(msgspec.Struct, array_like=True, frozen=True):
    """A ticket; the fields from `service` on that legs share describe the current leg."""

    id: str
    no: str
    day: str
    iseq: int  # issue sequence of the hall, never reset
    service: str
    priority: str
    channel: str
    state: str
    leg: int
    window: str
    staff: str
    bound: str  # window whose own queue it waits in, '' for the service's queue
    score: float  # virtual arrival offset while waiting
    issued_ms: int
    arrival_ms: int  # original place in time; survives transfers
    queued_ms: int
    first_called_ms: int
    called_ms: int
    started_ms: int
    finished_ms: int
    calls: int
    held_ms: int
    hold_since_ms: int
    returns: int
    flags: int
    clock: int  # the hall's clock steps when the leg began
    events: int  # events of this ticket so far
    person: str  # keyed hash, '' without
    phone: str
    rest: list[str]  # services of the legs to come
    legs: list[LegRecord]
    rating: list[Any] | bool  # [score, source, at_ms, rid]
    outcome: str
    case: str


class WindowRecord(msgspec.Struct, array_like=True, frozen=True):
    """A window's session."""

    id: str
    state: str
    reason: str
    staff: str
    services: list[str]
    ticket: str  # ticket id at the window
    leg: int
    service: str
    since_ms: int
    limit_ms: int
    held_ms: int
    rate_ticket: str
    rate_leg: int
    rate_until_ms: int
    rated_at_ms: int = 0  # the pad's last rating, by the citizen's time
    rated_run: int = 0  # so many in a row stood close to the one before
    pad: str = ""  # the pad that signed a rating last


class ReviewRecord(msgspec.Struct, array_like=True, frozen=True):
    """A negative review; `history` is a list of [at_ms, step, actor, name, value, ...]; `due_ms` 0 without a term."""

    id: str
    state: str
    source: str
    window: str
    service: str
    staff: str
    ticket: str
    leg: int
    opened_ms: int
    due_ms: int
    late: bool  # a term passed, now or earlier
    history: list[list[Any]]
    stage: str
    assignee: str
    remind_ms: int  # when to remind of the running term; 0 once done
    overdue: bool  # the running term passed, and that is on record
    appealed_from: str  # the stage from which it was appealed
    upheld: bool  # an appeal was decided: there is no other
    appeal_until_ms: int


class CaseRecord(msgspec.Struct, array_like=True, frozen=True):
    """A promised case; `due_ms` 0 when its service has no limit; history as of a review."""

    id: str
    state: str
    service: str
    window: str
    staff: str
    ticket: str
    leg: int
    accepted_ms: int
    due_ms: int
    completed_ms: int
    warn_ms: int  # when to warn; 0 once done
    overtime: bool
    review: str
    history: list[list[Any]]


class DayRecord(msgspec.Struct, array_like=True, frozen=True):
    """A business day gone by, in the hall's ledger."""

    day: str
    first: int  # issue sequence of its first ticket; 0 when its tickets have left
    last: int
    until_ms: int  # its tickets are needed until then
    changed: int  # the hall's `s` when something that its figures rest on changed last
    held: list[tuple[str, int]]  # what each archive holds: its id, and the `changed` it holds
    reviews_before: int  # its reviews have higher numbers


class Counters(msgspec.Struct, array_like=True, frozen=True):
    """Live counters of one service on the current day, and its running mean service time."""

    issued: int = 0
    called: int = 0
    recalled: int = 0
    finished: int = 0
    missed: int = 0
    cancelled: int = 0
    expired: int = 0
    overtime_wait: int = 0
    overtime_service: int = 0
    wait_sum_ms: int = 0
    service_sum_ms: int = 0
    rated: int = 0
    negative: int = 0
    mean_ms: int = 0  # survives the day
    open_windows: int = 0
    waiting: int = 0
    last_place: float = 0  # the last virtual arrival in the queue so far
    doubtful: int = 0  # ratings whose pad is doubted
    shown: int = 0  # finishes about which a pad said that it asked


class BoardRecord(msgspec.Struct, array_like=True, frozen=True):
    """The public frame of an event as it stands in the stream."""

    hall: str
    s: int
    p: int
    k: str
    at_ms: int
    window: str
    state: str
    ticket: str
    service: str
    n: int
    waiting: int


_HEADS = {0xD9: 2, 0xDA: 3, 0xDB: 5}
_ticket = msgspec.msgpack.Decoder(TicketRecord)


def packed_ticket(raw: msgspec.Raw) -> TicketRecord:
    """A record that stands packed within a packed answer: a string to the packer, so its head is passed over."""
    view = memoryview(raw)
    return _ticket.decode(view[_HEADS.get(view[0], 1) :])


def _rating(value: list[Any] | bool) -> public.Rating | None:
    return public.Rating(score=value[0], source=value[1], at_ms=value[2]) if isinstance(value, list) else None


_OVERTIME = tuple(
    public.OvertimeFlags(wait=bool(n & WAIT_OVER), service=bool(n & SERVICE_OVER))
    for n in range(WAIT_OVER + SERVICE_OVER + 1)
)
"""The public flags by their bits: they are the same few values for every leg."""
_STATES = {str(state): state for state in State}


# Every answer about a ticket comes through the two that follow. They give the fields in their order, not by name: with
# 50 of them that is three times as quick, and was a twentieth of a command. A test asks for each under its name.


def _leg(number: int, leg: TicketRecord | LegRecord) -> public.Leg:
    queued, held, flags, rating = leg.queued_ms, leg.held_ms, leg.flags, leg.rating
    first, called, started, finished = leg.first_called_ms, leg.called_ms, leg.started_ms, leg.finished_ms
    return public.Leg(
        number,
        leg.service,
        leg.window or None,
        leg.staff or None,
        queued,
        first or None,
        called or None,
        started or None,
        finished or None,
        leg.calls,
        held,
        first - queued if first else None,  # wait_ms
        started - called if started else None,  # walk_ms
        finished - started - held if finished and started else None,  # service_ms
        _OVERTIME[flags & (WAIT_OVER | SERVICE_OVER)],
        _rating(rating) if rating else None,
        leg.outcome or None,
        flags & UNRELIABLE != 0,
        [name for name, bit in SIGNALS.items() if flags & bit] if flags else [],
    )


def ticket(hall: str, record: TicketRecord) -> public.Ticket:
    """The public form of a ticket's record. Personal fields (person, phone) are not in it."""
    legs = [_leg(number, leg) for number, leg in enumerate(record.legs, 1)] if record.legs else []
    current = _leg(record.leg, record)
    legs.append(current)
    return public.Ticket(
        record.id,
        record.no,
        hall,
        record.day,
        record.service,
        record.rest,
        record.priority,
        record.channel,
        _STATES[record.state],
        record.leg,
        current.window,
        current.staff,
        record.issued_ms,
        current.first_called_ms,
        current.called_ms,
        current.started_ms,
        current.finished_ms,
        record.calls,
        record.held_ms,
        current.wait_ms,
        current.walk_ms,
        current.service_ms,
        current.overtime,
        current.rating,
        current.outcome,
        record.case or None,
        record.returns,
        current.unreliable,
        legs,
        record.bound or None,  # to_window
        record.hold_since_ms or None,
    )


def window(record: WindowRecord, name: str) -> public.Window:
    """The public form of a window's session."""
    prompt = None
    if record.rate_ticket:
        prompt = public.RatePrompt(record.rate_ticket, record.rate_leg, record.rate_until_ms)
    return public.Window(
        id=record.id,
        name=name,
        state=WindowState(record.state),
        reason=record.reason or None,
        staff=record.staff or None,
        services=record.services,
        ticket=record.ticket.rpartition("-")[2] or None,
        leg=record.leg or None,
        service=record.service or None,
        since_ms=record.since_ms,
        limit_ms=record.limit_ms or None,
        held_ms=record.held_ms,
        rate=prompt,
    )


def _history(steps: list[list[Any]]) -> list[dict[str, object]]:
    return [
        {"at_ms": at_ms, "step": step, "actor": actor} | dict(zip(more[::2], more[1::2], strict=True))
        for at_ms, step, actor, *more in steps
    ]


def case(record: CaseRecord) -> public.Case:
    """The public form of a promised case."""
    return public.Case(
        id=record.id,
        state=record.state,
        service=record.service,
        window=record.window,
        staff=record.staff or None,
        ticket=record.ticket,
        leg=record.leg,
        accepted_ms=record.accepted_ms,
        due_ms=record.due_ms or None,
        completed_ms=record.completed_ms or None,
        overtime=record.overtime,
        review=record.review or None,
        history=_history(record.history),
    )


def review(record: ReviewRecord) -> public.Review:
    """The public form of a review."""
    may_appeal = record.stage in reviews.STEPS["appeal"].sources and not record.upheld
    return public.Review(
        id=record.id,
        state=record.state,
        source=record.source,
        window=record.window or None,
        service=record.service,
        staff=record.staff or None,
        ticket=record.ticket,
        leg=record.leg,
        opened_ms=record.opened_ms,
        due_ms=record.due_ms or None,
        late=record.late,
        history=_history(record.history),
        term=reviews.TERMS[record.stage] or None,
        result=record.stage.partition(":")[2] or None,
        assignee=record.assignee or None,
        appeal_until_ms=record.appeal_until_ms if may_appeal else None,
    )
