"""CPU per delivered frame: 2,000 boards of one hall and 20 events a second, beside a bare C `send()` loop.

The whole product is measured, server and data server with all that belongs to an event (the command over HTTP, its
fsync, the stream, the fold) and to a socket (heartbeats, signs of life), divided by the frames it wrote. The floor
sends as many bytes to as many sockets in a loop of C and does nothing else. Events that come ten in one tick are joined
in one write; they stand beside the loop that sends each by itself. `websockets.broadcast` and aiohttp's `send_bytes`
stand beside it, so do, where they are installed, Node's `ws` (npm install -g ws, or BENCH_NODE_MODULES=its directory of
modules) and nchan (nginx; Debian: libnginx-mod-nchan); they hear no signs of life. All are read by the same sockets
that only count. Rounds alternate; medians are printed.
"""

from __future__ import annotations

import asyncio
import time

from .broadcasters import SIZE
from .common import cores, cpu_s, figure, median, note, options, run
from .load import Pool, request
from .product import Product, hall
from .senders import OTHERS, SendLoop
from .sinks import REQUEST, Sinks, board

HALL = "fan"
BURST, BURST_GOAL = 10, 0.5  # commands that come together, and at most so much of the loop in C for each event
UPGRADED = b"\r\n\r\n"
SNAPSHOT = b"snapshot"


async def _spent(pids: list[int], sinks: Sinks, seconds: float, size: int) -> tuple[float, float]:
    """CPU per frame, µs, and frames per s, over a time in which nothing else is asked of these processes."""
    await asyncio.sleep(0.5)
    began, cpu, received = time.monotonic(), cpu_s(pids), sinks.bytes
    await asyncio.sleep(seconds)
    spent, passed, frames = cpu_s(pids) - cpu, time.monotonic() - began, (sinks.bytes - received) / size
    return spent / frames * 1e6, frames / passed


async def floor(core: int, sockets: int, per_s: int, seconds: float, size: int) -> float:
    """The loop in C."""
    async with SendLoop(core, sockets, size, 1000 // per_s) as child, Sinks(child.port, sockets) as sinks:
        return (await _spent([child.pid], sinks, seconds, size))[0]


async def other(name: str, core: int, sockets: int, per_s: int, seconds: float) -> tuple[float, float]:
    """One of `senders`: CPU of all its processes per frame, µs, and frames per s."""
    sender, way = OTHERS[name]
    first = REQUEST.format(more="").encode()
    async with (
        sender(core, way, 1000 // per_s) as child,
        Sinks(
            child.port, sockets, first, UPGRADED, acks=False
        ) as sinks,  # nchan closes a subscriber that speaks (1008)
    ):
        return await _spent(child.pids, sinks, seconds, SIZE + 2)


async def product(core: int, sockets: int, per_s: int, seconds: float, at_once: int = 1) -> dict[str, float]:
    """The whole server: CPU of its process per frame, with the data server's, and the mean frame, bytes.

    `at_once`: so many of the commands are given together.
    """
    async with Product(core) as child:
        pool = await Pool.open(child.port, 8)
        together = await Pool.open(child.port, max(8, at_once))
        await child.ask(pool, "PUT", f"/api/v1/halls/{HALL}", hall(HALL, windows=20))
        (token,) = await child.tokens(pool, [{"role": "display", "hall": HALL}])
        async with Sinks(child.port, sockets, board(token, HALL), SNAPSHOT) as sinks:
            press = request("POST", f"/api/v1/halls/{HALL}/tickets", b'{"service":"s1"}', child.token)
            pressing = asyncio.create_task(together.evenly(press, per_s, at_once))
            await asyncio.sleep(1.0)
            before, cpu, all_cpu = await child.counters(pool), cpu_s([child.pid]), child.cpu_s()
            received = sinks.bytes
            await asyncio.sleep(seconds)
            own, whole, after = cpu_s([child.pid]) - cpu, child.cpu_s() - all_cpu, await child.counters(pool)
            frames = after["deliveries"] - before["deliveries"]
            arrived = sinks.bytes - received
            if not pressing.cancel():
                pressing.result()  # raises what ended it
            written = after["bytes"] - before["bytes"]
            return {
                "us": whole / frames * 1e6,
                "server_alone_us": own / frames * 1e6,
                "frame_bytes": written / frames,
                "frames_per_s": frames / seconds,
                "arrived": arrived / written,
                "frames_per_write": frames / sockets / (after["rounds"] - before["rounds"]),
            }


async def measure(sockets: int, per_s: int, seconds: float, rounds: int) -> None:
    """Alternate rounds of all, and print."""
    core = cores().server
    ours: list[dict[str, float]] = []
    bursts: list[dict[str, float]] = []
    bare: list[float] = []
    missing = {name: sender.missing() for name, (sender, _) in OTHERS.items()}
    others: dict[str, list[tuple[float, float]]] = {name: [] for name, why in missing.items() if not why}
    for _ in range(rounds):
        ours.append(await product(core, sockets, per_s, seconds))
        bursts.append(await product(core, sockets, per_s, seconds, BURST))
        bare.append(await floor(core, sockets, per_s, seconds, round(ours[-1]["frame_bytes"])))
        for name, found in others.items():
            found.append(await other(name, core, sockets, per_s, seconds))
    below = median(bare)
    more = {name: median([one[name] for one in ours]) for name in ours[0] if name != "us"}
    setting = {"sockets": sockets, "events_per_s": per_s, "rounds": rounds, "floor_is": "send() loop in C"}
    figure("fan_out.cpu_per_frame", median([one["us"] for one in ours]), "us", below, **setting, **more)
    more = {name: median([one[name] for one in bursts]) for name in bursts[0] if name != "us"}
    figure("fan_out.cpu_per_event_of_ten", median([one["us"] for one in bursts]), "us", below,
           goal=BURST_GOAL * below, at_once=BURST, **setting, **more)  # fmt: skip
    for name, why in missing.items():
        if why:
            note(f"fan_out.{name}", why)
            continue
        spent, rates = (median(values) for values in zip(*others[name], strict=True))
        figure(f"fan_out.{name}", spent, "us", below, frame_bytes=SIZE + 2, frames_per_s=rates, **setting)


def main() -> None:
    """`python -m benchmarks.fan_out`."""
    parser = options(__doc__)
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--per-s", type=int, default=20, help="events a second")
    given = parser.parse_args()
    if why := SendLoop.missing():
        note("fan_out.cpu_per_frame", why)
        return
    if given.quick:
        run(measure(min(given.sockets, 500), given.per_s, 1.0, 1))
    else:
        run(measure(given.sockets, given.per_s, 4.0, 4))


if __name__ == "__main__":
    main()
