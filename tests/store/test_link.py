"""The link against real servers."""

from __future__ import annotations

from qserver.store.topology import Topology


async def test_answers(redis_url: str) -> None:
    topology = Topology.from_url(redis_url, name="tests")
    await topology.open()
    try:
        assert await topology.call("x", "SET", "q:{x}:a", 7) == b"OK"
        assert await topology.call("x", "GET", "q:{x}:a") == b"7"
    finally:
        await topology.close()
