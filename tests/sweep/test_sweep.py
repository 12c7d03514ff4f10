"""Deadlines come and are acted on once, in time, by whoever is there, and one that fails stops nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import uvloop

from qserver.domain.events import Event
from qserver.domain.hall import Hall, Service
from qserver.store import keys
from qserver.store.answers import SYSTEM, Op
from qserver.store.store import Store
from qserver.store.topology import Topology
from qserver.sweep import Sweep
from qserver.sweep import sweep as module
from tests import servers
from tests.halls import small_hall
from tests.waiting import events, until

GUIDE = Op("guide")
_event = msgspec.msgpack.Decoder(Event)


def test_what_is_told_between_the_ring_and_the_waking_is_heard() -> None:
    async def check() -> None:
        loop, heard = asyncio.get_running_loop(), list[str]()
        alarm = module.Alarm()

        def tell() -> None:
            alarm.told(0.0)
            heard.append("told")

        sleeper = asyncio.create_task(alarm.ring(0.0))
        await asyncio.sleep(0)
        loop.call_soon(tell)  # behind the ring, which comes in the next pass, before any task goes on
        await sleeper
        assert heard == ["told"], "told behind the ring, before the sleeper was awake"
        await asyncio.wait_for(alarm.ring(600), 60)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check())


async def test_a_watcher_that_fails_does_not_make_a_command_look_failed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.configure(SYSTEM, limited("h1", 600))

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake of whoever wanted to know")

    untold = store.on_deadline(broken)
    issued = (await store.issue(GUIDE, "h1", "a")).value.ticket
    untold()
    assert (await store.ticket("h1", issued.no)).state == "waiting"
    assert "a watcher of deadlines failed" in caplog.text


def limited(hall: str, wait_limit_s: float) -> Hall:
    return small_hall(hall, services=[Service(id="a", prefix="A", wait_limit_s=wait_limit_s)], windows=[])


@asynccontextmanager
async def sweeping(store: Store, count: int = 1) -> AsyncIterator[list[Sweep]]:
    sweeps = [Sweep(store) for _ in range(count)]
    for sweep in sweeps:
        await sweep.start()
    try:
        yield sweeps
    finally:
        for sweep in sweeps:
            await sweep.stop()


async def test_a_limit_that_passes_is_warned_of_and_flagged_once_by_one_of_many(store: Store) -> None:
    await store.configure(SYSTEM, limited("h1", 0.2))
    async with sweeping(store, 4) as sweeps:
        issued = (await store.issue(GUIDE, "h1", "a")).value.ticket
        over = await events(store, "h1", "overtime.wait", 1)
        assert over[0].due_ms == issued.issued_ms + 200
        assert over[0].at_ms >= over[0].due_ms
        await store.issue(GUIDE, "h1", "a")
        assert len(await events(store, "h1", "overtime.wait", 2)) == 2
    kinds = [_event.decode(f[b"e"]).kind for _, f in await store.read_events(store.partition("h1")) if b"e" in f]
    assert kinds.count("overtime.wait") == 2
    assert kinds.count("overtime.warned") <= 2, "none when the limit had passed before anybody looked"
    assert all(sweep.errors == 0 for sweep in sweeps)


async def test_many_deadlines_of_many_halls_at_one_instant(valkey_store: Store) -> None:
    store = valkey_store
    halls = [f"h{n}" for n in range(8)]
    for hall in halls:
        await store.configure(SYSTEM, limited(hall, 0.4))
    # Issued while nobody sweeps, so that all have come when the sweep begins: more than one fetch, more than one batch.
    await asyncio.gather(*(store.issue(GUIDE, hall, "a") for hall in halls for _ in range(module.LIMIT // 4)))
    while len((await store.due(store.partition("h0"), limit=module.LIMIT)).members) < module.LIMIT // 4:
        await asyncio.sleep(0.01)
    async with sweeping(store) as (sweep,):
        for hall in halls:
            assert len(await events(store, hall, "overtime.wait", module.LIMIT // 4)) == module.LIMIT // 4
        assert sweep.errors == 0


async def test_an_earlier_deadline_that_appears_meanwhile_is_not_slept_over(valkey_store: Store) -> None:
    store = valkey_store
    far, near = next(
        (a, b)
        for a in (f"x{n}" for n in range(9))
        for b in (f"y{n}" for n in range(9))
        if store.partition(a) == store.partition(b)
    )
    await store.configure(SYSTEM, limited(far, 3600))
    await store.configure(SYSTEM, limited(near, 0.3))
    await store.issue(GUIDE, far, "a")
    async with sweeping(store):
        await store.issue(GUIDE, near, "a")
        await events(store, near, "overtime.wait", 1)


async def test_a_deadline_that_another_process_set_and_left_is_found(valkey: servers.DataServer) -> None:
    here, gone = Topology.from_url(valkey.url), Topology.from_url(valkey.url)
    await here.open()
    await gone.open()
    store, other = Store(here), Store(gone)
    await store.start()
    await other.start()
    await store.configure(SYSTEM, limited("h1", 0.3))
    async with sweeping(store):
        await other.issue(GUIDE, "h1", "a")
        await other.close()
        await events(store, "h1", "overtime.wait", 1)
    await store.close()


async def test_the_data_server_dies_and_comes_back(valkey: servers.DataServer) -> None:
    topology = Topology.from_url(valkey.url)
    await topology.open()
    store = Store(topology)
    await store.start()
    await store.configure(SYSTEM, limited("h1", 0.5))
    await store.issue(GUIDE, "h1", "a")
    async with sweeping(store) as (sweep,):
        valkey.kill9()
        await until(lambda: sweep.away)
        valkey.restart()
        await events(store, "h1", "overtime.wait", 1)
        await until(lambda: sweep.flagged and not sweep.away)
        assert sweep.errors == 0
    await store.close()


async def test_a_deadline_that_breaks_its_function_stops_no_other(
    valkey: servers.DataServer, valkey_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store = valkey_store
    await store.configure(SYSTEM, limited("h1", 0.2))
    broken = (await store.issue(GUIDE, "h1", "a")).value.ticket
    await store.issue(GUIDE, "h1", "a")
    # What no command does: a record that cannot be read.
    tickets = next(key for key in keys.hall_keys(store.tag(store.partition("h1")), "h1") if key.endswith(":t"))
    assert valkey.ask("HSET", tickets, broken.id, "broken") == 0
    async with sweeping(store) as (sweep,):
        assert len(await events(store, "h1", "overtime.wait", 1)) == 1
        await until(lambda: sweep.errors)
    assert any("deadlines cannot be acted on" in record.message for record in caplog.records)


async def test_figures_are_lines_that_prometheus_reads(valkey_store: Store) -> None:
    store = valkey_store
    await store.configure(SYSTEM, limited("h1", 0.2))
    async with sweeping(store) as (sweep,):
        await store.issue(GUIDE, "h1", "a")
        await events(store, "h1", "overtime.wait", 1)
        await until(lambda: sweep.flagged)
        lines, flagged = list(sweep.metrics()), sweep.flagged
    assert f"qserver_sweep_flagged_total {flagged}" in lines
    assert all(line.startswith("# ") or len(line.rsplit(" ", 1)) == 2 for line in lines)
