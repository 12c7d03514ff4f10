"""An authenticator on a real data server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qserver.auth.authenticator import Authenticator
from qserver.store.store import Store


@pytest.fixture
async def authenticator(valkey_store: Store) -> AsyncIterator[Authenticator]:
    """Started on `valkey_store`."""
    made = Authenticator(valkey_store)
    await made.start()
    yield made
    await made.close()
