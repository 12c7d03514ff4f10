"""A store with a settable clock and a hall in it, on both data servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qserver.domain import hall
from qserver.store.answers import SYSTEM
from qserver.store.topology import Topology
from tests.store.clocks import TimedStore

HALL = {
    "id": "h1",
    "services": [
        {"id": "a", "prefix": "A", "service_limit_s": 600, "wait_limit_s": 900},
        {"id": "b", "prefix": "B"},
        {"id": "few", "prefix": "F", "daily_quota": 1},
        {"id": "shut", "prefix": "S", "opens": "13:00", "closes": "14:00"},
    ],
    "windows": [
        {"id": "w1", "services": ["a", "b", "few", "shut"]},
        {"id": "w2", "services": ["a"]},
        {"id": "w3", "services": ["b"]},
    ],
    "priorities": [{"id": "elder", "boost_s": 300}],
    "calls": {"max_calls": 2, "return_after": 2},
    "rating": {"window_s": 1800},
}


@pytest.fixture
async def timed(redis_url: str) -> AsyncIterator[TimedStore]:
    """A store on a fresh data server with hall h1, its clock standing at a Tuesday morning."""
    topology = Topology.from_url(redis_url)
    await topology.open()
    store = TimedStore(topology)
    await store.start()
    await store.configure(SYSTEM, hall.parse(HALL))
    yield store
    await store.set(0)
    await store.close()
