"""From the press to the screen: 5,000 boards in 250 halls and 200 commands/s, beside the same commands with 10 boards.

Server and data server share one core, boards and desks the other. Commands come at random instants, a fifth of them in
one busy hall; a board's time counts from the instant its command was meant for. The floor is the p99 of 10 boards (two
of them in the busy hall) on the same server just before. Then 50 more boards come to the busy hall that read one byte a
second: the others' p99 stands beside the one without them, and so does the server's memory. All deliveries are checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any

from .common import cores, figure, latencies, options, run
from .halls import Place, Work
from .load import Pool
from .product import Product
from .screens import connect
from .sinks import ACK, board

GOAL_MS = 25
FEW, SLOW = 10, 50
BUSY = 0.2
CONNECTIONS = 64


class Crawler:
    """A board that reads one byte a second, behind the smallest buffer the kernel gives; it does say `ack`."""

    def __init__(self, port: int, first: bytes) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._socket.send(first)
        self.ended = False

    def step(self) -> None:
        """One byte, and a sign of life."""
        try:
            self.ended = self.ended or not self._socket.recv(1)
            self._socket.send(ACK)
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


async def _crawl(crawlers: list[Crawler]) -> None:
    while True:
        for crawler in crawlers:
            crawler.step()
            await asyncio.sleep(1 / len(crawlers))


async def _phase(work: Work, pool: Pool, per_s: float, seconds: float) -> dict[str, Any]:
    """Commands for so long: how long until they were on the boards, and what was promised."""
    work.clear()
    cpu = work.product.cpu_s()
    await work.go_on(pool.line(), per_s, seconds)
    share = (work.product.cpu_s() - cpu) / seconds
    await asyncio.sleep(1)  # the last frames come
    broken = work.promises()
    return {
        **latencies(work.screen_ns), "deliveries": len(work.screen_ns), "commands": len(work.run.spent_ns),
        "command_p99_ms": latencies(work.run.spent_ns)["p99_ms"], "core_used": share,
        "load_late_p99_ms": latencies(work.run.late_ns)["p99_ms"], "broken_promises": sum(broken.values()), **broken,
    }  # fmt: skip


async def _memory(product: Product, seen: list[int]) -> None:
    while True:
        seen.append(product.memory()["server_bytes"])
        await asyncio.sleep(2)


async def measure(halls: int, boards: int, per_s: float, seconds: float, few_seconds: float) -> None:
    """Few boards, many, and many with slow ones among them; print."""
    core = cores()
    os.sched_setaffinity(0, {core.load})
    async with Product(core.server) as product:
        pool = await Pool.open(product.port, CONNECTIONS)
        work = Work(product, BUSY)
        await work.furnish(pool, halls, 4)
        few = [work.board(work.names[max(0, number - 1)]) for number in range(FEW)]
        await connect(product.port, [place.screen for place in few])
        floor = await _phase(work, pool, per_s, few_seconds)
        left = boards // halls - 2, boards // halls - 1, boards // halls  # of hall 0, of those with one, of the others
        more: list[Place] = []
        for number, name in enumerate(work.names):
            more += [work.board(name) for _ in range(left[0 if not number else 1 if number < FEW - 1 else 2])]
        await connect(product.port, [place.screen for place in more])
        bare = product.memory()["server_bytes"]
        many = await _phase(work, pool, per_s, seconds)
        size = {"boards": len(work.places), "halls": halls, "per_s": per_s, "seconds": seconds}
        figure("press_to_screen", many["p99_ms"], "ms", floor["p99_ms"],
               floor_is=f"the same commands with {FEW} boards", difference_ms=many["p99_ms"] - floor["p99_ms"],
               goal=floor["p99_ms"] + GOAL_MS, goal_is=f"floor + {GOAL_MS} ms",
               floor_p50_ms=floor["p50_ms"], floor_max_ms=floor["max_ms"], floor_deliveries=floor["deliveries"],
               floor_load_late_p99_ms=floor["load_late_p99_ms"], floor_broken_promises=floor["broken_promises"],
               **many, **size)  # fmt: skip
        before = product.memory()["server_bytes"]
        counted = await product.counters(pool)
        crawlers = [Crawler(product.port, board(work.token(work.names[0]), work.names[0])) for _ in range(SLOW)]
        during: list[int] = []
        tasks = [asyncio.create_task(_crawl(crawlers)), asyncio.create_task(_memory(product, during))]
        slowed = await _phase(work, pool, per_s, seconds)
        after = await product.counters(pool)
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for crawler in crawlers:
            crawler.close()
        await asyncio.sleep(1)
        figure("press_to_screen.with_slow", slowed["p99_ms"], "ms", many["p99_ms"], floor_is="the same without them",
               slow_boards=SLOW, skipped=after["slow"] - counted["slow"],
               closed_4002=after.get("closed_4002", 0.0) - counted.get("closed_4002", 0.0),
               **slowed, **size)  # fmt: skip
        figure("press_to_screen.memory_with_slow", max(during) / 2**20, "MiB", before / 2**20,
               floor_is="before they came", after=product.memory()["server_bytes"] / 2**20,
               per_slow_board_kib=(max(during) - before) / SLOW / 1024, slow_boards=SLOW,
               grew_without_slow=(before - bare) / 2**20)  # fmt: skip
        for place in work.places:
            place.screen.close()


def main() -> None:
    """`python -m benchmarks.press_to_screen`."""
    parser = options(__doc__)
    parser.add_argument("--halls", type=int, default=250, help="(default 250)")
    parser.add_argument("--boards", type=int, default=5000, help="in all halls (default 5000)")
    parser.add_argument("--rate", type=float, default=200.0, help="commands/s (default 200)")
    parser.add_argument("--seconds", type=float, default=40.0, help="with all boards, each time (default 40)")
    given = parser.parse_args()
    if given.quick:
        run(measure(20, 400, 100.0, 2.0, 2.0))
    else:
        run(measure(given.halls, given.boards, given.rate, given.seconds, given.seconds))


if __name__ == "__main__":
    main()
