"""Every press over HTTP: issue, call, start, finish, rate; what each costs beside an aiohttp POST that does nothing.

Server and data server share one core (fsync on every write), the load has the other; the floor runs on the server's
core too, in rounds that alternate with the product's. Printed for each command, without and with an Idempotency-Key:

    closed     commands/s when 64 connections give one after another; floor: no-op POSTs/s; CPU per command beside it
    open       latency at half that rate, requests coming at random instants and timed from when they were meant

Commands of one hall that arrive together share a step, so everything is measured in one large hall and in 25.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .common import cores, cpu_s, figure, latencies, median, options, run
from .load import Pool, Run, request
from .product import Floor, Product, hall

COMMANDS = ("issue", "call", "start", "finish", "rate")
GOALS = {"issue": 0.45, "call": 0.40, "rate": 0.40}
CONNECTIONS = 64
SERVICES = 4


@dataclass
class Place:
    """A window with the tokens of who works there: the guide of its hall, its clerk, its pad."""

    hall: str
    window: str
    guide: str
    clerk: str
    pad: str
    service: str


class Spent(NamedTuple):
    """CPU time, s: of all processes measured, and of the data server among them."""

    all_s: float
    data_s: float = 0.0


@dataclass
class Cost:
    """Rounds of one command."""

    per_s: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    data_us: list[float] = field(default_factory=list)
    spent_ns: list[int] = field(default_factory=list)

    def add(self, ran: Run, spent: Spent) -> None:
        """One round."""
        self.per_s.append(ran.good / ran.seconds)
        self.cpu_us.append(spent.all_s / ran.good * 1e6)
        self.data_us.append(spent.data_s / ran.good * 1e6)
        self.spent_ns += ran.spent_ns


class Day:
    """Makes the requests of whole visits: every place issues, calls, starts, finishes and rates, all in step."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.finished: list[tuple[str, int]] = []
        self._keys = 0

    def requests(self, command: str, keyed: bool) -> list[bytes]:
        """The same command for every place."""
        if command == "rate":
            return [self._rate(place, *done, keyed) for place, done in zip(self.places, self.finished, strict=True)]
        if command == "issue":
            return [self._post(p.hall, "/tickets", {"service": p.service}, p.guide, keyed) for p in self.places]
        path = "/windows/{}/" + command
        return [self._post(p.hall, path.format(p.window), {}, p.clerk, keyed) for p in self.places]

    def heard(self, command: str, ran: Run) -> None:
        """Takes from the answers what the next commands need."""
        if command == "finish":
            tickets = [json.loads(body)["ticket"] for body in ran.bodies]
            self.finished = [(ticket["id"], ticket["leg"]) for ticket in tickets]

    def _rate(self, place: Place, ticket: str, leg: int, keyed: bool) -> bytes:
        item = {"rid": f"r{self._keys}", "ticket": ticket, "leg": leg, "score": 5, "age_ms": 40}
        return self._post(place.hall, "/ratings", {"items": [item]}, place.pad, keyed)

    def _post(self, name: str, path: str, body: object, token: str, keyed: bool) -> bytes:
        self._keys += 1
        key = f"0192f3a4-7c1e-7000-8000-{self._keys:012x}" if keyed else ""
        return request("POST", f"/api/v1/halls/{name}{path}", json.dumps(body).encode(), token, key)


async def furnish(product: Product, pool: Pool, halls: int, windows: int) -> list[Place]:
    """Halls with open windows and a token for everybody, who all are known to the server when this returns."""
    wanted: list[dict[str, str]] = []
    for number in range(halls):
        name = f"hall-{number}"
        await product.ask(pool, "PUT", f"/api/v1/halls/{name}", hall(name, windows=windows, services=SERVICES))
        wanted.append({"role": "guide", "hall": name})
        for window in range(1, windows + 1):
            at = {"hall": name, "window": f"w{window}"}
            wanted += [{"role": "clerk", **at}, {"role": "pad", **at}]
    tokens = await product.tokens(pool, wanted)
    by = {(one["role"], one["hall"], one.get("window", "")): token for one, token in zip(wanted, tokens, strict=True)}
    places = [
        Place(
            f"hall-{h}", f"w{w}", by["guide", f"hall-{h}", ""], by["clerk", f"hall-{h}", f"w{w}"],
            by["pad", f"hall-{h}", f"w{w}"], f"s{w % SERVICES + 1}",
        )
        for w in range(1, windows + 1) for h in range(halls)
    ]  # fmt: skip
    opened = (request("POST", f"/api/v1/halls/{p.hall}/windows/{p.window}/open", b"{}", p.clerk) for p in places)
    (await pool.closed(opened)).must_be_good()
    return places


async def visits(product: Product, pool: Pool, day: Day, keyed: bool, times: int) -> dict[str, tuple[Run, Spent]]:
    """Whole visits at every place, `times` over: what each command came to, and what it cost."""
    found: dict[str, tuple[Run, Spent]] = {}
    server, data = [product.pid], [product.data_pid]
    for _ in range(times):
        for command in COMMANDS:
            requests = day.requests(command, keyed)
            server_s, data_s = cpu_s(server), cpu_s(data)
            ran = (await pool.closed(requests)).must_be_good()
            server_s, data_s = cpu_s(server) - server_s, cpu_s(data) - data_s
            day.heard(command, ran)
            if command in found:
                sofar, spent = found[command]
                ran.seconds += sofar.seconds
                ran.statuses += sofar.statuses
                ran.spent_ns += sofar.spent_ns
                server_s, data_s = server_s + spent.all_s - spent.data_s, data_s + spent.data_s
            found[command] = ran, Spent(server_s + data_s, data_s)
    return found


def nothings(day: Day) -> Iterator[bytes]:
    """Requests like those of issue, for the floor."""
    one = day.requests("issue", keyed=False)[0]
    while True:
        yield one


async def measure(rounds: int, halls: int, windows: int, times: int, floor_s: float) -> None:
    """Run it all for so many halls of so many windows and print."""
    core = cores()
    costs: dict[tuple[str, bool], Cost] = defaultdict(Cost)
    floors = Cost()
    async with Floor(core.server) as floor, Product(core.server) as product:
        over, pool = await Pool.open(floor.port, CONNECTIONS), await Pool.open(product.port, CONNECTIONS)
        day = Day(await furnish(product, pool, halls, windows))
        (await over.closed(nothings(day), seconds=floor_s)).must_be_good()
        await visits(product, pool, day, False, 1)
        for _ in range(rounds):
            for keyed in (False, True):
                before = floor.cpu_s()
                ran = (await over.closed(nothings(day), seconds=floor_s)).must_be_good()
                floors.add(ran, Spent(floor.cpu_s() - before))
                for command, (done, spent) in (await visits(product, pool, day, keyed, times)).items():
                    costs[command, keyed].add(done, spent)
        _print_closed(costs, floors, halls)
        if core.server == core.load:
            return
        for command, ran in (await _open(pool, day, costs, times)).items():
            times_ms, own = latencies(ran.spent_ns), latencies(ran.late_ns)["p99_ms"]
            rate = median(costs[command, True].per_s) / 2
            figure(f"commands.{command}.open", times_ms["p99_ms"], "ms", halls=halls, rate_per_s=rate, keyed=True,
                   load_late_p99_ms=own, **times_ms)  # fmt: skip
        over.close()
        pool.close()


async def _open(pool: Pool, day: Day, costs: dict[tuple[str, bool], Cost], times: int) -> dict[str, Run]:
    found: dict[str, Run] = defaultdict(Run)
    for _ in range(times):
        for command in COMMANDS:
            rate = median(costs[command, True].per_s) / 2
            ran = (await pool.open_model(day.requests(command, True), rate)).must_be_good()
            day.heard(command, ran)
            found[command].spent_ns += ran.spent_ns
            found[command].late_ns += ran.late_ns
    return found


def _print_closed(costs: dict[tuple[str, bool], Cost], floors: Cost, halls: int) -> None:
    floor, floor_cpu = median(floors.per_s), median(floors.cpu_us)
    figure("commands.noop", floor, "1/s", cpu_us=floor_cpu, **latencies(floors.spent_ns))
    for (command, keyed), cost in costs.items():
        cpu = median(cost.cpu_us)
        figure(
            f"commands.{command}.closed",
            median(cost.per_s),
            "1/s",
            floor,
            halls=halls,
            keyed=keyed,
            goal=GOALS.get(command),
            cpu_us=cpu,
            data_cpu_us=median(cost.data_us),
            floor_cpu_us=floor_cpu,
            cpu_ratio=round(floor_cpu / cpu, 3),
            **latencies(cost.spent_ns),
        )


def main() -> None:
    """`python -m benchmarks.commands`."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of floor and product (default 10)")
    given = parser.parse_args()
    run(layouts(1 if given.quick else given.rounds, 1 if given.quick else 2, 0.3 if given.quick else 0.6))


async def layouts(rounds: int, times: int, floor_s: float) -> None:
    """In one hall, then in 25; every second round has Idempotency-Keys."""
    await measure(rounds, halls=1, windows=400, times=times, floor_s=floor_s)
    await measure(rounds, halls=25, windows=16, times=times, floor_s=floor_s)


if __name__ == "__main__":
    main()
