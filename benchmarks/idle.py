"""What an idle board costs: memory and CPU of a socket that is welcomed and hears heartbeats, and nothing else.

The floor holds as many sockets in an empty `asyncio.Protocol` on uvloop. Kernel buffers are in neither. Some sockets
have come and gone before, for a process that has served anybody has the memory for that already.
"""

from __future__ import annotations

import asyncio
import time

from .common import cores, cpu_s, figure, memory_bytes, options, run
from .fan_out import HALL, SNAPSHOT
from .load import Pool
from .product import Product, hall
from .senders import Broadcaster
from .sinks import Sinks, board


async def measure(sockets: int, seconds: float) -> None:
    """Memory before and with so many sockets, and CPU while they do nothing."""
    core = cores().server
    async with Broadcaster(core, "nothing", 1000) as child:
        async with Sinks(child.port, 200):
            await asyncio.sleep(0.5)
        before = memory_bytes(child.pid)
        async with Sinks(child.port, sockets):
            await asyncio.sleep(1.0)
            below = (memory_bytes(child.pid) - before) / sockets
    async with Product(core) as product:
        pool = await Pool.open(product.port, 1)
        await product.ask(pool, "PUT", f"/api/v1/halls/{HALL}", hall(HALL, windows=20))
        (token,) = await product.tokens(pool, [{"role": "display", "hall": HALL}])
        first = board(token, HALL)
        async with Sinks(product.port, 200, first, SNAPSHOT):
            await asyncio.sleep(0.5)
        before = memory_bytes(product.pid)
        cpu = await _cpu(product.pid, seconds)
        async with Sinks(product.port, sockets, first, SNAPSHOT):
            await asyncio.sleep(1.0)
            held = (memory_bytes(product.pid) - before) / sockets
            loaded = await _cpu(product.pid, seconds)
    figure("idle.memory_per_socket", held, "B", below, sockets=sockets, floor_is="empty asyncio.Protocol on uvloop")
    spent = (loaded - cpu) / sockets * 1e6
    figure("idle.cpu_per_socket", spent, "us/s", sockets=sockets, without_sockets_ms_per_s=cpu * 1e3)


async def _cpu(pid: int, seconds: float) -> float:
    """CPU a process uses per second, s."""
    began, used = time.monotonic(), cpu_s([pid])
    await asyncio.sleep(seconds)
    return (cpu_s([pid]) - used) / (time.monotonic() - began)


def main() -> None:
    """`python -m benchmarks.idle`."""
    parser = options(__doc__)
    parser.add_argument("--sockets", type=int, default=5000)
    given = parser.parse_args()
    run(measure(1000 if given.quick else given.sockets, 3.0 if given.quick else 15.0))


if __name__ == "__main__":
    main()
