"""The embedded data server."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from qserver.domain.errors import Unavailable
from qserver.store.embedded import Embedded, EmbeddedError
from qserver.store.link import Reply
from qserver.store.topology import Topology


async def asks(topology: Topology, *args: str) -> Reply:
    """Read until there is an answer; a read may be repeated freely."""
    while True:
        try:
            return await topology.call("x", *args)
        except Unavailable:
            await asyncio.sleep(0)


async def test_killed_it_comes_back_with_its_data(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path / "data")
    await embedded.start()
    topology = Topology.from_url(embedded.url)
    try:
        with pytest.raises(EmbeddedError, match="in use"):
            await Embedded(tmp_path / "data").start()
        await topology.open()
        await topology.call("x", "SET", "q:{x}:a", 7)
        os.kill(embedded.pid, signal.SIGKILL)
        assert await asks(topology, "GET", "q:{x}:a") == b"7"
        assert embedded.restarts == 1
    finally:
        await topology.close()
        await embedded.stop()
    assert embedded.pid == 0
