"""Webhooks over several data servers: positions and letters in one slot, events wherever their halls are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests.clusters import Cluster
from tests.halls import small_hall
from tests.hooks.desk import Desk
from tests.hooks.receivers import Came, Receiver, answering, taken

HALLS = [f"h{n}" for n in range(8)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


async def test_events_of_halls_all_over_a_cluster_come_each_hall_in_its_order(
    cluster: Cluster, receiver: Receiver
) -> None:
    topology = Topology.from_url(cluster.url)
    await topology.open()
    store = Store(topology)
    await store.start()
    desk = Desk(store)
    try:
        await asyncio.gather(*(store.configure(SYSTEM, small_hall(hall)) for hall in HALLS))
        hook = await desk.hook(receiver.url, "*")
        for _ in range(10):
            await asyncio.gather(*(store.issue(SYSTEM, hall, "a") for hall in HALLS))
        refused: set[str] = set()

        async def once_bad(came: Came) -> object:
            bad = came.event["sequence"] == "5" and came.id not in refused
            refused.add(came.id)
            return await (answering(422) if bad else taken)(came)  # of the event alone: no receiver that is away

        receiver.answer = once_bad  # type: ignore[assignment]
        await desk.deliver(desk.courier(hook))
        waiting = (await store.hook(hook.id)).waiting
        good = [one for one in receiver.came if one.event["sequence"] != "5"]
        for hall in HALLS:
            numbers = [int(one.event["sequence"]) for one in good if one.event["partitionkey"] == hall]
            assert numbers == [n for n in range(2, 12) if n != 5]
        assert waiting == len(HALLS)
        assert (await store.remove_hook(SYSTEM, hook.id)).value.waiting == waiting
        assert await store.hooks() == []
    finally:
        await desk.close()
        await store.close()
