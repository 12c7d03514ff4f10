"""What things weigh in the data server, bytes each: a waiting and a finished ticket, a kept answer, an event.

Differences of the data server's used memory over many of them, so indexes, hash tables and the allocator's rounding
are in it. Without a floor: the packed record's own length stands beside each ticket.
"""

from __future__ import annotations

import hashlib

from qserver.store import keys
from qserver.store.answers import Op

from .common import cores, figure, options, run
from .data import BENCH, Data

HALL, WINDOWS = "bench", 100


def _keyed(number: int) -> Op:
    digest = hashlib.sha256(str(number).encode()).digest()
    return Op("bench", digest, digest[:16])


async def measure(count: int) -> None:
    """Make `count` of each and print."""
    async with Data(cores().server) as data:
        store = data.store
        await data.configure(HALL, windows=WINDOWS)
        await data.trim(HALL)

        async def visit(number: int) -> None:
            window = f"w{number + 1}"
            for _ in range(count // WINDOWS):
                await store.call(BENCH, HALL, window, finish=True)
                await store.begin_service(BENCH, HALL, window)
            await store.finish(BENCH, HALL, window)

        empty = await data.used_bytes()
        await data.each(count, lambda _: store.issue(BENCH, HALL, "s1"))
        with_events = await data.used_bytes()
        await data.trim(HALL)
        waiting = await data.used_bytes()
        await data.each(WINDOWS, visit)
        await data.trim(HALL)
        finished = await data.used_bytes()
        tag = store.tag(store.partition(HALL))
        first = await store.tickets(HALL, limit=1)
        record = await store._topology.call(tag, "HGET", keys.hall_keys(tag, HALL)[7], first[0][0].id)
        assert isinstance(record, bytes)
        await data.each(count, lambda number: store.issue(_keyed(number), HALL, "s1"))
        await data.trim(HALL)
        kept = await data.used_bytes()
    figure("memory.waiting_ticket", (waiting - empty) / count, "B", tickets=count)
    figure("memory.finished_ticket", (finished - empty) / count, "B", tickets=count, record_bytes=len(record),
           holds="its record, its place in the list of issue, the deadline of its rating")  # fmt: skip
    figure("memory.kept_answer", (kept - finished - (waiting - empty)) / count, "B", answers=count)
    figure("memory.event", (with_events - waiting) / count, "B", events=count, kind="ticket.issued with its frame")


def main() -> None:
    """`python -m benchmarks.memory`."""
    given = options(__doc__).parse_args()
    run(measure(10_000 if given.quick else 50_000))


if __name__ == "__main__":
    main()
