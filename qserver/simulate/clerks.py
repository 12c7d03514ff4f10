"""The clerks of one hall: open, call, wait, serve, finish and close by the plan of their window.

A clerk looks at the board, presses next and sees who comes; what a clerk cannot know is not used here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from . import habits, trace
from .doors import Slip
from .people import Citizen, Floor
from .trace import Change
from .world import Answered

STUMBLES = 5
"""Unexpected refusals after which a clerk gives up."""


async def work(floor: Floor) -> None:
    """Plays all windows of a hall to the end of the day, then waits for what people still do. Raises world.Silent."""
    async with asyncio.TaskGroup() as group:
        for window in floor.hall.windows:
            plan = trace.schedule(floor.changes, floor.hall.id, window.id)
            if plan:
                group.create_task(Clerk(floor, window.id, plan).work())
    await floor.errands()


class Clerk:
    """One window over its day."""

    def __init__(self, floor: Floor, window: str, plan: Sequence[Change]) -> None:
        self.floor = floor
        self.doors = floor.doors
        self.clock = floor.clock
        self.window = window
        self.plan = list(plan)
        self.services: tuple[str, ...] = ()
        self.stumbles = 0
        self.busy: tuple[Slip, Citizen] | None = None  # the service is over but not yet finished in the system

    async def work(self) -> None:
        """The whole day. What nobody expected goes on record and the clerk goes on."""
        while True:
            try:
                if await self._step():
                    return
            except Answered as error:
                self.floor.record.refused.append(f"{self.floor.hall.id} {self.window}: {error}")
                self.stumbles += 1
                if self.stumbles > STUMBLES:
                    return
                await self.doors.tidy(self.window)

    async def _step(self) -> bool:
        """From one person to the next; answers whether the day is over."""
        await self._follow_plan()
        if not self.services:
            if not self.plan:
                return True
            await self.clock.until(self.plan[0].at_s)
        elif not self.plan and self.clock.left_s(self.floor.closes_s) <= 0:
            await self._finish()
            await self.doors.close(self.window)
            return True
        elif not await self._call() and not self.plan and self.floor.over:
            await self.doors.close(self.window)
            return True
        return False

    async def _follow_plan(self) -> None:
        """Does what the plan says by now; between two people only."""
        wanted = self.services
        while self.plan and self.clock.left_s(self.plan[0].at_s) <= 0:
            wanted = self.plan.pop(0).services
        if wanted == self.services:
            return
        if not wanted:
            await self._finish()
            await self.doors.close(self.window)
        else:
            await self.doors.open(self.window, wanted)
        self.services = wanted

    async def _call(self) -> bool:
        """Presses next. Answers whether somebody was called; waits for somebody otherwise."""
        came = self.floor.came(self.services)
        done, self.busy = self.busy, None
        called = await self.doors.call(self.window, finish=done is not None)
        if done is not None:
            self._finished(*done)
        if called.ticket is not None:
            await self._attend(called.ticket)
            return True
        if not (self.floor.over and not self.plan) and self.floor.came(self.services) == came:
            until = self.plan[0].at_s if self.plan else self.floor.closes_s
            await self.floor.next_arrival(self.window, self.services, until)
        return False

    async def _attend(self, slip: Slip) -> None:
        """Waits for the one called; serves, or gives up after calling again."""
        self.floor.expect()
        citizen = await self.floor.holder(slip.id)
        try:
            while citizen is None or citizen.gone or slip.calls < citizen.person.hears_call:
                await self.clock.pause(habits.RECALL_AFTER_S)
                if slip.calls >= min(2, self.floor.hall.calls.max_calls) * (1 + slip.returns):
                    await self._miss(citizen)
                    return
                slip = await self.doors.recall(self.window)
            citizen.called = True
            await self.clock.pause(citizen.person.walk_s)
            await self.doors.start(self.window)
            await self._serve(slip, citizen)
        except Answered as error:
            if error.code != "wrong_state" or not (citizen is None or citizen.cancelled or self._misses_itself):
                raise
            self.busy = None  # given back or missed by time while the clerk waited: the window is idle again
        finally:
            self.floor.settled()

    @property
    def _misses_itself(self) -> bool:
        return self.floor.hall.calls.miss_after_s is not None

    async def _serve(self, slip: Slip, citizen: Citizen) -> None:
        self.floor.serving += 1
        await self.clock.pause(citizen.person.arrival.service_s)
        self.floor.serving -= 1
        self.busy = (slip, citizen)
        if citizen.person.finished_first:
            await self._finish()
            if citizen.person.pause_s > 30:
                await self.doors.pause(self.window, "break")
                await self.clock.pause(citizen.person.pause_s)
                await self.doors.resume(self.window)
            else:
                await self.clock.pause(citizen.person.pause_s)

    async def _finish(self) -> None:
        done, self.busy = self.busy, None
        if done is not None:
            await self.doors.finish(self.window)
            self._finished(*done)

    def _finished(self, slip: Slip, citizen: Citizen) -> None:
        self.floor.spawn(self.floor.rate(self.window, citizen, slip))

    async def _miss(self, citizen: Citizen | None) -> None:
        slip = await self.doors.miss(self.window)
        if citizen is None or citizen.person.returns_after_s is None:
            return
        if slip.returns < self.floor.hall.calls.max_returns:
            self.floor.expect()
            self.floor.spawn(self.floor.come_back(citizen, slip))
