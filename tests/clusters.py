"""Several real data servers that belong together: a cluster, and a primary with replica and sentinels."""

from __future__ import annotations

import time
from collections.abc import Callable

from qserver.store.embedded import find_binary
from tests import servers
from tests.servers import DataServer

SLOTS = 16384


def eventually(check: Callable[[], bool], what: str, within_s: float = 40) -> None:
    """Wait until other processes have come to a state; fail loudly otherwise."""
    deadline = time.monotonic() + within_s
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come: {what}")
        time.sleep(0.02)


class Cluster:
    """Three primaries with a third of the slots each, and a replica of the first."""

    def __init__(self) -> None:
        self.nodes = [self._node() for _ in range(4)]
        first, *others = self.nodes
        for n, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for node in others:
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        for n, node in enumerate(self.nodes[:3]):
            node.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * n // 3, SLOTS * (n + 1) // 3 - 1)
        eventually(lambda: all(len(self._known(node)) == 4 for node in self.nodes), "the nodes know one another")
        self.nodes[3].ask("CLUSTER", "REPLICATE", self.id(first))
        eventually(self.sound, "the cluster is sound")

    @staticmethod
    def _node() -> Node:
        bus = servers.free_port()
        node = Node(
            find_binary(), "--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout",
            "1000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0", tcp=True,
        )  # fmt: skip
        node.bus = bus
        node.start()
        return node

    @staticmethod
    def _known(node: DataServer) -> list[str]:
        return [line for line in str(node.ask("CLUSTER", "NODES"), "ascii").splitlines() if "handshake" not in line]

    def sound(self) -> bool:
        """Whether every living node sees all slots served and every replica follows its primary."""
        living = [node for node in self.nodes if node.alive]
        return all(
            b"cluster_state:ok" in node.ask("CLUSTER", "INFO")
            and len(node.ask("CLUSTER", "SLOTS")) >= 3
            and b"master_link_status:down" not in node.ask("INFO", "replication")
            for node in living
        )

    @property
    def url(self) -> str:
        """Its URL, with two seeds."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[1].port}"

    @staticmethod
    def id(node: DataServer) -> str:
        """The name by which the cluster knows a node."""
        return str(node.ask("CLUSTER", "MYID"), "ascii")

    def owner(self, slot: int) -> DataServer:
        """The node that serves a slot, by its own account."""
        for node in self.nodes:
            if not node.alive:
                continue
            for start, end, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS"):
                if start <= slot <= end and port == node.port:
                    return node
        raise AssertionError(f"nobody serves {slot}")

    def begin_move(self, slot: int, source: DataServer, target: DataServer) -> None:
        """Open the slot on both sides: from now on the source answers ASK for keys it does not have."""
        assert target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source)) == b"OK"
        assert source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(target)) == b"OK"

    def move_key(self, key: str, source: DataServer, target: DataServer) -> None:
        """Move one key of an opened slot."""
        assert source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5000) == b"OK"

    def end_move(self, slot: int, source: DataServer, target: DataServer) -> None:
        """Give the slot to the target for good."""
        for node in (target, source, *self.nodes):
            if node.alive and b"role:master" in node.ask("INFO", "replication"):
                assert node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id(target)) == b"OK"

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()


class Node(DataServer):
    """A node of a cluster; `bus` is the port on which the nodes talk to one another."""

    bus: int


class Sentinels:
    """A primary, its replica and three sentinels that watch over them under the name `hall`."""

    def __init__(self) -> None:
        self.primary = servers.valkey("--repl-diskless-sync-delay", "0", tcp=True)
        self.replica = servers.valkey(
            "--replicaof", f"127.0.0.1 {self.primary.port}", "--repl-diskless-sync-delay", "0", tcp=True
        )
        eventually(lambda: b"master_link_status:up" in self.replica.ask("INFO", "replication"), "the replica follows")
        self.sentinels = [self._sentinel() for _ in range(3)]
        eventually(lambda: all(self._ready(s) for s in self.sentinels), "the sentinels know all")

    def _sentinel(self) -> DataServer:
        sentinel = DataServer(find_binary(), tcp=True)
        config = sentinel.directory / "sentinel.conf"
        config.write_text(
            f"port {sentinel.port}\nbind 127.0.0.1\ndir {sentinel.directory}\nunixsocket {sentinel.path}\n"
            f"sentinel monitor hall 127.0.0.1 {self.primary.port} 2\nsentinel down-after-milliseconds hall 700\n"
            "sentinel failover-timeout hall 3000\n"
        )
        return sentinel.start(str(config), "--sentinel")

    @staticmethod
    def _ready(sentinel: DataServer) -> bool:
        flat = sentinel.ask("SENTINEL", "MASTER", "hall")
        state = dict(zip(flat[::2], flat[1::2], strict=True))
        return bool(state[b"num-slaves"] == b"1" and state[b"num-other-sentinels"] == b"2")

    @property
    def url(self) -> str:
        """The URL of the service they watch."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{s.port}' for s in self.sentinels)}/hall"

    def named(self) -> int:
        """The primary's port, as the first sentinel names it."""
        return int(self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "hall")[1])

    def stop(self) -> None:
        """End them all."""
        for server in (*self.sentinels, self.replica, self.primary):
            server.stop()
