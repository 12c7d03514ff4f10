"""Fills the archive, and empties it when times are over.

Every process that has an archive may run this: the directory's lock lets one of them work at a time, what is to be done
stands in the hall's ledger in Redis, and the same day archived twice is the same file. A day is archived after its
turn, and again when something about it changed: at once when its tickets wait to leave, else now and then, for reports
take such a day from Redis anyway. It is confirmed only when it is safe on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from typing import Final

import msgspec

from qserver.domain.calendar import business_day
from qserver.domain.errors import Unavailable
from qserver.domain.hall import Hall
from qserver.domain.report import day_of
from qserver.domain.ticket import Review
from qserver.rounds import Rounds
from qserver.store.ledger import Ledger
from qserver.store.records import DayRecord
from qserver.store.store import Store

from .shelf import Head, Line, Shelf

EVERY_S: Final = 30.0
AGAIN_S: Final = 900.0
"""A day that is here and not waiting to leave is written again at most this often."""
RETAIN_S: Final = 3600.0
"""How often to say that the archive lives, and to look for what is over its time."""

log = logging.getLogger(__name__)


class Archiver:
    """Archives the days of a store on an opened shelf."""

    def __init__(self, store: Store, shelf: Shelf, *, every_s: float = EVERY_S, again_s: float = AGAIN_S) -> None:
        self._store = store
        self._shelf = shelf
        self._again_s = again_s
        self._rounds = Rounds("archiving", self.once, every_s, log, self._count_failure)
        self._written: dict[tuple[str, str], float] = {}
        self._impersonal: set[tuple[str, str]] = set()
        self._retained_s = float("-inf")
        self.days = 0
        self.waiting = 0
        self.errors = 0

    async def start(self) -> None:
        """Says that the archive is there, and begins to fill it. Raises Unavailable."""
        await self._store.register_archive(self._shelf.id)
        self._rounds.start()

    async def stop(self) -> None:
        """Ends; what is half written is dropped."""
        await self._rounds.stop()

    def _count_failure(self) -> None:
        self.errors += 1

    async def once(self) -> int:
        """Archives what is to be archived now, drops what is over its time; answers how many days were written.

        Raises Unavailable, OSError (no lock).
        """
        with self._shelf.lock() as mine:
            if not mine:
                return 0
            now_s = asyncio.get_running_loop().time()
            retain = now_s - self._retained_s >= RETAIN_S
            if retain:
                await self._store.register_archive(self._shelf.id)
            written = waiting = 0
            for hall in await self._store.halls():
                ledger = await self._store.ledger(hall.id)
                if retain:
                    await asyncio.to_thread(self._shelf.tidy, hall.id)
                for day in ledger.days.values():
                    leaving = ledger.now_ms >= day.until_ms
                    written_s = self._written.get((hall.id, day.day), float("-inf"))
                    held = self._holds(day) and (not retain or self._shelf.holds(hall.id, day.day))
                    if held or not (leaving or now_s - written_s >= self._again_s):
                        continue
                    self._written[hall.id, day.day] = now_s
                    done = await self._apart(self._archive(hall.id, ledger, day))
                    written += done
                    waiting += leaving and not done
                if retain:
                    await self._apart(self._retain(hall, ledger))
            self.waiting = waiting
            if retain:
                self._retained_s = now_s
            return written

    async def _apart(self, work: Awaitable[None]) -> bool:
        """Does something about one day or hall; what goes wrong with it stands in nobody else's way."""
        try:
            await work
        except Unavailable:
            raise
        except Exception:
            self.errors += 1
            log.exception("the archive cannot be kept; going on")
            return False
        return True

    def _holds(self, day: DayRecord) -> bool:
        return dict(day.held).get(self._shelf.id, -1) >= day.changed

    # Writing

    async def _archive(self, hall: str, ledger: Ledger, day: DayRecord) -> None:
        """Writes a day and confirms it. One that left before this archive was there cannot come any more."""
        if ledger.complete(day.day):
            head = Head(
                hall=hall,
                day=day.day,
                as_of_ms=ledger.now_ms,
                changed=day.changed,
                reviews_before=day.reviews_before,
            )
            await self._write(head, self._from_store(hall, ledger, day.day))
        else:
            former = await asyncio.to_thread(self._shelf.head, hall, day.day)
            if former is not None:
                await self._rewrite(former, as_of_ms=ledger.now_ms, changed=day.changed)
            elif day.last:
                log.error("a day has left and is not in this archive", extra={"hall": hall, "day": day.day})
        await self._store.archived(hall, self._shelf.id, day.day, day.changed)

    async def _rewrite(self, former: Head, **changes: object) -> None:
        """Writes a day again from its own file, with what Redis knows of its reviews and cases now."""
        head = msgspec.structs.replace(former, **changes)
        await self._write(head, self._from_file(head))

    async def _write(self, head: Head, pages: AsyncIterator[list[Line]]) -> None:
        draft = await asyncio.to_thread(self._shelf.draft, head.hall, head.day)
        try:
            await asyncio.to_thread(draft.add, [Line(archive=head)])
            tickets = 0
            async for page in pages:
                tickets += sum(line.ticket is not None for line in page)
                await asyncio.to_thread(draft.add, page)
            await asyncio.to_thread(draft.publish)
        finally:
            await asyncio.shield(asyncio.to_thread(draft.discard))
        self.days += 1
        log.info("day archived", extra={"hall": head.hall, "day": head.day, "tickets": tickets})

    async def _from_store(self, hall: str, ledger: Ledger, day: str) -> AsyncIterator[list[Line]]:
        after, reviews_before = ledger.start(day)
        cases: list[str] = []
        async for page in self._store.kept_tickets(hall, day, after):
            yield [Line(ticket=one.ticket, person=one.person) for one in page]
            cases += [one.ticket.case for one in page if one.ticket.case]
        async for reviews in self._reviews(hall, day, reviews_before):
            yield [Line(review=review) for review in reviews]
        async for lines in self._cases(hall, cases):
            yield lines

    async def _from_file(self, head: Head) -> AsyncIterator[list[Line]]:
        newer = {
            review.id: review
            async for page in self._reviews(head.hall, head.day, head.reviews_before)
            for review in page
        }
        cases: list[str] = []
        kept: list[Line] = []
        lines = self._shelf.lines(head.hall, head.day)
        while page := await asyncio.to_thread(_some, lines):
            kept += [line for line in page if line.case]
            cases += [line.ticket.case for line in page if line.ticket and line.ticket.case]
            tickets = [line for line in page if line.ticket]
            yield tickets if head.personal else [msgspec.structs.replace(line, person="") for line in tickets]
            yield [line for line in page if line.review and line.review.id not in newer]
        yield [Line(review=review) for review in newer.values()]
        known = set()
        async for lines_ in self._cases(head.hall, cases):
            known |= {line.case.id for line in lines_ if line.case}
            yield lines_
        yield [line for line in kept if line.case and line.case.id not in known]

    async def _reviews(self, hall: str, day: str, after: int) -> AsyncIterator[list[Review]]:
        async for page in self._store.kept_reviews(hall, after):
            yield [review for review in page if day_of(review.ticket) == day]

    async def _cases(self, hall: str, numbers: list[str]) -> AsyncIterator[list[Line]]:
        for at in range(0, len(numbers), 200):
            yield [Line(case=case) for case in await self._store.kept_cases(hall, numbers[at : at + 200])]

    # Times that are over

    async def _retain(self, hall: Hall, ledger: Ledger) -> None:
        rules = hall.retention
        today = dt.date.fromisoformat(business_day(ledger.now_ms, hall.time_zone, hall.day_starts)[0])
        for day in await asyncio.to_thread(self._shelf.days, hall.id):
            age = (today - dt.date.fromisoformat(day)).days
            if rules.record_days and age > rules.record_days:
                await asyncio.to_thread(self._shelf.remove, hall.id, day)
                log.info("day removed: its time in the record is over", extra={"hall": hall.id, "day": day})
            elif age > rules.personal_days and (hall.id, day) not in self._impersonal:
                head = await asyncio.to_thread(self._shelf.head, hall.id, day)
                if head is not None and head.personal:
                    await self._rewrite(head, personal=False)
                    log.info("persons erased from a day's record", extra={"hall": hall.id, "day": day})
                self._impersonal.add((hall.id, day))

    def metrics(self) -> Iterable[str]:
        """Lines in Prometheus' text format."""
        yield "# HELP qserver_archive_days_total Days this process wrote to the archive."
        yield "# TYPE qserver_archive_days_total counter"
        yield f"qserver_archive_days_total {self.days}"
        yield "# HELP qserver_archive_errors_total Times the archive could not be written."
        yield "# TYPE qserver_archive_errors_total counter"
        yield f"qserver_archive_errors_total {self.errors}"
        yield "# HELP qserver_archive_waiting Days whose tickets waited to leave when this process looked last."
        yield "# TYPE qserver_archive_waiting gauge"
        yield f"qserver_archive_waiting {self.waiting}"


def _some(lines: Iterator[Line], most: int = 500) -> list[Line]:
    """The next lines, none at the end; the head is passed over."""
    found: list[Line] = []
    with contextlib.suppress(StopIteration):
        while len(found) < most:
            line = next(lines)
            if line.archive is None:
                found.append(line)
    return found
