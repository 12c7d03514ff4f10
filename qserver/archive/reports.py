"""Reports of any day and month: days that are in Redis are counted from there, days that have left from the archive.

Both are counted by `domain.tally`, ticket by ticket, and forgotten: of a month only the durations stay in memory. What
takes time happens in a thread, and few reports at once. Reviews come from Redis while they are there, however
long ago their day left, for the follow-up goes on; those of the archive count only when Redis has them no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from qserver.domain.hall import Hall
from qserver.domain.report import (
    DayReport,
    MonthCount,
    MonthReport,
    compared_months,
    counted_day,
    day_of,
    month_report,
)
from qserver.domain.tally import By, Count
from qserver.store.ledger import KeptTicket, Ledger
from qserver.store.store import Store

from .shelf import Shelf

AT_ONCE: Final = 2
"""Reports counted at one time in a process; others wait."""


class Reports:
    """Reports of a store's halls. `shelf`: the archive, None without one."""

    def __init__(self, store: Store, shelf: Shelf | None = None) -> None:
        self._store = store
        self._shelf = shelf
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def day(self, hall: str, day: str, by: By) -> tuple[Hall, DayReport]:
        """The report of a business day YYYY-MM-DD, and its hall. Refused: not_found."""
        async with self._turns:
            definition = (await self._store.hall(hall)).hall
            ledger = await self._store.ledger(hall)
            counting = _Counting(self._store, self._shelf, hall, by, ledger, [day])
            await counting.reviews()
            count = await counting.day(day)
            people = await self._people(hall, by)
            return definition, await asyncio.to_thread(counted_day, definition, day, count, ledger.now_ms, people)

    async def month(self, hall: str, month: str, by: By) -> tuple[Hall, MonthReport]:
        """The report of a month YYYY-MM beside those it is compared with, and its hall. Refused: not_found."""
        async with self._turns:
            definition = (await self._store.hall(hall)).hall
            ledger = await self._store.ledger(hall)
            months = {one: await self._days(hall, one, ledger) for one in (month, *compared_months(month))}
            days = [day for found in months.values() for day in found]
            counting = _Counting(self._store, self._shelf, hall, by, ledger, days)
            await counting.reviews()
            counts = {one: MonthCount(by) for one in months}
            for one, found in months.items():
                for day in found:
                    count = await counting.day(day)
                    if count.issued:
                        await asyncio.to_thread(counts[one].add, day, count)
            people = await self._people(hall, by)
            return definition, await asyncio.to_thread(month_report, definition, month, counts, ledger.now_ms, people)

    async def _people(self, hall: str, by: By) -> dict[str, str]:
        """What staff are called now; whoever left long ago or never logs in has the id alone."""
        return {one.id: one.name for one in await self._store.staff(hall)} if by == "staff" else {}

    async def _days(self, hall: str, month: str, ledger: Ledger) -> list[str]:
        here = {day for day in (*ledger.days, ledger.today) if day.startswith(month) and ledger.complete(day)}
        if self._shelf is not None:
            here |= set(await asyncio.to_thread(self._shelf.days, hall, month))
        return sorted(here)


class _Counting:
    """Days of one hall being counted for one report: `reviews` once, then `day` for each."""

    def __init__(
        self, store: Store, shelf: Shelf | None, hall: str, by: By, ledger: Ledger, days: Iterable[str]
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._hall = hall
        self._by: By = by
        self._ledger = ledger
        self._reviewed = {day: Count(by) for day in days}
        self._seen: set[str] = set()

    async def reviews(self) -> None:
        """Count the reviews that Redis has of all the days."""
        starts = [await self._reviews_before(day) for day in self._reviewed]
        async for page in self._store.kept_reviews(self._hall, min(starts, default=0)):
            for review in page:
                count = self._reviewed.get(day_of(review.ticket))
                if count is not None:
                    count.review(review)
                    self._seen.add(review.id)

    async def _reviews_before(self, day: str) -> int:
        if self._ledger.complete(day) or self._shelf is None:
            return self._ledger.start(day)[1]
        head = await asyncio.to_thread(self._shelf.head, self._hall, day)
        return head.reviews_before if head else 0

    async def day(self, day: str) -> Count:
        """A day's whole count."""
        if self._ledger.complete(day) or self._shelf is None or not self._shelf.holds(self._hall, day):
            count = Count(self._by)
            async for page in self._store.kept_tickets(self._hall, day, self._ledger.start(day)[0]):
                await asyncio.to_thread(_add, count, page)
            # While they were read, the day's tickets may have left: then they are in the archive.
            if (
                self._shelf is None
                or (await self._store.ledger(self._hall)).complete(day)
                or not self._shelf.holds(self._hall, day)
            ):
                count.add(self._reviewed[day])
                return count
        return await asyncio.to_thread(self._from_archive, day)

    def _from_archive(self, day: str) -> Count:
        assert self._shelf is not None
        count = Count(self._by)
        for line in self._shelf.lines(self._hall, day):
            if line.ticket is not None:
                count.ticket(line.ticket)
            elif line.review is not None and line.review.id not in self._seen:
                count.review(line.review)
        count.add(self._reviewed[day])
        return count


def _add(count: Count, page: Iterable[KeptTicket]) -> None:
    for one in page:
        count.ticket(one.ticket)
