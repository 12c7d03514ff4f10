"""Every change and every reading of a hall, as one typed method each: one method, one FCALL.

Methods raise `Refusal` (nothing changed; the code says why) or `Unavailable` (with `unknown` when the command was
sent and its answer lost: repeat it with the same `Op.key`). Nothing here decides; the functions in lua/ do.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import msgspec
from msgspec.structs import astuple

from qserver.domain import hall as halls
from qserver.domain import holidays
from qserver.domain import ticket as public
from qserver.domain.errors import Refusal

from . import batch, keys, records
from .answers import (
    SYSTEM,
    Answer,
    BoardState,
    Configured,
    Due,
    Issued,
    Notice,
    Op,
    Rated,
    RatingItem,
    RatingResult,
    ShownItem,
    Stats,
    Suspension,
)
from .control import ControlStore
from .gate import by_pairs
from .hooks import HookStore
from .ledger import LedgerStore
from .reviews import cursor
from .staff import StaffStore
from .streams import Streams
from .windows import WindowStore

_position = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw, int, int, int])
_positions = msgspec.msgpack.Decoder(tuple[int, list[tuple[msgspec.Raw, int, int, int] | bool]])
_record = msgspec.msgpack.Decoder(records.TicketRecord)
_rated = msgspec.msgpack.Decoder(tuple[int, list[RatingResult], int, list[str]])
_stats = msgspec.msgpack.Decoder(
    tuple[int, str, int, str, int, list[tuple[str, records.Counters, int]], list[records.WindowRecord], int]
)
_unpack = msgspec.msgpack.decode

log = logging.getLogger(__name__)


class _Kept(NamedTuple):
    """A definition as last read."""

    rev: str
    configured: Configured


class Store(WindowStore, LedgerStore, ControlStore, StaffStore, HookStore, Streams):
    """All halls on one topology. `start` it once; every method may then be called by many at a time."""

    _halls: dict[str, _Kept]

    async def start(self) -> None:
        """Loads the functions; raises ValueError when the data server is of another make-up, Unavailable."""
        self._halls = {}
        await super().start()

    async def close(self) -> None:
        """Closes the connections."""
        await self._topology.close()

    # Halls

    async def configure(
        self, op: Op, hall: halls.Hall, *, if_match: str = "", exceptions: dict[str, bool] | None = None
    ) -> Answer[Configured]:
        """Makes or changes a hall; the same definition again changes nothing.

        `if_match`: the revision that must stand now. `exceptions`: days that differ from Monday-to-Friday, None = those
        of the hall's calendar. Refused: precondition_failed, in_use.
        """
        definition = msgspec.json.encode(hall)
        rules = msgspec.msgpack.encode(halls.compiled(hall, exceptions))
        revision = hashlib.sha256(definition + rules).hexdigest()[:16]
        packed, replayed = await self._command(hall.id, "configure", op, definition, rules, revision, if_match)
        _, revision, created = _unpack(packed)
        own = hall.calendar
        if exceptions is None and (said := holidays.warning(own.name, hall.time_zone, own.days, dt.date.today())):
            log.warning(said, extra={"hall": hall.id})
        return Answer(Configured(hall, revision, created), replayed)

    async def hall(self, hall: str) -> Configured:
        """A hall's definition. Refused: not_found."""
        tag = self.tag(self.partition(hall))
        key = keys.hall_keys(tag, hall)[6]
        rev: Any = await self._topology.call(tag, "HGET", key, "rev")
        kept = self._halls.get(hall)
        if rev is None:
            raise Refusal("not_found", what="hall")
        if kept is None or kept.rev != rev.decode():
            rev, definition = cast("list[bytes]", await self._topology.call(tag, "HMGET", key, "rev", "def"))
            found = msgspec.json.decode(definition, type=halls.Hall)
            kept = _Kept(rev.decode(), Configured(found, rev.decode().partition("@")[0], False))
            self._halls[hall] = kept
        return kept.configured

    async def halls(self) -> list[halls.Hall]:
        """All halls' definitions, by id."""
        tags = [self.tag(partition) for partition in range(self.partitions)]
        found: list[Any] = await asyncio.gather(*(self._topology.call(t, "SMEMBERS", keys.halls(t)) for t in tags))
        names = sorted(member.decode() for members in found for member in members)
        return [one.hall for one in await asyncio.gather(*(self.hall(name) for name in names))]

    async def post_notice(self, op: Op, hall: str, text: str) -> Answer[Notice]:
        """Puts a notice on the screens; the empty text takes all down."""
        packed, replayed = await self._command(hall, "notice", op, text)
        return Answer(Notice(*_unpack(packed)[1]), replayed)

    async def board(self, hall: str) -> BoardState:
        """What screens show, as of the hall's last public event."""
        packed, _ = await self._read(hall, "board")
        _, ep, s, calls, windows, waiting, notices = _unpack(packed)
        return BoardState(
            ep,
            s,
            hall,
            [dict(zip(("s", "ticket", "window", "service", "n", "at_ms"), one, strict=True)) for one in calls],
            [{"id": i, "name": name, "state": state, "ticket": no or None} for i, name, state, no in windows],
            by_pairs(waiting),
            [dict(zip(("id", "text", "at_ms"), one, strict=True)) for one in notices],
        )

    async def stats(self, hall: str) -> Stats:
        """Live figures of the hall's present day."""
        packed, _ = await self._read(hall, "stats")
        _, ep, s, day, now_ms, services, windows, open_reviews = _stats.decode(packed)
        return Stats(
            ep,
            s,
            day,
            now_ms,
            {service: _figures(counters, longest) for service, counters, longest in services},
            [records.window(w, w.id) for w in windows],
            open_reviews,
        )

    # Tickets

    async def issue(
        self,
        op: Op,
        hall: str,
        service: str,
        *,
        services: Sequence[str] = (),
        priority: str = "normal",
        channel: str = "guide",
        window: str = "",
        person: str = "",
        phone: str = "",
    ) -> Answer[Issued]:
        """Issues a ticket 取号. `person` comes hashed. Refused: no_such_service, no_such_window, validation (priority),
        service_closed, quota_reached, already_waiting."""
        packed, replayed = await self._command(
            hall, "issue", op, service, priority, channel, window, person, phone, *services
        )
        _, record, ahead, open_windows, mean_ms = _position.decode(packed)
        return Answer(
            Issued(records.ticket(hall, records.packed_ticket(record)), ahead, open_windows, mean_ms), replayed
        )

    async def cancel(self, op: Op, hall: str, ticket: str) -> Answer[public.Ticket]:
        """Ends a ticket that was not served. Refused: not_found, wrong_state."""
        return await self._moved(hall, "cancel", op, ticket)

    async def return_(self, op: Op, hall: str, ticket: str) -> Answer[public.Ticket]:
        """Puts a missed ticket back 过号恢复. Refused: not_found, wrong_state."""
        return await self._moved(hall, "return", op, ticket)

    async def postpone(self, op: Op, hall: str, ticket: str) -> Answer[public.Ticket]:
        """Lets the next ones of the queue go first. Refused: not_found, wrong_state."""
        return await self._moved(hall, "postpone", op, ticket)

    async def reprioritise(self, op: Op, hall: str, ticket: str, priority: str, reason: str) -> Answer[public.Ticket]:
        """Gives a waiting ticket another priority class. Refused: not_found, wrong_state, validation."""
        return await self._moved(hall, "reprioritise", op, ticket, priority, reason)

    async def position(self, hall: str, ticket: str) -> Issued:
        """A ticket and its place in the queue. Refused: not_found."""
        found = (await self.positions(hall, [ticket]))[0]
        if found is None:
            raise Refusal("not_found", what="ticket")
        return found

    async def positions(self, hall: str, tickets: Sequence[str]) -> list[Issued | None]:
        """Many tickets and their places at one instant; None for what is not there."""
        packed, _ = await self._read(hall, "positions", *tickets)
        return [
            Issued(records.ticket(hall, records.packed_ticket(row[0])), row[1], row[2], row[3])
            if isinstance(row, tuple)
            else None
            for row in _positions.decode(packed)[1]
        ]

    async def ticket(self, hall: str, ticket: str) -> public.Ticket:
        """A ticket by its number of today or its id. Refused: not_found."""
        return (await self.position(hall, ticket)).ticket

    async def tickets(
        self, hall: str, *, state: str = "", service: str = "", limit: int = 100, after: str = "", day: str = ""
    ) -> tuple[list[public.Ticket], str | None]:
        """Tickets of a business day ("" = today's) in order of issue, and where to go on (None at the end).

        Refused: validation when `after` is none of ours.
        """
        packed, found = await self._read(hall, "list_tickets", cursor(after), limit, state, service, day)
        _, last, more = _unpack(packed)
        return [records.ticket(hall, _record.decode(one)) for one in found], str(last) if more else None

    async def day_tickets(self, hall: str, day: str = "") -> list[public.Ticket]:
        """All tickets kept of a business day ("" = today's)."""
        return [one.ticket async for page in self.kept_tickets(hall, day) for one in page]

    async def queues(self, hall: str) -> list[public.Queue]:
        """What may be known of each service before taking a ticket."""
        (packed, _), configured = await asyncio.gather(self._read(hall, "queues"), self.hall(hall))
        names = {service.id: service for service in configured.hall.services}
        return [
            public.Queue(
                service=service,
                name=names[service].name if service in names else service,
                name_en=names[service].name_en if service in names else "",
                waiting=waiting,
                open_windows=open_windows,
                wait_estimate_ms=public.wait_estimate(waiting, open_windows, mean_ms),
                open=not reason,
                reason=reason or None,
            )
            for service, waiting, open_windows, mean_ms, reason in _unpack(packed)[1]
        ]

    async def suspend(self, op: Op, hall: str, service: str, reason: str) -> Answer[Suspension]:
        """Stops issuing for a service. Refused: no_such_service, wrong_state."""
        packed, replayed = await self._command(hall, "suspend", op, service, reason)
        return Answer(Suspension(*_unpack(packed)[1:]), replayed)

    async def resume_service(self, op: Op, hall: str, service: str) -> Answer[Suspension]:
        """Starts issuing again. Refused: no_such_service, wrong_state."""
        packed, replayed = await self._command(hall, "resume_service", op, service)
        return Answer(Suspension(*_unpack(packed)[1:]), replayed)

    # Ratings

    async def rate(
        self,
        op: Op,
        hall: str,
        window: str,
        items: Iterable[RatingItem],
        *,
        device: str = "",
        shown: Iterable[ShownItem] = (),
    ) -> Answer[Rated]:
        """Records ratings of legs finished at the window ("" = by the tickets' links), and prompts that its pad showed.

        `device`: which pad it is, for what it signed.
        """
        prompts = [value for one in shown for value in astuple(one)]
        ratings = [value for one in items for value in _rating(one)]
        packed, replayed = await self._command(
            hall, "rate", op, window, device, len(prompts) // len(ShownItem.__struct_fields__), *prompts, *ratings
        )
        _, results, now_ms, seen = _rated.decode(packed)
        return Answer(Rated(results, now_ms, seen), replayed)

    # Time, devices, the edge

    async def due(self, *partitions: int, limit: int = 500) -> Due:
        """Deadlines that are due, at most `limit` of each partition: members `KIND HALL ...`, which only `sweep`
        understands. The partitions must be `together`.
        """
        reply = await self._of(partitions, "due", "FCALL_RO", keys.due, limit)
        _, next_ms, now_ms = _unpack(reply[0])
        return Due([member.decode() for member in reply[1]], next_ms, now_ms)

    async def sweep(self, hall: str, members: Sequence[str]) -> int:
        """Does what the hall's due deadlines ask for; answers how many were still due."""
        packed, _ = await self._command(hall, "sweep", SYSTEM, *members)
        return int(_unpack(packed)[1])

    async def device_event(
        self, op: Op, hall: str, kind: str, *, device: str, role: str, topic: str, window: str = ""
    ) -> None:
        """Records that a device was connected or lost."""
        await self._command(hall, "device", op, kind, device, role, topic, window)

    async def keep(self, op: Op, hall: str | None, status: int, body: bytes) -> Answer[tuple[int, bytes]]:
        """Keeps an answer of the edge under `op.key`, or gives the one kept before. Refused: idempotency_mismatch."""
        text = body.decode()
        if hall is None:
            packed, replayed = await self._control("keep", op, status, text)
        else:
            packed, replayed = await self._command(hall, "keep", op, status, text)
        _, status, text = _unpack(packed)
        return Answer((status, text.encode()), replayed)


def _rating(item: RatingItem) -> tuple[Any, ...]:
    """A rating as the function reads it: what was said besides the score goes to the event as it is packed here."""
    said = _NOTHING_SAID
    if item.aspects or item.reasons or item.comment:
        said = _said(item.aspects, item.reasons, item.comment)
    return item.rid, item.ticket, item.leg, item.score, item.age_ms, item.number, said


def _said(aspects: list[str], reasons: list[str], comment: str) -> bytes:
    return batch.packed(("aspects", aspects, "reasons", reasons, "comment", comment))


_NOTHING_SAID = _said([], [], "")


def _figures(counters: records.Counters, longest_wait_ms: int) -> dict[str, int]:
    figures = msgspec.structs.asdict(counters)
    del figures["last_place"]  # of the queue's order, not a figure
    return figures | {"longest_wait_ms": longest_wait_ms}
