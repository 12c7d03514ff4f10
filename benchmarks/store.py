"""Functions from one Python process through the store, beside `redis-benchmark -P 32` giving the same command.

Both ask the same embedded data server (fsync on every write) to issue tickets, in rounds that alternate; the data
server has one core, whoever asks the other. The store's figures hold all it does for a caller: packing, the shared
connection, the typed answer. It puts commands of one hall that come together into one call, so there are two floors:

    store.issue           1,024 callers in one hall; floor: redis-benchmark, one command in a call like any client
    store.issue_batched   the same beside redis-benchmark giving full batches: what the functions can do at most
    store.issue_spread    1,024 callers in 100 halls, few together in each; floor: one command in a call
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from time import perf_counter

from qserver.store import keys
from qserver.store.batch import LARGEST, packed
from qserver.store.library import Library

from .common import cores, cpu_s, figure, median, note, on_core, options, run
from .data import BENCH, Data

CALLERS = 1024
GOAL = 0.6
HALL, SERVICE, HALLS = "bench", "s1", 100
ARGUMENTS = packed(("", "", BENCH.actor, SERVICE, "normal", "guide", "", "", ""))
"""What the store sends for `issue(BENCH, HALL, SERVICE)`: key, body, actor, then the command's own."""


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


async def redis_benchmark(program: str, data: Data, count: int, together: int, core: int) -> float:
    """Commands per second of `redis-benchmark -P 32`, with so many commands in each function call."""
    names = keys.hall_keys(data.store.tag(data.store.partition(HALL)), HALL)
    words: list[str | bytes] = ["FCALL", Library().name("commands"), str(len(names)), *names]
    for _ in range(together):
        words += ["issue", ARGUMENTS]
    calls = count // together
    with on_core(core):
        process = await asyncio.create_subprocess_exec(
            program, "-s", data.path, "-P", "32", "-n", str(calls), "--csv", *words, stdout=asyncio.subprocess.PIPE
        )
    text = (await process.communicate())[0].decode(errors="replace")
    found = re.findall(r'","(\d+\.\d+)"', text)
    if process.returncode or not found:
        raise RuntimeError(f"{program} failed: {text[-500:]}")
    return float(found[0]) * together


class Rates:
    """Rounds of one way to ask: commands/s, and CPU per command of who asks and of the data server."""

    def __init__(self) -> None:
        self.per_s: list[float] = []
        self.own_us: list[float] = []
        self.data_us: list[float] = []


async def measure(rounds: int, seconds: float, count: int) -> None:
    """Run it all and print."""
    core = cores()
    program = shutil.which("valkey-benchmark") or shutil.which("redis-benchmark")
    async with Data(core.server) as data:
        halls = itertools.cycle([f"{HALL}-{number}" for number in range(HALLS)])
        for name in (HALL, *itertools.islice(halls, HALLS)):
            await data.configure(name, windows=4)

        async def issue() -> object:
            return await data.store.issue(BENCH, HALL, SERVICE)

        async def spread() -> object:
            return await data.store.issue(BENCH, next(halls), SERVICE)

        asked: dict[str, Callable[[], Awaitable[object]]] = {"issue": issue, "spread": spread}
        rates = {name: Rates() for name in (*asked, "single", "batched")}
        with on_core(core.load):
            for _ in range(rounds):
                for name, ask in asked.items():
                    own, server = cpu_s([os.getpid()]), cpu_s([data.pid])
                    done, spent = await callers(ask, seconds)
                    rates[name].per_s.append(done / spent)
                    rates[name].own_us.append((cpu_s([os.getpid()]) - own) / done * 1e6)
                    rates[name].data_us.append((cpu_s([data.pid]) - server) / done * 1e6)
                for name, together in (("single", 1), ("batched", LARGEST)) if program else ():
                    server = cpu_s([data.pid])
                    rates[name].per_s.append(await redis_benchmark(program or "", data, count, together, core.load))
                    rates[name].data_us.append((cpu_s([data.pid]) - server) / count * 1e6)
                await data.trim(HALL)
        if not program:
            note("store.floor", "neither valkey-benchmark nor redis-benchmark is installed")
    for name, way, floor in (
        ("issue", "issue", "single"),
        ("issue_batched", "issue", "batched"),
        ("issue_spread", "spread", "single"),
    ):
        ours, theirs = rates[way], rates[floor]
        figure(
            f"store.{name}",
            median(ours.per_s),
            "1/s",
            median(theirs.per_s) if program else None,
            goal=GOAL,
            client_cpu_us=median(ours.own_us),
            data_cpu_us=median(ours.data_us),
            floor_data_cpu_us=median(theirs.data_us),
            pipelined_by=32,
        )


def main() -> None:
    """`python -m benchmarks.store`."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of store and floor (default 9)")
    given = parser.parse_args()
    if given.quick:
        run(measure(rounds=3, seconds=0.4, count=6_400))
    else:
        run(measure(given.rounds, seconds=1.5, count=51_200))


if __name__ == "__main__":
    main()
