"""Twice as much as the server can do: what is accepted stays quick, the rest is told to come again, nothing is lost.

Server and data server share one core, the load has the other. First the closed model finds how many tickets/s can be
issued; then twice as many are asked for at random instants over 3,000 connections of 20 halls. A request that is
answered with 429 or 503 must say when to come again; every ticket that was promised must stand in its hall, and none
besides.
"""

from __future__ import annotations

import json

from .common import cores, figure, latencies, options, run
from .load import Pool, request
from .product import Product, hall

HALLS = 20
CONNECTIONS = 3_000
GOAL_MS = 250


def issue(number: int, token: str) -> bytes:
    """A ticket for one of the halls."""
    key = f"0192f3a4-7c1e-7000-8000-{number:012x}"
    path = f"/api/v1/halls/hall-{number % HALLS}/tickets"
    return request("POST", path, b'{"service":"s1"}', token, key)


async def standing(product: Product, pool: Pool) -> int:
    """Tickets that stand in the halls."""
    count = 0
    for number in range(HALLS):
        after = ""
        while True:
            path = f"/api/v1/halls/hall-{number}/tickets?limit=1000&after={after}"
            page = await product.ask(pool, "GET", path)
            count += len(page["tickets"])
            if page["next"] is None:
                break
            after = page["next"]
    return count


async def measure(seconds: float) -> None:
    """Run it all and print."""
    core = cores()
    async with Product(core.server) as product:
        few, many = await Pool.open(product.port, 64), await Pool.open(product.port, CONNECTIONS)
        for number in range(HALLS):
            await product.ask(few, "PUT", f"/api/v1/halls/hall-{number}", hall(f"hall-{number}", windows=4))
        guides = await product.tokens(few, [{"role": "guide", "hall": f"hall-{n}"} for n in range(HALLS)])
        requests = [issue(number, guides[number % HALLS]) for number in range(int(seconds * 50_000))]
        left = iter(requests)
        # One round to warm up; what is never asked for costs only the making.
        (await few.closed(left, seconds=0.5)).must_be_good()
        ran = (await few.closed(left, seconds=min(3.0, seconds))).must_be_good()
        capacity = ran.good / ran.seconds
        before = await standing(product, few)
        asked = list(left)[: int(2 * capacity * seconds)]
        over = await many.open_model(asked, 2 * capacity)
        made = await standing(product, few) - before
    accepted, own = latencies(over.spent_ns), latencies(over.late_ns)["p99_ms"]
    figure("overload.accepted", accepted["p99_ms"], "ms", goal=GOAL_MS, asked_per_s=len(asked) / over.seconds,
           load_late_p99_ms=own, **accepted)  # fmt: skip
    figure("overload.done", over.good / over.seconds, "1/s", capacity, refused=over.bad,
           told_when=b"retry_after_s" in over.first_refusal or not over.bad)  # fmt: skip
    figure("overload.lost", over.good - made, "tickets", accepted=over.good, standing=made,
           first_refusal=json.loads(over.first_refusal or b"{}").get("code"))  # fmt: skip


def main() -> None:
    """`python -m benchmarks.overload`."""
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long twice as much is asked (default 20)")
    given = parser.parse_args()
    run(measure(3.0 if given.quick else given.seconds))


if __name__ == "__main__":
    main()
