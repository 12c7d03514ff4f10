"""`floor`: a served hall, see `floors`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests.evaluator.floors import Floor
from tests.halls import small_hall


@pytest.fixture
async def floor(valkey_store: Store) -> AsyncIterator[Floor]:
    """A served hall with w1 open."""
    floor = Floor(valkey_store)
    await valkey_store.configure(SYSTEM, small_hall())
    await valkey_store.open(SYSTEM, "h1", "w1", staff="li")
    await floor.open()
    yield floor
    await floor.shut()
