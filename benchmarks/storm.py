"""A restart with everybody there: 5,000 boards are cut at once by a kill of server and data server, and all come back.

Boards go on as the reference client does, with the epoch and the event they stand at, but without its polite pause:
they connect the instant the new server takes connections. From that instant until the last board shows what the server
has (checked by folding what each was told), while commands go on. The floor is the same client's upgrades on aiohttp's
WebSocket and nothing more. Once in 250 halls, once with all boards in one hall.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from time import perf_counter_ns as clock

from .common import Cores, cores, figure, latencies, median, options, run
from .halls import Place, Work
from .load import Pool
from .product import Product
from .screens import Handshake, Screen, connect
from .senders import Broadcaster

GOAL, COMMAND_GOAL_MS = 2.0, 100
AT_ONCE = 1000  # connections under way at a time: an accept queue that overflows would cost whole seconds
CONNECTIONS = 16


async def floor(core: Cores, boards: int) -> float:
    """How long so many upgrades take, s."""
    async with Broadcaster(core.server, "by_aiohttp", 3_600_000) as child:
        screens: list[Screen] = [Handshake("", "", "board", "", lambda *_: None) for _ in range(boards)]
        began = clock()
        await connect(child.port, screens, AT_ONCE)
        passed = clock() - began
        for screen in screens:
            screen.close()
    return passed / 1e9


async def _taken(port: int) -> int:
    """Waits until a connection is taken; the instant of it."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.transport.abort()
            return clock()
        await asyncio.sleep(0.002)


async def _back(port: int, places: list[Place]) -> int:
    """Connects all, again and again where it fails, and waits until they are welcome. How often it failed."""
    left, failed = iter(places), 0

    async def go_on() -> None:
        nonlocal failed
        for place in left:
            while True:
                screen = place.again()
                try:
                    await asyncio.get_running_loop().create_connection(lambda: screen, "127.0.0.1", port)  # noqa: B023
                    await screen.welcome
                    break
                except OSError:
                    failed += 1
                    await asyncio.sleep(0.02)

    await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    while not all(place.whole_at for place in places):  # noqa: ASYNC110  they are asked, for they are many
        await asyncio.sleep(0.005)
    return failed


async def storm(core: Cores, boards: int, halls: int, per_s: float) -> dict[str, float]:
    """One storm; with one hall, commands are given in ten others too."""
    async with Product(core.server) as product:
        pool = await Pool.open(product.port, CONNECTIONS)
        work = Work(product)
        await work.furnish(pool, halls if halls > 1 else 11, 4)
        places = [work.board(work.names[number % halls]) for number in range(boards)]
        await connect(product.port, [place.screen for place in places])
        work.clear()
        await work.go_on(pool.line(), per_s, 3.0)
        quiet = latencies(work.run.spent_ns)
        pool.close()
        await asyncio.sleep(1)
        await product.kill()
        starting = asyncio.create_task(product.start())
        began = await _taken(product.port)
        work.clear()
        pool = await Pool.open(product.port, CONNECTIONS)
        line = pool.line()
        pressing = asyncio.create_task(work.go_on(line, per_s))
        cpu = product.cpu_s()
        failed = await _back(product.port, places)
        spent = product.cpu_s() - cpu
        passed = max(place.whole_at for place in places) - began
        during, bad = latencies(work.run.spent_ns), work.run.bad
        answered, late = len(work.run.spent_ns), latencies(work.run.late_ns)["p99_ms"]
        pressing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pressing
        await line.answered()
        await starting
        await asyncio.sleep(1)
        counted = await product.counters(pool)
        found = {
            "seconds": passed / 1e9,
            "cpu_us_per_board": spent / boards * 1e6,
            "failed_connects": float(failed),
            "resumes": counted["resumes"],
            "snapshots_sent": counted["snapshots"],
            "boards_read": counted["boards_read"],
            "differing": float(await work.differing(pool)),
            "chains_broken": float(sum(place.screen.broken for place in places)),
            "lost_again": float(sum(bool(place.screen.lost) for place in places)),
            "command_p99_ms": during["p99_ms"],
            "command_max_ms": during["max_ms"],
            "commands": float(answered),
            "refused": float(sum(bad.values())),
            "quiet_p99_ms": quiet["p99_ms"],
            "load_late_p99_ms": late,
        }
        for place in places:
            place.screen.close()
    return found


async def measure(boards: int, halls: list[int], per_s: float, rounds: int) -> None:
    """Storms and floors in turn."""
    core = cores()
    os.sched_setaffinity(0, {core.load})
    for count in halls:
        storms: list[dict[str, float]] = []
        floors: list[float] = []
        for _ in range(rounds):
            storms.append(await storm(core, boards, count, per_s))
            floors.append(await floor(core, boards))
        found = {name: median([one[name] for one in storms]) for name in storms[0]}
        seconds, quiet = found.pop("seconds"), found.pop("quiet_p99_ms")
        name, below = f"storm.{count}_halls", median(floors)
        figure(f"{name}.all_consistent", seconds, "s", below, goal=GOAL * below, boards=boards, rounds=rounds,
               floor_is="as many bare upgrades by aiohttp", **found)  # fmt: skip
        figure(f"{name}.command_p99", found["command_p99_ms"], "ms", quiet, goal=COMMAND_GOAL_MS, per_s=per_s,
               floor_is="the same before the restart")  # fmt: skip


def main() -> None:
    """`python -m benchmarks.storm`."""
    parser = options(__doc__)
    parser.add_argument("--boards", type=int, default=5000, help="(default 5000)")
    parser.add_argument("--halls", type=int, nargs="*", default=[250, 1], help="one storm for each (default 250 1)")
    parser.add_argument("--rate", type=float, default=40.0, help="commands/s (default 40)")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    given = parser.parse_args()
    if given.quick:
        run(measure(400, [20], given.rate, 1))
    else:
        run(measure(given.boards, given.halls, given.rate, given.rounds))


if __name__ == "__main__":
    main()
