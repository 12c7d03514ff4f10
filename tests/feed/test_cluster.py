"""The feed over several data servers: each partition's stream lies where its slot is served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from qserver.feed.cursor import Shard
from qserver.feed.pull import Feed
from qserver.feed.trim import Trimmer
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests.clusters import Cluster
from tests.halls import small_hall

HALLS = [f"h{n}" for n in range(8)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


async def test_a_group_reads_waits_and_is_trimmed_across_a_cluster(cluster: Cluster) -> None:
    topology = Topology.from_url(cluster.url)
    await topology.open()
    store = Store(topology)
    await store.start()
    feed = Feed(store)
    try:
        await asyncio.gather(*(store.configure(SYSTEM, small_hall(hall)) for hall in HALLS))
        assert len({store.partition(hall) for hall in HALLS}) > 3
        await feed.create(SYSTEM, "", "g", from_start=True)
        for _ in range(5):
            await asyncio.gather(*(store.issue(SYSTEM, hall, "a") for hall in HALLS))
        found: dict[str, list[int]] = {hall: [] for hall in HALLS}
        while (batch := await feed.pull("", "g", Shard(), 7, 0)).events:
            for event in batch.events:
                found[event.hall].append(event.s)
            await feed.ack(SYSTEM, "", "g", batch.cursor)
        assert found == {hall: list(range(1, 7)) for hall in HALLS}
        for hall in HALLS:
            waiting = asyncio.create_task(feed.pull("", "g", Shard(), 7, 50_000))
            await feed.watch.start()
            await store.issue(SYSTEM, hall, "a")
            batch = await waiting
            assert [event.hall for event in batch.events] == [hall]
            await feed.ack(SYSTEM, "", "g", batch.cursor)
        trimmed = await Trimmer(store, keep_ms=-1000).once()
        assert trimmed.dropped >= 8 * 7 and not trimmed.cut
        assert not (await feed.pull("", "g", Shard(), 7, 0)).truncated
    finally:
        await feed.watch.stop()
        await store.close()
