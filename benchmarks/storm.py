"""A whole hall that comes back at once: 2,000 boards connect in one go, while clerks go on pressing.

How long until the last board has its snapshot, what one board costs the server in CPU, and what a press takes
meanwhile. The floor of the CPU is aiohttp's own WebSocket taking as many connections and nothing more; the floor of the
press is the same press in the same hall when it is quiet.
"""

from __future__ import annotations

import asyncio
import time

from .common import cores, cpu_s, figure, latencies, median, options, run
from .fan_out import UPGRADED
from .load import Pool, Run, request
from .product import Product, hall
from .senders import Broadcaster
from .sinks import REQUEST, Sinks, board

HALL = "storm"


async def floor(sockets: int) -> float:
    """CPU of one aiohttp handshake, s."""
    async with Broadcaster(cores().server, "by_aiohttp", 3_600_000) as child:
        before = cpu_s([child.pid])
        async with Sinks(child.port, sockets, REQUEST.format(more="").encode(), UPGRADED, at_once=sockets):
            return (cpu_s([child.pid]) - before) / sockets


async def storm(sockets: int) -> dict[str, float]:
    """One storm."""
    async with Product(cores().server) as product:
        pool = await Pool.open(product.port, 1)
        await product.ask(pool, "PUT", f"/api/v1/halls/{HALL}", hall(HALL, windows=20))
        (token,) = await product.tokens(pool, [{"role": "display", "hall": HALL}])
        press = request("POST", f"/api/v1/halls/{HALL}/tickets", b'{"service":"s1"}', product.token)
        quiet = await pool.open_model([press] * 100, 50)
        stop = asyncio.Event()
        pressing = asyncio.create_task(_press(pool, press, stop))
        began, before = time.monotonic(), cpu_s([product.pid])
        async with Sinks(product.port, sockets, board(token, HALL), b"snapshot", at_once=sockets):
            passed, spent = time.monotonic() - began, cpu_s([product.pid]) - before
            stop.set()
            during = await pressing
    return {
        "seconds": passed,
        "cpu_us": spent / sockets * 1e6,
        "quiet_p50_ms": latencies(quiet.spent_ns)["p50_ms"],
        "press_p50_ms": latencies(during)["p50_ms"],
        "press_max_ms": latencies(during)["max_ms"],
    }


async def _press(pool: Pool, press: bytes, stop: asyncio.Event) -> list[int]:
    """Presses one after another until told to stop; their times, ns."""
    spent: list[int] = []
    while not stop.is_set():
        found: Run = await pool.closed([press])
        spent += found.must_be_good().spent_ns
        await asyncio.sleep(0.02)
    return spent


async def measure(sockets: int, rounds: int) -> None:
    """Storms and floors in turn."""
    storms: list[dict[str, float]] = []
    floors: list[float] = []
    for _ in range(rounds):
        storms.append(await storm(sockets))
        floors.append(await floor(sockets))
    found = {name: median([one[name] for one in storms]) for name in storms[0]}
    figure("storm.cpu_per_board", found["cpu_us"], "us", median(floors) * 1e6, boards=sockets,
           floor_is="aiohttp's WebSocket, handshake only")  # fmt: skip
    figure("storm.all_served", found["seconds"], "s", boards=sockets, rounds=rounds)
    figure("storm.press_meanwhile", found["press_p50_ms"], "ms", found["quiet_p50_ms"], boards=sockets,
           max_ms=found["press_max_ms"], floor_is="the same press in a quiet hall")  # fmt: skip


def main() -> None:
    """`python -m benchmarks.storm`."""
    parser = options(__doc__)
    parser.add_argument("--sockets", type=int, default=2000)
    given = parser.parse_args()
    run(measure(500 if given.quick else given.sockets, 1 if given.quick else 3))


if __name__ == "__main__":
    main()
