"""The floor of one hall and the citizens on it, who come, wait, leave, come back and rate.

Everybody acts through the hall's doors only and learns of the queue only from a board, as people do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

from qserver.domain.hall import Hall

from . import habits
from .clock import Clock
from .doors import Doors, Slip
from .habits import Person
from .record import Record
from .trace import Arrival, Change
from .world import Answered

TURNED_AWAY = frozenset({"quota_reached", "service_closed", "already_waiting"})
"""Refusals of a ticket that belong to a day."""
LOOKS_AGAIN_S = 20.0
"""Real seconds after which an idle clerk presses next even if the board shows nobody."""
STRANGER_S = 10.0
"""Real seconds a clerk waits for a slip to reach its holder before taking the ticket for a stranger's."""


class Citizen:
    """One person with a slip in hand."""

    def __init__(self, person: Person, url: str) -> None:
        self.person = person
        self.url = url
        self.gone = False
        self.called = False
        self.cancelled = False


class Floor:
    """One hall on its day: who is here, which clerk is idle, what is still to come."""

    def __init__(
        self,
        clock: Clock,
        doors: Doors,
        record: Record,
        hall: Hall,
        changes: Sequence[Change],
        closes_s: float,
        seed: int,
    ) -> None:
        self.clock = clock
        self.doors = doors
        self.record = record
        self.hall = hall
        self.seed = seed
        self.changes = changes
        self.closes_s = closes_s  # when windows without a closing time close, whoever still waits
        self.waiting: Counter[str] = Counter()
        self.serving = 0
        self._came: Counter[str] = Counter()
        self._slips: dict[str, asyncio.Future[Citizen]] = {}
        self._idle: dict[str, tuple[tuple[str, ...], asyncio.Event]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming = 0  # arrivals and returns still to come, tickets at windows

    # What the board shows.

    def board_shows(self, service: str, waiting: int, *, more: bool) -> None:
        """The hall's first board shows how many wait for a service; `more`: somebody joined them just now."""
        self.waiting[service] = waiting
        if more and waiting:
            self._came[service] += 1
            able = [(len(services), window) for window, (services, _) in self._idle.items() if service in services]
            if able:
                self._idle.pop(min(able)[1])[1].set()

    def board_anew(self, waiting: dict[str, int]) -> None:
        """The board began anew: every idle clerk looks."""
        self.waiting = Counter(waiting)
        self._came.update(name for name, count in waiting.items() if count)
        self._wake_all()

    def _wake_all(self) -> None:
        for _, woken in self._idle.values():
            woken.set()
        self._idle.clear()

    # The day.

    def expect(self, more: int = 1) -> None:
        """So much more is to come before clerks without a closing time may leave."""
        self._coming += more

    def settled(self) -> None:
        """One thing less to come."""
        self._coming -= 1
        if self._coming == 0:
            self._wake_all()

    @property
    def over(self) -> bool:
        """Nobody comes any more and no ticket is at a window."""
        return self._coming <= 0

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Lets somebody act on their own; what goes wrong is put on record."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._failed)

    def _failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.record.refused.append(f"{self.hall.id}: {error}")

    async def errands(self) -> None:
        """Waits for what people still do on their own: rate, come back, walk out."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close_up(self) -> None:
        """Everybody who still waits is sent home."""
        for slip in await self.doors.waiting():
            try:
                await self.doors.send_home(slip.id)
                self.record.left_over += 1
            except Answered as error:
                self.record.refused.append(f"{self.hall.id} closing: {error}")

    def stop(self) -> None:
        """Drops whatever people still meant to do."""
        for task in self._tasks:
            task.cancel()

    # Citizens.

    async def arrive(self, arrival: Arrival, number: int) -> None:
        """Somebody comes to the guide, gets a slip and, with little patience, leaves before being called."""
        person = habits.person(arrival, number, self.seed)
        try:
            issued = await self.doors.issue(arrival)
        except Answered as error:
            if error.code not in TURNED_AWAY:
                raise
            self.record.turned_away[error.code] += 1
            return
        finally:
            self.settled()
        citizen = Citizen(person, issued.url)
        self._slip(issued.ticket.id).set_result(citizen)
        if person.leaves_s is not None:
            await self.clock.until(person.leaves_s)
            await self._walk_out(citizen)

    async def _walk_out(self, citizen: Citizen) -> None:
        if citizen.called:
            return
        citizen.gone = True
        self.record.walked_out += 1
        if citizen.person.cancels and citizen.url:
            citizen.cancelled = True
            try:
                await self.doors.cancel_by_link(citizen.url)
            except Answered as error:
                if error.code != "wrong_state":  # called at this very moment: the clerk finds nobody
                    raise
                citizen.cancelled = False

    def _slip(self, ticket: str) -> asyncio.Future[Citizen]:
        return self._slips.setdefault(ticket, asyncio.get_running_loop().create_future())

    async def holder(self, ticket: str) -> Citizen | None:
        """Whose slip this is; the call may be quicker than the slip's way to its holder. None = nobody of ours."""
        slip = self._slip(ticket)
        if not slip.done():
            await asyncio.wait([slip], timeout=STRANGER_S)
        return slip.result() if slip.done() else None

    async def come_back(self, citizen: Citizen, slip: Slip) -> None:
        """Somebody who was missed asks the guide to wait again."""
        after = citizen.person.returns_after_s
        assert after is not None
        try:
            await self.clock.pause(after)
            citizen.gone = False
            await self.doors.return_(slip.id)
        finally:
            self.settled()

    async def rate(self, window: str, citizen: Citizen, slip: Slip) -> None:
        """Presses a face on the pad, some time after the service."""
        person = citizen.person
        if person.score is None:
            return
        await self.clock.pause(person.rates_after_s)
        rid = f"{habits.RATING_PREFIX}{self.doors.run}-{slip.id}-{slip.leg}"
        for _ in range(5):
            status = await self.doors.rate(window, rid, slip, person.score)
            if status != "retry":
                break
        if status != "recorded":
            self.record.refused.append(f"{self.hall.id} {window} rating of {slip.id}: {status}")

    # What clerks see.

    def came(self, services: Sequence[str]) -> int:
        """How many people the board has shown coming for these services so far."""
        return sum(self._came[service] for service in services)

    async def next_arrival(self, window: str, services: tuple[str, ...], until_s: float) -> None:
        """Waits until the board shows somebody for this window, or an instant of the day."""
        woken = asyncio.Event()
        self._idle[window] = (services, woken)
        longest = min(LOOKS_AGAIN_S, max(0.0, self.clock.left_s(until_s)))
        try:
            # Not wait_for: up to Python 3.11 it loses a cancellation that comes in the moment of waking.
            async with asyncio.timeout(longest):
                await woken.wait()
        except TimeoutError:
            self._idle.pop(window, None)
