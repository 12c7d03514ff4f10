"""Real servers with an archive: wired at start, shared by workers, and with the same reports from either place."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import msgspec

from qserver.archive.reports import Reports
from qserver.archive.shelf import Shelf
from qserver.store.topology import Topology
from tests.archive.days import DAY_MS, H, day, furnish, settle
from tests.servers import DataServer
from tests.store.clocks import MORNING, TimedStore
from tests.whole import Whole

AGO = 30


async def left(store: TimedStore, of: str) -> None:
    """Waits until a day's tickets have left."""
    while await store.day_tickets(H, of):
        await asyncio.sleep(0.05)


async def test_workers_archive_a_day_of_a_month_ago_and_let_it_leave(valkey: DataServer) -> None:
    topology = Topology.from_url(valkey.url)
    await topology.open()
    store = TimedStore(topology)
    await store.start()
    number = (int(time.time() * 1000) - MORNING) // DAY_MS - AGO
    await store.set(MORNING + number * DAY_MS)
    await furnish(store)
    await day(store, random.Random(4), number)
    of = (await store.ledger(H)).today
    await store.set(MORNING + (number + 1) * DAY_MS)
    await settle(store)
    await store.set((await store.ledger(H)).days[of].until_ms - 1)  # whatever time decides about it is decided
    await settle(store)
    before = [msgspec.to_builtins((await Reports(store).day(H, of, by))[1]) for by in ("window", "service")]
    assert before[0]["totals"]["issued"] == len(await store.day_tickets(H, of)) == 12
    await store.set(0)

    async def asked(server: Whole) -> list[Any]:
        found = [await server.get(f"/halls/{H}/reports/day/{of}?by={by}") for by in ("window", "service")]
        return [new | {"as_of_ms": old["as_of_ms"]} for new, old in zip(found, before, strict=True)]

    async with Whole("--workers", "2", redis_url=valkey.url) as server:
        await left(store, of)
        assert await asked(server) == before
        month = await server.get(f"/halls/{H}/reports/month/{of[:7]}?by=staff")
        assert month["totals"] == before[0]["totals"]
        shelf = Shelf(server.data / "archive")
        assert sum(line.ticket is not None for line in shelf.lines(H, of)) == 12
        await server.kill9_tree()
        await server.start()
        assert await asked(server) == before
    await store.close()


async def test_a_server_with_its_own_data_server_has_an_archive() -> None:
    async with Whole() as server:
        assert (server.data / "archive" / ".id").exists()
        assert b"qserver_archive_days_total 0" in await server.get("//metrics")
