"""One server, a sentinel's primary and a cluster, all real: what is repeated, what is followed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from qserver.domain.errors import Unavailable
from qserver.store import keys
from qserver.store.link import ReplyError
from qserver.store.topology import Topology
from tests import servers
from tests.clusters import Cluster, Sentinels, eventually
from tests.servers import DataServer


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Topology]:
    topology = Topology.from_url(url, name="tests", **options)
    try:
        await topology.open()
        yield topology
    finally:
        await topology.close()


async def persistently(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until there is an answer, as a caller with an idempotency key may."""
    async with asyncio.timeout(40):
        while True:
            try:
                return await ask()
            except Unavailable:
                await asyncio.sleep(0.02)


async def happens(check: Callable[[], bool], what: str) -> None:
    """Wait for other processes without holding up this loop."""
    await asyncio.to_thread(eventually, check, what)


# -- one server --


async def test_one_server(redis_url: str) -> None:
    async with opened(redis_url) as topology:
        assert not topology.clustered and len(topology.primaries()) == 1
        assert await topology.call("x", "SET", "q:{x}:a", 7) == b"OK"
        own = topology.dedicated("x")
        assert own is not topology.primaries()[0]
        assert await own.call("GET", "q:{x}:a") == b"7"
        assert await own.call("CLIENT", "GETNAME") == b"tests"
        await own.close()
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            await topology.call("x", "LPUSH", "q:{x}:a", 1)


async def test_every_new_connection_is_told(valkey: DataServer) -> None:
    async with opened(valkey.url) as topology:
        changes = asyncio.Queue[str]()
        topology.on_change(lambda: changes.put_nowait("changed"))
        assert await topology.call("x", "INCR", "q:{x}:n") == 1
        assert changes.empty()
        await asyncio.to_thread(valkey.restart)
        assert await changes.get() == "changed"
        assert await topology.call("x", "INCR", "q:{x}:n") == 2


async def test_a_server_that_loads_is_waited_for() -> None:
    # Loading is slowed down by a setting that the servers have for this very purpose.
    server = servers.valkey("--key-load-delay", "4000", "--loading-process-events-interval-bytes", "1024")
    try:
        server.ask("EVAL", "for i = 1, 300 do redis.call('SET', 'k' .. i, string.rep('x', 100)) end", 0)
        server.ask("BGREWRITEAOF")
        eventually(lambda: server.ask("INFO", "persistence").count(b"aof_rewrite_in_progress:0\r") == 1, "rewritten")
        server.kill9()
        server.start(wait=False)
        await happens(lambda: server.path.exists() and b"loading:1" in _info(server), "the server loads")
        async with opened(server.url, timeout_s=20) as topology:
            assert await topology.call("x", "GET", "k300") == b"x" * 100
    finally:
        server.stop()


def _info(server: DataServer) -> bytes:
    try:
        return bytes(server.ask("INFO", "persistence"))
    except OSError:
        return b""


async def test_a_replica_is_not_written_to_but_waited_for(valkey: DataServer) -> None:
    async with opened(valkey.url) as topology:
        valkey.ask("CONFIG", "RESETSTAT")
        assert valkey.ask("REPLICAOF", "127.0.0.1", 1) == b"OK"
        try:
            write = asyncio.ensure_future(topology.call("x", "INCR", "q:{x}:n", timeout_s=20))
            await happens(lambda: b"errorstat_READONLY" in valkey.ask("INFO", "errorstats"), "the write is refused")
            with pytest.raises(Unavailable, match="READONLY") as caught:
                await topology.call("x", "INCR", "q:{x}:n", timeout_s=2)
            assert not caught.value.unknown
        finally:
            valkey.ask("REPLICAOF", "NO", "ONE")
        assert await write == 1


async def test_a_member_of_a_cluster_named_as_one_server(cluster: Cluster) -> None:
    foreign = next(tag for tag in keys.tags(16) if cluster.owner(keys.slot(tag)) is not cluster.nodes[0])
    async with opened(cluster.nodes[0].url) as topology:
        with pytest.raises(Unavailable, match=r"redis\+cluster"):
            await topology.call(foreign, "SET", f"q:{{{foreign}}}:a", 1)


# -- a cluster --


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    one = Cluster()
    yield one
    one.stop()


async def test_every_partition_is_reached(cluster: Cluster) -> None:
    async with opened(cluster.url) as topology:
        assert topology.clustered and len(topology.primaries()) == 3
        tags = (*keys.tags(16), keys.CONTROL_TAG)
        await asyncio.gather(*(topology.call(tag, "SET", f"q:{{{tag}}}:a", tag) for tag in tags))
        for tag in tags:
            own = topology.dedicated(tag)
            assert await own.call("GET", f"q:{{{tag}}}:a") == tag.encode()
            await own.close()
        with pytest.raises(ReplyError, match="CROSSSLOT"):
            await topology.call("p0", "MSET", "q:{p0}:a", 1, "q:{p1}:a", 1)


async def test_a_slot_on_its_way_and_moved(cluster: Cluster) -> None:
    tag = "moving"
    number, a, b = keys.slot(tag), f"q:{{{tag}}}:a", f"q:{{{tag}}}:b"
    source = cluster.owner(number)
    target = next(node for node in cluster.nodes[:3] if node is not source)
    async with opened(cluster.url) as topology:
        changes = asyncio.Queue[str]()
        topology.on_change(lambda: changes.put_nowait("changed"))
        assert await topology.call(tag, "MSET", a, "a", b, "b") == b"OK"
        reader = topology.dedicated(tag)
        blocked = reader.call("XREAD", "BLOCK", 0, "STREAMS", f"q:{{{tag}}}:s", "0-0", timeout_s=50)
        cluster.begin_move(number, source, target)

        assert await topology.call(tag, "GET", a) == b"a"  # still at the source
        cluster.move_key(a, source, target)
        assert await topology.call(tag, "GET", a) == b"a"  # ASK
        assert await topology.call(tag, "INCR", f"q:{{{tag}}}:new") == 1  # ASK: new keys are made at the target
        many = await asyncio.gather(*(topology.call(tag, "INCR", f"q:{{{tag}}}:new") for _ in range(50)))
        assert sorted(many) == list(range(2, 52))  # type: ignore[type-var]

        # TRYAGAIN: one key here, one there
        both = asyncio.ensure_future(topology.call(tag, "MGET", a, b, timeout_s=20))
        await happens(lambda: b"errorstat_TRYAGAIN" in _errors(source, target), "both keys are asked for")
        assert not both.done()
        cluster.move_key(b, source, target)
        assert await both == [b"a", b"b"]

        cluster.end_move(number, source, target)
        assert await topology.call(tag, "MGET", a, b) == [b"a", b"b"]  # MOVED
        await changes.get()
        with pytest.raises((Unavailable, ReplyError)):
            await blocked
        await reader.close()
        own = topology.dedicated(tag)
        assert own.address.port == target.port
        assert await own.call("GET", a) == b"a"
        await own.close()


def _errors(*nodes: DataServer) -> bytes:
    return b"".join(node.ask("INFO", "errorstats") for node in nodes)


async def test_one_seed_is_enough_and_none_is_told(cluster: Cluster, tmp_path: Any) -> None:
    free = servers.free_port()
    async with opened(f"redis+cluster://127.0.0.1:{free},127.0.0.1:{cluster.nodes[2].port}") as topology:
        assert len(topology.primaries()) == 3
    topology = Topology.from_url(f"redis+cluster://127.0.0.1:{free}")
    with pytest.raises(Unavailable) as caught:
        await topology.open()
    assert not caught.value.unknown
    await topology.close()


async def test_a_promoted_replica_takes_over(cluster: Cluster) -> None:
    dead, heir = cluster.nodes[0], cluster.nodes[3]
    tag = next(tag for tag in keys.tags(16) if cluster.owner(keys.slot(tag)) is dead)
    async with opened(cluster.url) as topology:
        key = f"q:{{{tag}}}:n"
        await topology.call(tag, "SET", key, 7)
        await happens(lambda: _copied(dead), "the replica has it")
        reader = topology.dedicated(tag)
        dead.kill9()
        assert await persistently(lambda: topology.call(tag, "INCR", key)) in (8, 9)  # 9: one unknown had run
        assert topology.dedicated(tag).address.port == heir.port
        with pytest.raises(Unavailable):
            await reader.call("PING")
        await reader.close()
        dead.restart()
        await happens(cluster.sound, "the cluster is sound again")


def _copied(primary: DataServer) -> bool:
    info = dict(line.split(b":", 1) for line in primary.ask("INFO", "replication").splitlines() if b":" in line)
    return b"offset=" + info[b"master_repl_offset"] in info[b"slave0"]


# -- sentinels --


@pytest.fixture
def sentinels() -> Iterator[Sentinels]:
    some = Sentinels()
    yield some
    some.stop()


async def test_the_primary_is_followed(sentinels: Sentinels) -> None:
    async with opened(sentinels.url) as topology:
        assert not topology.clustered
        assert topology.primaries()[0].address.port == sentinels.primary.port
        assert await topology.call("x", "SET", "q:{x}:n", 7) == b"OK"
        changes = asyncio.Queue[str]()
        topology.on_change(lambda: changes.put_nowait("changed"))
        reader = topology.dedicated("x")
        blocked = reader.call("XREAD", "BLOCK", 0, "STREAMS", "q:{x}:s", "0-0", timeout_s=50)
        await happens(lambda: _copied(sentinels.primary), "the replica has it")
        sentinels.primary.pause()  # worse than dead: it keeps its connections
        sentinels.sentinels[0].kill9()
        assert await persistently(lambda: topology.call("x", "INCR", "q:{x}:n", timeout_s=1)) >= 8
        assert topology.primaries()[0].address.port == sentinels.replica.port
        await changes.get()
        with pytest.raises(Unavailable):
            await blocked
        await reader.close()

        # the old primary comes back, first as a primary that nobody must write to, then as a replica
        sentinels.primary.resume()
        await happens(lambda: b"role:slave" in sentinels.primary.ask("INFO", "replication"), "it is made a replica")
        assert await topology.call("x", "SET", "q:{x}:n", 1) == b"OK"
        assert topology.primaries()[0].address.port == sentinels.replica.port


async def test_an_ordered_change_is_no_error_to_anybody(sentinels: Sentinels) -> None:
    """Commands keep coming while the sentinels swap the servers; no READONLY reaches a caller, and nobody hangs."""
    async with opened(sentinels.url) as topology:
        over = asyncio.Event()

        async def work() -> None:
            while not over.is_set():
                with contextlib.suppress(Unavailable):
                    await topology.call("x", "INCR", "q:{x}:n", timeout_s=20)

        workers = [asyncio.ensure_future(work()) for _ in range(8)]
        assert sentinels.sentinels[0].ask("SENTINEL", "FAILOVER", "hall") == b"OK"
        await happens(lambda: sentinels.named() == sentinels.replica.port, "the sentinels change over")
        await happens(lambda: b"role:slave" in sentinels.primary.ask("INFO", "replication"), "the old one follows")
        over.set()
        await asyncio.gather(*workers)
        assert await topology.call("x", "INCR", "q:{x}:n") == int(sentinels.replica.ask("GET", "q:{x}:n"))
        assert topology.primaries()[0].address.port == sentinels.replica.port


async def test_no_sentinel_there() -> None:
    topology = Topology.from_url(f"redis+sentinel://127.0.0.1:{servers.free_port()}/hall")
    with pytest.raises(Unavailable, match="hall") as caught:
        await topology.open()
    assert not caught.value.unknown
    await topology.close()
