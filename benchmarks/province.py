"""A province at work: 500 halls, 8,000 boards and 2,000 pads on one server, 300 commands/s for two minutes.

Server and data server share one core, everybody else the other: guides and clerks give commands at random instants,
pads rate when their socket shows the prompt. Every promise is checked on the way: no error, no number twice, no ticket
called twice, every call on every board of its hall, every chain unbroken, every number of every hall's record there.
press->screen counts from the instant the call was meant to be given, at every board.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter_ns as clock
from typing import Any

import msgspec

from qserver.domain.events import Event
from qserver.store.store import Store
from qserver.store.topology import Topology

from .common import cores, figure, latencies, options, run
from .load import Connection, Line, Pool, instants, request
from .product import Product, hall
from .screens import Screen, connect

STEPS = ("issue", "call", "start", "finish")
GOAL_MS = 100
CONNECTIONS = 64
_event = msgspec.msgpack.Decoder(Event)


@dataclass
class Desk:
    """A window with who works there, and which step comes next."""

    hall: str
    window: str
    guide: str
    clerk: str
    pad: str
    step: int = 0
    pressed_ns: int = 0

    def request(self, number: int) -> bytes:
        """The next step's request."""
        command, key = STEPS[self.step], f"0192f3a4-7c1e-7000-8000-{number:012x}"
        at = f"/api/v1/halls/{self.hall}"
        if command == "issue":
            return request("POST", f"{at}/tickets", b'{"service":"s1"}', self.guide, key)
        return request("POST", f"{at}/windows/{self.window}/{command}", b"{}", self.clerk, key)


@dataclass
class Seen:
    """What came back, and what it says of the promises."""

    boards_per_hall: int
    statuses: Counter[int] = field(default_factory=Counter)
    refusal: bytes = b""
    spent_ns: list[int] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    screen_ns: list[int] = field(default_factory=list)
    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    called: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: Counter[tuple[str, int]] = field(default_factory=Counter)
    rated: Counter[str] = field(default_factory=Counter)

    def promises(self, screens: list[Screen], gaps: int) -> dict[str, int]:
        """How often each was broken; all 0 is right."""
        wrong = self.boards_per_hall * len(self.called) - sum(self.shown.values())
        return {
            "errors": sum(count for status, count in self.statuses.items() if not 200 <= status < 300),
            "numbers_twice": sum(count > 1 for count in self.numbers.values()),
            "called_twice": sum(count > 1 for count in self.called.values()),
            "calls_not_on_every_board": sum(n != self.boards_per_hall for n in self.shown.values()) + abs(wrong),
            "chains_broken": sum(screen.broken for screen in screens),
            "screens_lost": sum(bool(screen.lost) for screen in screens),
            "ratings_not_recorded": sum(count for status, count in self.rated.items() if status != "recorded"),
            "gaps_in_the_record": gaps,
        }


class Province:
    """The people of the province and their screens."""

    def __init__(self, product: Product, pool: Pool, seen: Seen) -> None:
        self.product = product
        self.desks: list[Desk] = []
        self.screens: list[Screen] = []
        self.seen = seen
        self._pool = pool
        self._line: Line | None = None
        self._at: dict[tuple[str, str], Desk] = {}
        self._numbers = 0

    async def furnish(self, halls: int, windows: int, boards: int) -> None:
        """Halls, tokens, open windows, and every desk at another step."""
        wanted: list[dict[str, str]] = []
        for number in range(halls):
            name = f"hall-{number}"
            await self.product.ask(self._pool, "PUT", f"/api/v1/halls/{name}", hall(name, windows=windows))
            wanted.append({"role": "guide", "hall": name})
            wanted += [{"role": "display", "hall": name}] * boards
            for window in range(1, windows + 1):
                wanted += [{"role": role, "hall": name, "window": f"w{window}"} for role in ("clerk", "pad")]
        tokens = iter(await self.product.tokens(self._pool, wanted))
        for number in range(halls):
            name, guide = f"hall-{number}", next(tokens)
            for board in range(boards):
                self.screens.append(Screen(next(tokens), name, "board", f"{name}-board-{board}", self.heard))
            for window in range(1, windows + 1):
                desk = Desk(name, f"w{window}", guide, next(tokens), next(tokens))
                self.desks.append(desk)
                self._at[name, desk.window] = desk
                device = f"{name}-pad-{window}"
                self.screens.append(Screen(desk.pad, name, f"window:{desk.window}", device, self.heard))
        opened = (
            request("POST", f"/api/v1/halls/{d.hall}/windows/{d.window}/open", b"{}", d.clerk) for d in self.desks
        )
        (await self._pool.closed(opened)).must_be_good()
        # Windows side by side stand at different steps, so that all commands mix from the beginning.
        for first in range(1, len(STEPS)):
            later = [desk for number, desk in enumerate(self.desks) if number % len(STEPS) >= first]
            (await self._pool.closed([desk.request(self._next()) for desk in later])).must_be_good()
            for desk in later:
                desk.step += 1

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    async def work(self, per_s: float, seconds: float) -> None:
        """Commands at random instants; ratings of the pads come on top of `per_s` * 4/5, one for each finish."""
        line = self._line = self._pool.line()
        ends = clock() + int(seconds * 1e9)
        steps = len(STEPS)
        async for number, meant in instants(per_s * steps / (steps + 1), self.seen.late_ns):
            if meant >= ends:
                break
            self._press(line, self.desks[number % len(self.desks)], meant)
        await line.answered()

    def _press(self, line: Line, desk: Desk, meant: int) -> None:
        command = STEPS[desk.step]
        data = desk.request(self._next())
        desk.step = (desk.step + 1) % len(STEPS)
        if command == "call":
            desk.pressed_ns = meant

        def done(_: Connection, status: int, body: bytes) -> None:
            self._answered(status, body, clock() - meant)
            if not 200 <= status < 300 or command not in ("issue", "call"):
                return
            ticket = json.loads(body)["ticket"]
            counted = self.seen.numbers if command == "issue" else self.seen.called
            counted[desk.hall, ticket["id"] if ticket else f"nobody at {desk.window}"] += 1

        line.ask(data, meant, done)

    def _answered(self, status: int, body: bytes, spent_ns: int) -> None:
        self.seen.statuses[status] += 1
        self.seen.spent_ns.append(spent_ns)
        if status >= 300 or not status:
            self.seen.refusal = self.seen.refusal or body

    def heard(self, screen: Screen, message: dict[str, Any]) -> None:
        """What a socket was told."""
        kind = message["t"]
        if kind == "event" and message["k"] == "call":
            self.seen.screen_ns.append(clock() - self._at[screen.hall, message["window"]].pressed_ns)
            self.seen.shown[screen.hall, message["s"]] += 1
        elif kind == "state" and (prompt := message["window"].get("rate")) and self._line is not None:
            self._rate(self._line, self._at[screen.hall, message["window"]["id"]], prompt)

    def _rate(self, line: Line, desk: Desk, prompt: dict[str, Any]) -> None:
        ticket, leg, meant = prompt["ticket"], prompt["leg"], clock()
        item = {"rid": f"r{self._next()}", "ticket": ticket, "leg": leg, "score": 5, "age_ms": 0}

        def done(_: Connection, status: int, body: bytes) -> None:
            self._answered(status, body, clock() - meant)
            if status == 200:
                self.seen.rated[json.loads(body)["results"][0]["status"]] += 1

        line.ask(
            request("POST", f"/api/v1/halls/{desk.hall}/ratings", json.dumps({"items": [item]}).encode(), desk.pad),
            meant,
            done,
        )


async def gaps(url: str) -> int:
    """Numbers that are missing from, or stand twice in, the halls' records."""
    topology = Topology.from_url(url, name="bench", timeout_s=30.0)
    await topology.open()
    numbers: dict[str, list[int]] = {}
    try:
        store = Store(topology)
        await store.start()
        for partition in range(store.partitions):
            after = "-"
            while entries := await store.read_events(partition, after, 5000):
                for _, fields in entries:
                    if b"e" in fields:
                        event = _event.decode(fields[b"e"])
                        numbers.setdefault(event.hall, []).append(event.s)
                after = entries[-1][0].decode()
    finally:
        await topology.close()
    return sum(found != list(range(1, len(found) + 1)) for found in numbers.values())


async def measure(halls: int, windows: int, boards: int, per_s: float, seconds: float) -> None:
    """Run it all and print."""
    core = cores()
    async with Product(core.server) as product:
        pool = await Pool.open(product.port, CONNECTIONS)
        province = Province(product, pool, Seen(boards))
        await province.furnish(halls, windows, boards)
        print(f"{halls} halls furnished", file=sys.stderr)
        empty, cpu, began = product.memory(), product.cpu_s(), clock()
        await connect(product.port, province.screens)
        count = len(province.screens)
        connect_us, connect_s = (product.cpu_s() - cpu) / count * 1e6, (clock() - began) / 1e9
        full = product.memory()
        print(f"{count} screens are welcome after {connect_s:.1f} s", file=sys.stderr)
        cpu, began = product.cpu_s(), clock()
        await province.work(per_s, seconds)
        share = (product.cpu_s() - cpu) / (clock() - began) * 1e9
        await asyncio.sleep(2)  # the last frames come, and boards that missed one would say so
        after = product.memory()
        seen = province.seen
        broken = seen.promises(province.screens, await gaps(product.redis_url))
        for screen in province.screens:
            screen.close()
    size = {"halls": halls, "boards": halls * boards, "pads": halls * windows, "per_s": per_s, "seconds": seconds}
    if seen.refusal:
        print(seen.refusal[:500].decode(errors="replace"), file=sys.stderr)
    figure("province.broken_promises", sum(broken.values()), "times", **broken, commands=len(seen.spent_ns),
           calls=len(seen.called), ratings=sum(seen.rated.values()), **size)  # fmt: skip
    spent, own = latencies(seen.screen_ns), latencies(seen.late_ns)["p99_ms"]
    figure("province.press_to_screen", spent["p99_ms"], "ms", goal=GOAL_MS, deliveries=len(seen.screen_ns),
           load_late_p99_ms=own, **spent)  # fmt: skip
    spent = latencies(seen.spent_ns)
    figure("province.command", spent["p99_ms"], "ms", core_used=share, **spent)
    figure("province.connect", connect_us, "us", per="screen, CPU of server and data server", seconds=connect_s)
    per_screen = (full["server_bytes"] - empty["server_bytes"]) / count
    figure("province.memory_per_screen", per_screen, "B", screens=count)
    for name, value in after.items():
        figure(f"province.memory.{name.removesuffix('_bytes')}", value / 2**20, "MiB", before=empty[name] / 2**20)


def main() -> None:
    """`python -m benchmarks.province`."""
    parser = options(__doc__)
    parser.add_argument("--halls", type=int, default=500, help="(default 500)")
    parser.add_argument("--windows", type=int, default=4, help="in each hall, with a pad at each (default 4)")
    parser.add_argument("--boards", type=int, default=16, help="in each hall (default 16)")
    parser.add_argument("--rate", type=float, default=300.0, help="commands/s, ratings among them (default 300)")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long they work (default 120)")
    given = parser.parse_args()
    if given.quick:
        run(measure(25, 4, 16, 100.0, 8.0))
    else:
        run(measure(given.halls, given.windows, given.boards, given.rate, given.seconds))


if __name__ == "__main__":
    main()
