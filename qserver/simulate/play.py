"""Plays one day: sets the stage, brings in screens, feed and people, lets the day run, and reads what is left.

The only place of this room that wires things together; everything it starts it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, TextIO

from qserver.domain.errors import QserverError

from . import checks, clerks, report, watch
from .clock import Clock
from .doors import Doors
from .live import Watch
from .people import Floor
from .puller import Puller
from .record import Board, Record
from .stage import Stage
from .trace import Day
from .watch import Screen
from .world import World

READY_S = 30.0
"""Real seconds the boards may take to show their first picture."""
STAYS_S = 1800.0
"""Seconds of the day that windows without a closing time go on serving after everything prescribed is over."""
SLACK_S = 300.0
"""Real seconds a day may run longer than half as long again as it should, before it counts as stuck."""


class Played(NamedTuple):
    """A day that has been played: what it left behind, what was checked, and the summary in words."""

    record: Record
    checks: list[checks.Check]
    summary: str

    @property
    def held(self) -> bool:
        """Whether every promise held."""
        return all(check.held for check in self.checks)


async def play(
    day: Day,
    url: str,
    admin: str,
    *,
    speed: float,
    displays: int,
    seed: int,
    out: TextIO | None = None,
    passing: bool = False,
) -> Played:
    """Plays the day on the server at `url` with an admin's token, `speed` times as fast as it was.

    `displays` boards are spread over the halls, each hall having at least one; `out` gets the live view; `passing`:
    the server ends with the day, so nothing on it needs to be cleared away.
    Raises world.Answered or world.Silent when the stage cannot be set; what fails later is on record.
    """
    record = Record()
    async with World(url, record, secrets.token_hex(4)) as world:
        stage = Stage(world, admin)
        try:
            day = await stage.set_up(day, speed)
            await _run(world, stage, day, record, speed, displays, seed, out)
        finally:
            if not passing:
                try:
                    await stage.clear()
                except QserverError as error:
                    stage.notes.append(f"not cleared away: {error}")
    found = checks.run(record, day.halls)
    words = report.summary(record, found, speed=speed, source=day.source, notes=stage.notes)
    return Played(record, found, words)


async def _run(
    world: World, stage: Stage, day: Day, record: Record, speed: float, displays: int, seed: int, out: TextIO | None
) -> None:
    clock = Clock(day.begins_s, speed)
    floors = {}
    for hall in day.halls:
        changes = [change for change in day.changes if change.hall == hall.id]
        doors = Doors(world, record, hall.id, stage.tokens[hall.id])
        floors[hall.id] = Floor(clock, doors, record, hall, changes, day.ends_s + STAYS_S, seed)
    for arrival in day.arrivals:
        floors[arrival.hall].expect()
    puller = Puller(world, stage.analytics, floors.keys(), record)
    await puller.begin()
    pulling = asyncio.ensure_future(puller.run())
    try:
        async with _screens(world.url, stage, record, list(floors.values()), displays) as screens:
            seeing = asyncio.ensure_future(Watch(day, clock, list(floors.values()), record, out).run()) if out else None
            try:
                await _day(clock, day, floors, record)
            finally:
                record.played_s = clock.running_s
                if seeing is not None:
                    seeing.cancel()
            try:
                await asyncio.gather(*(floor.close_up() for floor in floors.values()))
                await watch.compare(world, screens)
                for name in floors:
                    record.counted[name] = await stage.added(name)
            except QserverError as error:
                record.unfinished = record.unfinished or str(error)
        puller.finish()
        try:
            await pulling
        except QserverError as error:
            record.unfinished = record.unfinished or f"the feed: {error}"
    finally:
        pulling.cancel()
        with contextlib.suppress(QserverError):
            await puller.end()


async def _day(clock: Clock, day: Day, floors: dict[str, Floor], record: Record) -> None:
    """From the first instant to the last answer; what ends it early is put on record."""
    longest = (day.ends_s - day.begins_s) / clock.speed * 1.5 + SLACK_S
    clock.start()
    try:
        async with asyncio.timeout(longest), asyncio.TaskGroup() as group:
            group.create_task(_arrivals(clock, day, floors, record))
            for floor in floors.values():
                group.create_task(clerks.work(floor))
    except TimeoutError:
        record.unfinished = f"the day was not over after {longest:.0f} s"
    except ExceptionGroup as failures:
        ours, others = failures.split(QserverError)
        if others is not None:
            raise others from None
        assert ours is not None
        record.unfinished = "; ".join(str(error) for error in _flat(ours))
    finally:
        for floor in floors.values():
            floor.stop()


def _flat(group: ExceptionGroup[QserverError]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, ExceptionGroup) else [error]
    return found


async def _arrivals(clock: Clock, day: Day, floors: dict[str, Floor], record: Record) -> None:
    for number, arrival in enumerate(day.arrivals):
        record.lag_ms.append(await clock.until(arrival.at_s))
        floor = floors[arrival.hall]
        floor.spawn(floor.arrive(arrival, number))


@contextlib.asynccontextmanager
async def _screens(
    url: str, stage: Stage, record: Record, floors: Sequence[Floor], displays: int
) -> AsyncIterator[list[Screen]]:
    """The boards, spread over the halls, all showing their first picture; gone on exit."""
    screens: list[Screen] = []
    for number in range(max(displays, len(floors))):
        floor = floors[number % len(floors)]
        hall = floor.hall.id
        board = Board(hall, f"sim-board-{number + 1}")
        record.boards.append(board)
        screens.append(Screen(url, stage.tokens[hall].display, board, floor if number < len(floors) else None))
    running = [asyncio.ensure_future(screen.run()) for screen in screens]
    try:
        async with asyncio.timeout(READY_S):
            for screen in screens:
                await screen.reaches(0)
        yield screens
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
