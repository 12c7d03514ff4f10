"""What every benchmark shares: figures as JSON lines, options, cores, and what a process has spent.

A figure is worth something only beside its floor: the cheapest thing that moves the same bytes on the same machine,
measured in the same run. Absolute numbers of a shared machine are noise, so rounds of product and floor alternate and
medians are printed. Nothing here knows what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import platform
import resource
import socket
import statistics
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it ships no types

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def figure(name: str, value: float, unit: str, floor: float | None = None, **more: Any) -> None:
    """Print one figure. `ratio` is value : floor, both in `unit`, unless `more` has one, made of pairs that were
    measured side by side; `more` are fields of this figure alone."""
    line: dict[str, Any] = {"name": name, "value": _short(value), "unit": unit, "floor": None, "ratio": None}
    if floor is not None:
        line |= {"floor": _short(floor), "ratio": round(value / floor, 3) if floor else None}
    line |= {key: _short(one) if isinstance(one, float) else one for key, one in more.items()}
    print(json.dumps(line | {"machine": machine()}, ensure_ascii=False), flush=True)


def note(name: str, text: str) -> None:
    """Print that a figure is missing, and why."""
    print(json.dumps({"name": name, "value": None, "unit": None, "skipped": text}, ensure_ascii=False), flush=True)


def _short(value: float) -> float:
    return round(value, 1) if abs(value) >= 100 else round(value, 3)


@cache
def machine() -> str:
    """This machine, as far as it matters to a figure."""
    model = platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}"


def options(text: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has; more are added by its own file."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: under 20 s")
    return parser


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a benchmark on uvloop, without the collector: a pause of ours would count as the server's."""
    raise_file_limit()
    logging.disable(logging.WARNING)  # what it says of a benchmark's halls is no news
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def raise_file_limit() -> None:
    """As many sockets as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cores(NamedTuple):
    """Which core the measured processes have, and which one the load; the same when there is only one."""

    server: int
    load: int


def cores() -> Cores:
    """The first and the last core this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started within has this core only, and so have its children; we ourselves only as long."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def children(pid: int) -> list[int]:
    """All processes below this one."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it may end while we look
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """CPU time these processes have used, s: to the nanosecond where the kernel keeps it, else in ticks of 10 ms."""
    total = 0.0
    for pid in pids:
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            total += sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        except FileNotFoundError:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) * _TICK_S
    return total


def memory_bytes(pid: int) -> int:
    """Memory of a process that is its own, bytes: resident, shared pages divided by their number of users."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not tell the memory of {pid}")


def median(values: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return statistics.median(values) if values else 0.0


def latencies(spent_ns: Iterable[int]) -> dict[str, float]:
    """p50, p90, p99, p99.9 and the longest of these times, ms, from an HdrHistogram of three digits."""
    histogram = HdrHistogram(1, 600_000_000, 3)
    for one in spent_ns:
        histogram.record_value(max(1, one // 1000))
    shares = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9, "max_ms": 100.0}
    return {name: histogram.get_value_at_percentile(share) / 1000 for name, share in shares.items()}
