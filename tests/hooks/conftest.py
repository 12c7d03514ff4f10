"""A receiver, and desks on a store: `desk` by the real clock, `timed_desk` with the clock in the test's hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests.halls import small_hall
from tests.hooks.desk import Desk
from tests.hooks.receivers import Receiver, receiving
from tests.store.clocks import TimedStore


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with receiving() as started:
        yield started


@pytest.fixture
async def desk(valkey_store: Store) -> AsyncIterator[Desk]:
    """A desk on a store with the hall h1."""
    await valkey_store.configure(SYSTEM, small_hall())
    desk = Desk(valkey_store)
    yield desk
    await desk.close()


@pytest.fixture
async def clock(redis_url: str) -> AsyncIterator[TimedStore]:
    """A store whose clock the test sets, with the hall h1, on each kind of data server."""
    topology = Topology.from_url(redis_url)
    await topology.open()
    store = TimedStore(topology)
    await store.start()
    await store.configure(SYSTEM, small_hall())
    yield store
    await store.set(0)
    await store.close()


@pytest.fixture
async def timed_desk(clock: TimedStore) -> AsyncIterator[Desk]:
    """A desk on the store whose clock the test sets."""
    desk = Desk(clock)
    yield desk
    await desk.close()
