"""The HTTP side on real sockets and a real data server.

api           a running interface on `valkey`, with the hall h1 (tests/halls.py) and a token per role
start_api     the same for tests that need other limits or several at once: `await start_api(limits=...)`
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from qserver.api.limits import Limits
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests import servers
from tests.api.edge import FREE, Api, StartApi


@pytest.fixture
async def start_api(valkey: servers.DataServer) -> AsyncIterator[StartApi]:
    """Starts an interface on `valkey`, each with a store of its own; all are stopped in the end."""
    async with AsyncExitStack() as stack:

        async def start(*, limits: Limits = FREE, furnish: bool = True, **options: Any) -> Api:
            topology = Topology.from_url(valkey.url)
            await topology.open()
            store = Store(topology)
            stack.push_async_callback(store.close)
            await store.start()
            api = await stack.enter_async_context(Api(store, limits, options))
            if furnish:
                await api.furnish()
            return api

        yield start


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    """A running interface with the hall h1 and a token per role."""
    return await start_api()
