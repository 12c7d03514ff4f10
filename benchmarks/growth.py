"""What a command costs the data server as the work grows: CPU per command in halls with few and with many tickets.

Three halls on one data server (fsync on every write), visited in turn: 10 tickets waiting and none finished; 1,000 and
10,000; 100,000 and 1,000,000. Every figure's floor is the same command in the small hall, so ratios are costs: 1.3 is
the most it may be. Filling takes some minutes.

Lua's collector comes in cycles about as long as a round of the halls, and doubles what a command costs while it sweeps.
So that it does not come to the same command of the same hall every time, a changing number of other commands is given
in a hall apart before each that is measured.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections import defaultdict
from typing import NamedTuple

from qserver.store.answers import RatingItem

from .common import cores, cpu_s, figure, median, on_core, options, run
from .data import BENCH, Data

COMMANDS = ("issue", "call", "start", "finish", "rate", "position")
WINDOWS = 100
GOAL = 1.3
_BETWEEN_TRIMS = 50_000


class Size(NamedTuple):
    """A hall and how much is in it."""

    hall: str
    waiting: int
    finished: int


class Visits:
    """Commands of a hall, one per window at a time."""

    def __init__(self, data: Data, hall: str) -> None:
        self._data = data
        self._hall = hall
        self._tickets: dict[int, str] = {}
        self._numbers = itertools.count()

    async def fill(self, waiting: int, finished: int) -> None:
        """Visits until so many are finished, then so many wait."""
        store, hall = self._data.store, self._hall

        async def visit(number: int) -> None:
            window = f"w{number + 1}"
            for _ in range(rounds):
                await store.issue(BENCH, hall, _service(next(self._numbers)))
                await store.call(BENCH, hall, window, finish=True)
                await store.begin_service(BENCH, hall, window)

        left = finished
        while left > 0:
            rounds = min(left, _BETWEEN_TRIMS) // WINDOWS
            await self._data.each(WINDOWS, visit, at_once=WINDOWS)
            await self._data.trim(hall)
            left -= rounds * WINDOWS
        if finished:
            await self._data.each(WINDOWS, lambda number: store.finish(BENCH, hall, f"w{number + 1}"))
        for begin in range(0, waiting, _BETWEEN_TRIMS):
            some = min(_BETWEEN_TRIMS, waiting - begin)
            await self._data.each(some, lambda number: store.issue(BENCH, hall, _service(number)))
            await self._data.trim(hall)

    async def give(self, command: str) -> None:
        """The command at every window."""
        await self._data.each(WINDOWS, getattr(self, f"_{command}"), at_once=WINDOWS)

    async def pass_by(self, count: int) -> None:
        """So many people who take a ticket and leave."""
        store, hall = self._data.store, self._hall

        async def one(number: int) -> None:
            await store.cancel(BENCH, hall, (await store.issue(BENCH, hall, _service(number))).value.ticket.id)

        await self._data.each(count, one, at_once=WINDOWS)

    async def _issue(self, number: int) -> None:
        await self._data.store.issue(BENCH, self._hall, _service(number))

    async def _call(self, number: int) -> None:
        called = (await self._data.store.call(BENCH, self._hall, f"w{number + 1}")).value.ticket
        assert called is not None
        self._tickets[number] = called.id

    async def _start(self, number: int) -> None:
        await self._data.store.begin_service(BENCH, self._hall, f"w{number + 1}")

    async def _finish(self, number: int) -> None:
        await self._data.store.finish(BENCH, self._hall, f"w{number + 1}")

    async def _rate(self, number: int) -> None:
        item = RatingItem(f"r{next(self._numbers)}", self._tickets[number], 1, 5, 0)
        await self._data.store.rate(BENCH, self._hall, f"w{number + 1}", [item])

    async def _position(self, number: int) -> None:
        await self._data.store.position(self._hall, self._tickets[number])


def _service(number: int) -> str:
    return f"s{number % 4 + 1}"


async def measure(sizes: list[Size], rounds: int) -> None:
    """Fill the halls, go round them and print."""
    core = cores()
    async with Data(core.server) as data:
        spent: dict[tuple[str, str], list[float]] = defaultdict(list)
        with on_core(core.load):
            await data.persist(False)
            visits = {}
            for size in sizes:
                print(f"filling {size.hall}: {size.waiting} waiting, {size.finished} finished", file=sys.stderr)
                await data.configure(size.hall, windows=WINDOWS)
                visits[size.hall] = Visits(data, size.hall)
                await visits[size.hall].fill(size.waiting, size.finished)
            await data.configure("apart", windows=WINDOWS)
            apart, chance = Visits(data, "apart"), random.Random(1)
            await data.persist(True)
            for number in range(rounds + 1):  # the first one warms up
                for hall, visit in visits.items():
                    for command in COMMANDS:
                        await apart.pass_by(chance.randrange(WINDOWS))
                        before = cpu_s([data.pid])
                        await visit.give(command)
                        if number:
                            spent[hall, command].append((cpu_s([data.pid]) - before) / WINDOWS * 1e6)
        for size, command in itertools.product(sizes[1:], COMMANDS):
            few = median(spent[sizes[0].hall, command])
            figure(f"growth.{command}", median(spent[size.hall, command]), "us", few, waiting=size.waiting,
                   finished=size.finished, goal=GOAL)  # fmt: skip


def main() -> None:
    """`python -m benchmarks.growth`."""
    parser = options(__doc__)
    parser.add_argument("--waiting", type=int, default=100_000, help="in the largest hall (default 100000)")
    parser.add_argument("--finished", type=int, default=1_000_000, help="in the largest hall (default 1000000)")
    parser.add_argument("--rounds", type=int, default=60, help="rounds of the halls (default 60)")
    given = parser.parse_args()
    if given.quick:
        run(measure([Size("few", 10, 0), Size("many", 10_000, 5_000)], rounds=12))
    else:
        sizes = [Size("few", 10, 0), Size("some", 1_000, 10_000), Size("many", given.waiting, given.finished)]
        run(measure(sizes, given.rounds))


if __name__ == "__main__":
    main()
