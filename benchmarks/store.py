"""Functions from one Python process through the store, beside `redis-benchmark -P 32` giving the same function.

Both ask the same embedded data server (fsync on every write) for the same `issue`, in rounds that alternate; the data
server has one core, whoever asks the other. The store's figure holds all it does for a caller: packing, the shared
connection, the typed answer.

    store.issue       Store.issue, 1,024 callers at a time; floor: redis-benchmark
    store.link        the same function over the bare link, its answer left packed; floor: redis-benchmark
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from time import perf_counter

from qserver.store import keys
from qserver.store.library import Library

from .common import cores, cpu_s, figure, median, note, on_core, options, run
from .data import BENCH, Data

CALLERS = 1024
GOAL = 0.6
HALL, SERVICE = "bench", "s1"


async def callers(one: Callable[[], Awaitable[object]], seconds: float) -> tuple[int, float]:
    """So many call it one time after another: how many were done, and in how many seconds."""
    done = 0
    began = perf_counter()
    ends = began + seconds

    async def go_on() -> None:
        nonlocal done
        while perf_counter() < ends:
            await one()
            done += 1

    await asyncio.gather(*(go_on() for _ in range(CALLERS)))
    return done, perf_counter() - began


async def redis_benchmark(program: str, path: str, words: list[str], count: int, core: int) -> float:
    """Commands per second of `redis-benchmark -P 32`."""
    with on_core(core):
        process = await asyncio.create_subprocess_exec(
            program, "-s", path, "-P", "32", "-n", str(count), "--csv", *words, stdout=asyncio.subprocess.PIPE
        )
    text = (await process.communicate())[0].decode()
    found = re.findall(r'","(\d+\.\d+)"', text)
    if process.returncode or not found:
        raise RuntimeError(f"{program} failed: {text[-500:]}")
    return float(found[0])


async def measure(rounds: int, seconds: float, count: int) -> None:
    """Run it all and print."""
    core = cores()
    program = shutil.which("valkey-benchmark") or shutil.which("redis-benchmark")
    async with Data(core.server) as data:
        await data.configure(HALL)
        store = data.store
        tag, head = store._hall(HALL, "issue")
        # What the store sends for `issue(BENCH, HALL, SERVICE)`: key, body, actor, then the function's own arguments.
        args = ["", "", BENCH.actor, SERVICE, "normal", "guide", "", "", ""]

        async def link() -> object:
            return await store._topology.call(tag, head, *args)

        async def issue() -> object:
            return await store.issue(BENCH, HALL, SERVICE)

        per_s: dict[str, list[float]] = {"issue": [], "link": [], "floor": []}
        own_us: dict[str, list[float]] = {"issue": [], "link": []}
        data_us: dict[str, list[float]] = {"issue": [], "link": [], "floor": []}
        ways: dict[str, Callable[[], Awaitable[object]]] = {"issue": issue, "link": link}
        with on_core(core.load):
            for _ in range(rounds):
                for name, way in ways.items():
                    own, server = cpu_s([os.getpid()]), cpu_s([data.pid])
                    done, spent = await callers(way, seconds)
                    per_s[name].append(done / spent)
                    own_us[name].append((cpu_s([os.getpid()]) - own) / done * 1e6)
                    data_us[name].append((cpu_s([data.pid]) - server) / done * 1e6)
                if program:
                    words = ["FCALL", *head_words(data), *args]
                    server = cpu_s([data.pid])
                    per_s["floor"].append(await redis_benchmark(program, data.path, words, count, core.load))
                    data_us["floor"].append((cpu_s([data.pid]) - server) / count * 1e6)
                await data.trim(HALL)
        if not program:
            note("store.floor", "neither valkey-benchmark nor redis-benchmark is installed")
        floor = median(per_s["floor"]) if program else None
        for name in ways:
            figure(
                f"store.{name}",
                median(per_s[name]),
                "1/s",
                floor,
                goal=GOAL,
                client_cpu_us=median(own_us[name]),
                data_cpu_us=median(data_us[name]),
                floor_data_cpu_us=median(data_us["floor"]),
                pipelined_by=32,
            )


def head_words(data: Data) -> list[str]:
    """Function, number of keys and keys of `issue`, as redis-benchmark wants them."""
    names = keys.hall_keys(data.store.tag(data.store.partition(HALL)), HALL)
    return [Library().name("issue"), str(len(names)), *names]


def main() -> None:
    """`python -m benchmarks.store`."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of store and floor (default 9)")
    given = parser.parse_args()
    if given.quick:
        run(measure(rounds=3, seconds=0.6, count=20_000))
    else:
        run(measure(given.rounds, seconds=1.5, count=60_000))


if __name__ == "__main__":
    main()
