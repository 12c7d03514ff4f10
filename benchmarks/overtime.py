"""Many open deadlines at once: 100,000 waiting tickets run over their limit within a minute, and people go on working.

Server and data server share one core, the load has the other. All tickets wait before the first of them is warned;
their services' limits differ, so they come due one after another. Meanwhile 300 commands/s are given at random
instants. Then the record is read: was each ticket warned once and flagged once, and how late (`at_ms` - `due_ms`)?
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from qserver.domain.events import Event
from qserver.store.answers import Op
from qserver.store.store import Store
from qserver.store.topology import Topology

from .common import cores, figure, latencies, options, run
from .load import Pool, request
from .product import Product, hall

HALLS, SERVICES, WINDOWS = 10, 100, 20
GOAL_MS = 150
_FILL_AT_ONCE = 256
_event = msgspec.msgpack.Decoder(Event)


def definition(name: str, first_s: float, spread_s: float) -> dict[str, Any]:
    """A hall whose services' limits lie evenly in the spread, and one service more that the windows give."""
    made = hall(name, windows=WINDOWS, services=SERVICES + 1)
    for number, service in enumerate(made["services"][1:]):
        service["wait_limit_s"] = first_s + spread_s * number / SERVICES
    for window in made["windows"]:
        window["services"] = ["s1"]
    return made


async def fill(store: Store, tickets: int) -> None:
    """Everybody takes a ticket, for the services in turn."""
    numbers = iter(range(tickets))

    async def go_on() -> None:
        for number in numbers:
            service = f"s{number // HALLS % SERVICES + 2}"
            await store.issue(Op("bench"), f"hall-{number % HALLS}", service)

    await asyncio.gather(*(go_on() for _ in range(_FILL_AT_ONCE)))


def work(product: Product) -> Iterator[bytes]:
    """Visits at all windows in step, for ever."""
    body = json.dumps({"service": "s1"}).encode()
    windows = [(f"/api/v1/halls/hall-{h}", f"w{w}") for w in range(1, WINDOWS + 1) for h in range(HALLS)]
    while True:
        yield from (request("POST", f"{at}/tickets", body, product.token) for at, _ in windows)
        for command in ("call", "start", "finish"):
            for at, window in windows:
                yield request("POST", f"{at}/windows/{window}/{command}", b"{}", product.token)


async def record(store: Store) -> list[Event]:
    """All events of overtime."""
    found: list[Event] = []
    for partition in {store.partition(f"hall-{number}") for number in range(HALLS)}:
        after = "-"
        while entries := await store.read_events(partition, after, 5000):
            events = [_event.decode(fields[b"e"]) for _, fields in entries if b"e" in fields]
            found += [event for event in events if event.kind.startswith("overtime.")]
            after = entries[-1][0].decode()
    return found


async def measure(tickets: int, first_s: float, spread_s: float, per_s: float) -> None:
    """Run it all and print."""
    core = cores()
    async with Product(core.server) as product:
        pool = await Pool.open(product.port, 32)
        for number in range(HALLS):
            name = f"hall-{number}"
            await product.ask(pool, "PUT", f"/api/v1/halls/{name}", definition(name, first_s, spread_s))
            for window in range(1, WINDOWS + 1):
                await product.ask(pool, "POST", f"/api/v1/halls/{name}/windows/w{window}/open", {})
        topology = Topology.from_url(product.redis_url, name="bench", timeout_s=30.0)
        await topology.open()
        store = Store(topology)
        await store.start()
        try:
            began = time.monotonic()
            await fill(store, tickets)
            filled_s = time.monotonic() - began
            print(f"{tickets} tickets wait after {filled_s:.1f} s", file=sys.stderr)
            if filled_s > first_s * 0.8:
                raise RuntimeError("the first tickets were due before all had come: give a later --first")
            left_s = first_s + spread_s + 2  # whoever came last waits as long as whoever came first
            requests = [one for one, _ in zip(work(product), range(int(left_s * per_s)), strict=False)]
            cpu = product.cpu_s()
            ran = await pool.open_model(requests, per_s)
            share = (product.cpu_s() - cpu) / ran.seconds
            await asyncio.sleep(1)
            events = await record(store)
        finally:
            await topology.close()
    report(tickets, events, share)
    spent = latencies(ran.spent_ns)
    figure("overtime.commands", spent["p99_ms"], "ms", per_s=per_s, done=ran.good, refused=ran.bad,
           load_late_p99_ms=latencies(ran.late_ns)["p99_ms"], **spent)  # fmt: skip


def report(tickets: int, events: list[Event], share: float) -> None:
    """Prints what the record says."""
    flagged = Counter((event.hall, event.ticket) for event in events if event.kind == "overtime.wait")
    warned = Counter((event.hall, event.ticket) for event in events if event.kind == "overtime.warned")
    late_ns = [(event.at_ms - event.due_ms) * 1_000_000 for event in events if event.kind == "overtime.wait"]
    once = sum(1 for ticket, times in flagged.items() if times == 1 and warned[ticket] == 1)
    figure("overtime.flagged_once", once, "tickets", float(tickets), twice=sum(n > 1 for n in flagged.values()),
           missing=tickets - len(flagged))  # fmt: skip
    late = latencies(late_ns)
    figure("overtime.late", late["p99_ms"], "ms", goal=GOAL_MS, deadlines=2 * tickets, core_used=share, **late)


def main() -> None:
    """`python -m benchmarks.overtime`."""
    parser = options(__doc__)
    parser.add_argument("--tickets", type=int, default=100_000, help="how many run over (default 100000)")
    parser.add_argument("--first", type=float, default=75.0, help="shortest limit, s (default 75)")
    parser.add_argument("--spread", type=float, default=60.0, help="longest limit - shortest, s (default 60)")
    parser.add_argument("--rate", type=float, default=300.0, help="commands/s meanwhile (default 300)")
    given = parser.parse_args()
    if given.quick:
        run(measure(3_000, 6.0, 4.0, 300.0))
    else:
        run(measure(given.tickets, given.first, given.spread, given.rate))


if __name__ == "__main__":
    main()
