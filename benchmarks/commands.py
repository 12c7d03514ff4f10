"""Every press over HTTP: issue, call, start, finish, rate; what each costs beside an aiohttp POST that does nothing.

Server and data server share one core (fsync on every write), the load has the other. The floor runs on the server's
core too, right before and right behind every few visits: a machine that is shared is twice as fast in one second as in
the next, so a burst of commands is compared with these two alone, and `ratio` is the median over the bursts, not that
of the medians beside it. For each command, without and with an Idempotency-Key:

    closed     commands/s while 64 connections give one after another; floor: no-op POSTs/s; CPU per command beside it
    open       latency at half that rate, requests coming at random instants and timed from when they were meant

Commands of one hall that arrive together share a step, so everything is measured in one large hall and in 25.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from statistics import mean
from typing import NamedTuple

from .common import cores, cpu_s, figure, latencies, median, options, run
from .load import Pool, Run, request
from .product import Floor, Product, hall

COMMANDS = ("issue", "call", "start", "finish", "rate")
GOALS = {"issue": 0.45, "call": 0.40, "rate": 0.40}
CONNECTIONS = 64
FLOOR_S = 0.2
VISITS = 3
"""Between two runs of the floor; these leave nothing of the product in the core's caches."""
SERVICES = 4
PACE = {"integrity": {"burst_s": 0.01}}
"""A window's next rating comes here within a second; by the usual measure of a pad each would be marked as odd."""


@dataclass
class Place:
    """A window with the tokens of who works there: the guide of its hall, its clerk, its pad."""

    hall: str
    window: str
    guide: str
    clerk: str
    pad: str
    service: str


class Burst(NamedTuple):
    """One burst: the run, and CPU time per request, us: of all that is measured, and of the data server alone."""

    ran: Run
    cpu_us: float
    data_us: float = 0.0


@dataclass
class Cost:
    """Bursts of one command, and how they compare with the floor beside each."""

    bursts: list[Burst] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    cpu_ratios: list[float] = field(default_factory=list)

    def add(self, burst: Burst, *beside: Burst) -> None:
        """One burst, with the floor's before and behind it."""
        self.bursts.append(burst)
        if beside:
            self.ratios.append(burst.ran.per_s * mean(1 / floor.ran.per_s for floor in beside))
            self.cpu_ratios.append(mean(floor.cpu_us for floor in beside) / burst.cpu_us)

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return median([burst.ran.per_s for burst in self.bursts])

    @property
    def cpu_us(self) -> float:
        """CPU time per request, us."""
        return median([burst.cpu_us for burst in self.bursts])

    @property
    def data_us(self) -> float:
        """The data server's CPU time per request, us."""
        return median([burst.data_us for burst in self.bursts])

    def latencies(self) -> dict[str, float]:
        """Of all requests."""
        return latencies(one for burst in self.bursts for one in burst.ran.spent_ns)


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
        await product.ask(pool, "PUT", f"/api/v1/halls/{name}", hall(name, windows=windows, services=SERVICES, **PACE))
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


async def visit(product: Product, pool: Pool, day: Day, keyed: bool) -> AsyncIterator[tuple[str, Burst]]:
    """A whole visit at every place: a burst of each command."""
    server, data = [product.pid], [product.data_pid]
    for command in COMMANDS:
        requests = day.requests(command, keyed)
        server_s, data_s = cpu_s(server), cpu_s(data)
        ran = (await pool.closed(requests)).must_be_good()
        server_s, data_s = cpu_s(server) - server_s, cpu_s(data) - data_s
        day.heard(command, ran)
        yield command, Burst(ran, (server_s + data_s) / ran.good * 1e6, data_s / ran.good * 1e6)


async def nothing(floor: Floor, pool: Pool, day: Day, seconds: float) -> Burst:
    """A burst of the floor."""
    before = floor.cpu_s()
    ran = (await pool.closed(nothings(day), seconds=seconds)).must_be_good()
    return Burst(ran, (floor.cpu_s() - before) / ran.good * 1e6)


def nothings(day: Day) -> Iterator[bytes]:
    """Requests like those of issue, for the floor."""
    one = day.requests("issue", keyed=False)[0]
    while True:
        yield one


async def measure(rounds: int, halls: int, windows: int) -> None:
    """Run it all for so many halls of so many windows and print."""
    core = cores()
    costs: dict[tuple[str, bool], Cost] = defaultdict(Cost)
    floors = Cost()
    async with Floor(core.server) as floor, Product(core.server) as product:
        over, pool = await Pool.open(floor.port, CONNECTIONS), await Pool.open(product.port, CONNECTIONS)
        day = Day(await furnish(product, pool, halls, windows))
        async for _ in visit(product, pool, day, False):
            pass  # the first commands do not tell what the others cost
        before = await nothing(floor, over, day, FLOOR_S)
        for _ in range(rounds):
            for keyed in (False, True):
                done = [one for _ in range(VISITS) async for one in visit(product, pool, day, keyed)]
                behind = await nothing(floor, over, day, FLOOR_S)
                for command, burst in done:
                    costs[command, keyed].add(burst, before, behind)
                floors.add(behind)
                before = behind
        _print_closed(costs, floors, halls)
        if core.server == core.load:
            return
        for command, ran in (await _open(pool, day, costs)).items():
            times_ms, own = latencies(ran.spent_ns), latencies(ran.late_ns)["p99_ms"]
            figure(f"commands.{command}.open", times_ms["p99_ms"], "ms", halls=halls,
                   rate_per_s=costs[command, True].per_s / 2, keyed=True, load_late_p99_ms=own, **times_ms)  # fmt: skip
        over.close()
        pool.close()


async def _open(pool: Pool, day: Day, costs: dict[tuple[str, bool], Cost]) -> dict[str, Run]:
    found: dict[str, Run] = defaultdict(Run)
    for _ in range(VISITS):
        for command in COMMANDS:
            rate = costs[command, True].per_s / 2
            ran = (await pool.open_model(day.requests(command, True), rate)).must_be_good()
            day.heard(command, ran)
            found[command].spent_ns += ran.spent_ns
            found[command].late_ns += ran.late_ns
    return found


def _print_closed(costs: dict[tuple[str, bool], Cost], floors: Cost, halls: int) -> None:
    figure("commands.noop", floors.per_s, "1/s", cpu_us=floors.cpu_us, **floors.latencies())
    for (command, keyed), cost in costs.items():
        figure(
            f"commands.{command}.closed",
            cost.per_s,
            "1/s",
            floors.per_s,
            ratio=round(median(cost.ratios), 3),
            halls=halls,
            keyed=keyed,
            goal=GOALS.get(command),
            cpu_us=cost.cpu_us,
            data_cpu_us=cost.data_us,
            floor_cpu_us=floors.cpu_us,
            cpu_ratio=round(median(cost.cpu_ratios), 3),
            **cost.latencies(),
        )


def main() -> None:
    """`python -m benchmarks.commands`."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="times three visits at every place (default 10)")
    given = parser.parse_args()
    run(layouts(1 if given.quick else given.rounds))


async def layouts(rounds: int) -> None:
    """In one hall, then in 25; without and with Idempotency-Keys in turn."""
    await measure(rounds, halls=1, windows=400)
    await measure(rounds, halls=25, windows=16)


if __name__ == "__main__":
    main()
