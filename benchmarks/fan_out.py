"""CPU per delivered frame: 2,000 boards of one hall and 20 events a second, beside a bare C `send()` loop.

The whole product is measured, server process with all that belongs to an event (the command over HTTP, the stream, the
fold) and to a socket (heartbeats, signs of life), divided by the frames it wrote. The floor sends as many bytes to as
many sockets in a loop of C and does nothing else; `websockets.broadcast` and aiohttp's `send_bytes` stand beside it.
All are read by the same sockets that only count. Rounds alternate; medians are printed.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from pathlib import Path

from .broadcasters import SIZE
from .common import cores, cpu_s, figure, median, note, options, run
from .load import Pool, request
from .product import Child, Product, hall
from .sinks import REQUEST, Sinks, board

HALL = "fan"
UPGRADED = b"\r\n\r\n"
SNAPSHOT = b"snapshot"


class SendLoop(Child):
    """`send_loop.c`, compiled now."""

    def __init__(self, core: int, sockets: int, size: int, every_ms: int) -> None:
        super().__init__(core)
        self._arguments = [str(self.port), str(sockets), str(size), str(every_ms)]
        source = Path(__file__).with_name("send_loop.c")
        subprocess.run(["gcc", "-O2", "-o", str(self.folder / "send_loop"), str(source)], check=True)

    def command(self) -> list[str]:
        """Python only starts it."""
        call = [str(self.folder / "send_loop"), *self._arguments]
        return ["-c", f"import os; os.execv({call[0]!r}, {call!r})"]

    async def _ready(self) -> None:
        while b"listening" not in (self.folder / "log").read_bytes():  # noqa: ASYNC110  a file tells nobody
            await asyncio.sleep(0.02)


class Broadcaster(Child):
    """One of `broadcasters`."""

    def __init__(self, core: int, name: str, every_ms: int) -> None:
        super().__init__(core)
        self._call = f"import benchmarks.broadcasters as b; b.{name}({self.port}, {every_ms})"

    def command(self) -> list[str]:
        """The arguments of Python."""
        return ["-c", self._call]

    async def _ready(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


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


async def other(name: str, core: int, sockets: int, per_s: int, seconds: float) -> float:
    """Another library."""
    first = REQUEST.format(more="").encode()
    async with Broadcaster(core, name, 1000 // per_s) as child, Sinks(child.port, sockets, first, UPGRADED) as sinks:
        return (await _spent([child.pid], sinks, seconds, SIZE + 2))[0]


async def product(core: int, sockets: int, per_s: int, seconds: float) -> dict[str, float]:
    """The whole server: CPU of its process per frame, with the data server's, and the mean frame, bytes."""
    async with Product(core) as child:
        pool = await Pool.open(child.port, 8)
        await child.ask(pool, "PUT", f"/api/v1/halls/{HALL}", hall(HALL, windows=20))
        (token,) = await child.tokens(pool, [{"role": "display", "hall": HALL}])
        async with Sinks(child.port, sockets, board(token, HALL), SNAPSHOT) as sinks:
            press = request("POST", f"/api/v1/halls/{HALL}/tickets", b'{"service":"s1"}', child.token)
            pressing = asyncio.create_task(_press(await Pool.open(child.port, 8), press, per_s))
            await asyncio.sleep(1.0)
            before, cpu, all_cpu = await _metrics(child, pool), cpu_s([child.pid]), child.cpu_s()
            received = sinks.bytes
            await asyncio.sleep(seconds)
            own, whole, after = cpu_s([child.pid]) - cpu, child.cpu_s() - all_cpu, await _metrics(child, pool)
            frames = after["deliveries"] - before["deliveries"]
            arrived = sinks.bytes - received
            pressing.cancel()
            written = after["bytes"] - before["bytes"]
            return {
                "us": own / frames * 1e6,
                "with_data_server_us": whole / frames * 1e6,
                "frame_bytes": written / frames,
                "frames_per_s": frames / seconds,
                "arrived": arrived / written,
            }


async def _press(pool: Pool, press: bytes, per_s: int) -> None:
    """Events, evenly."""
    at = time.monotonic()
    while True:
        await pool.one(press)
        at += 1 / per_s
        await asyncio.sleep(max(0.0, at - time.monotonic()))


async def _metrics(child: Product, pool: Pool) -> dict[str, float]:
    run = await pool.closed([request("GET", "/metrics", token=child.token)])
    text = run.must_be_good().bodies[0].decode()
    return {name: float(value) for name, value in re.findall(r"^qserver_push_(\w+)_total (\S+)$", text, re.M)}


async def measure(sockets: int, per_s: int, seconds: float, rounds: int) -> None:
    """Alternate rounds of all, and print."""
    core = cores().server
    ours: list[dict[str, float]] = []
    bare: list[float] = []
    others: dict[str, list[float]] = {"by_websockets": [], "by_aiohttp": []}
    for _ in range(rounds):
        ours.append(await product(core, sockets, per_s, seconds))
        bare.append(await floor(core, sockets, per_s, seconds, round(ours[-1]["frame_bytes"])))
        for name, found in others.items():
            found.append(await other(name, core, sockets, per_s, seconds))
    below = median(bare)
    more = {name: median([one[name] for one in ours]) for name in ours[0] if name != "us"}
    setting = {"sockets": sockets, "events_per_s": per_s, "rounds": rounds, "floor_is": "send() loop in C"}
    figure("fan_out.cpu_per_frame", median([one["us"] for one in ours]), "us", below, **setting, **more)
    for name, found in others.items():
        figure(f"fan_out.{name}", median(found), "us", below, frame_bytes=SIZE, **setting)


def main() -> None:
    """`python -m benchmarks.fan_out`."""
    parser = options(__doc__)
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--per-s", type=int, default=20, help="events a second")
    given = parser.parse_args()
    if subprocess.run(["which", "gcc"], capture_output=True).returncode:
        note("fan_out.cpu_per_frame", "there is no gcc to compile the floor with")
        return
    if given.quick:
        run(measure(min(given.sockets, 500), given.per_s, 2.0, 1))
    else:
        run(measure(given.sockets, given.per_s, 8.0, 3))


if __name__ == "__main__":
    main()
