"""The ledger of days gone by, and what an archive needs of them: one method, one FCALL.

Which tickets a day had, until when they stay, and what each archive holds is decided in lua/ledger.lua.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from qserver.domain import ticket as public

from . import keys, records
from .answers import SYSTEM
from .records import DayRecord
from .reviews import ReviewStore

PAGE = 250
"""Tickets or reviews read at once: a few ms of the loop and of the data server."""
_EVALUATION = 11  # of a hall's keys: reviews and cases by id

_ledger = msgspec.msgpack.Decoder(tuple[int, str, int, int, int, int, list[DayRecord], list[tuple[str, int]]])
_listed = msgspec.msgpack.Decoder(tuple[int, int, bool])
_record = msgspec.msgpack.Decoder(records.TicketRecord)
_case = msgspec.msgpack.Decoder(records.CaseRecord)


class Ledger(NamedTuple):
    """What the data server knows of a hall's days, as of `now_ms`."""

    today: str
    now_ms: int
    reviews_before: int
    """Today's reviews have higher numbers."""
    days: dict[str, DayRecord]
    """Days gone by; of those that have left only the ones of which something changed since."""
    oldest: int
    """The issue sequence of the oldest ticket that is still here."""
    first_today: int
    """The issue sequence of today's first ticket."""
    archives: dict[str, int]
    """When each archive was heard of last, ms."""

    def complete(self, day: str) -> bool:
        """Whether every ticket of a day is in the data server."""
        if day == self.today:
            return True
        record = self.days.get(day)
        return record is not None and record.last > 0 and record.first >= self.oldest

    def start(self, day: str) -> tuple[int, int]:
        """What stands before a day's first ticket and its first review; 0 where that is not known."""
        if day == self.today:
            return self.first_today - 1, self.reviews_before
        record = self.days.get(day)
        return (max(0, record.first - 1), record.reviews_before) if record else (0, 0)


class KeptTicket(NamedTuple):
    """A ticket with the keyed hash of its person, "" without."""

    ticket: public.Ticket
    person: str


class LedgerStore(ReviewStore):
    """Days gone by and their archives."""

    async def ledger(self, hall: str) -> Ledger:
        """What is known of the hall's days. Refused: not_found."""
        packed, _ = await self._read(hall, "ledger")
        _, today, now_ms, before, oldest, first, days, archives = _ledger.decode(packed)
        return Ledger(today, now_ms, before, {one.day: one for one in days}, oldest, first, dict(archives))

    async def register_archive(self, archive: str) -> None:
        """Says in every partition that an archive is there: from now on tickets leave only once it holds them."""
        for partition in range(self.partitions):
            await self._shared(partition, "register_archive", "FCALL", archive)

    async def archived(self, hall: str, archive: str, day: str, changed: int) -> None:
        """An archive holds a day as it was when the ledger said `changed` of it."""
        await self._command(hall, "archived", SYSTEM, archive, day, changed)

    async def kept_tickets(self, hall: str, day: str, after: int = 0) -> AsyncIterator[list[KeptTicket]]:
        """All tickets of a business day that are here, page by page; `after`: what stands before its first."""
        more = True
        while more:
            packed, found = await self._read(hall, "list_tickets", after, PAGE, "", "", day)
            _, after, more = _listed.decode(packed)
            page = [_record.decode(one) for one in found]
            yield [KeptTicket(records.ticket(hall, one), one.person) for one in page]

    async def kept_reviews(self, hall: str, after: int = 0) -> AsyncIterator[list[public.Review]]:
        """All reviews with higher numbers than `after`, page by page."""
        at: str | None = str(after)
        while at is not None:
            page, at = await self.reviews(hall, limit=PAGE, after=at)
            yield page

    async def kept_cases(self, hall: str, cases: list[str]) -> list[public.Case]:
        """Those promised cases of these numbers that are there."""
        if not cases:
            return []
        tag = self.tag(self.partition(hall))
        names = ["c:" + case for case in cases]
        found: Any = await self._topology.call(tag, "HMGET", keys.hall_keys(tag, hall)[_EVALUATION], *names)
        return [records.case(_case.decode(packed)) for packed in found if packed is not None]
