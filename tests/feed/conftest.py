"""A feed on a started store, and a hall whose events it gives."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qserver.feed.pull import Feed
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests.halls import small_hall


@pytest.fixture
async def feed(store: Store) -> AsyncIterator[Feed]:
    """The feed of `store` (each kind of data server in turn) with the hall h1."""
    await store.configure(SYSTEM, small_hall())
    feed = Feed(store)
    yield feed
    await feed.watch.stop()


@pytest.fixture
async def valkey_feed(valkey_store: Store) -> AsyncIterator[Feed]:
    """The feed of `valkey_store`, for tests in which a second kind of server shows nothing new."""
    await valkey_store.configure(SYSTEM, small_hall())
    feed = Feed(valkey_store, waiters=4)
    yield feed
    await feed.watch.stop()
