"""Fixtures for every test: real data servers, wiped between tests, and a started store on each of them.

* `valkey`, `redis7`: a server handle: .url .pid .ask() .kill9() .restart() .pause() .resume()
* `data_server`: each of them in turn; `redis_url`: its URL
* `store`: a started Store on `redis_url`
* `timed`: the same with a clock that the test sets, and the hall h1 of tests/store/conftest.py in it
* `valkey_store`: a started Store on `valkey`, for tests in which a second kind of server shows nothing new
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import settings

from tests import servers

if TYPE_CHECKING:
    from qserver.store.store import Store
    from tests.store.clocks import TimedStore


settings.register_profile("untimed", deadline=None)  # how long an example takes depends on the machine
settings.load_profile("untimed")


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Plain asyncio, as the devices have it; a file may ask for both with
    `pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])`: the server runs on uvloop.
    """
    mark = item.get_closest_marker("asyncio")
    if mark is None or "loop_factories" not in mark.kwargs:
        return {"asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def _valkey() -> Iterator[servers.DataServer]:
    server = servers.valkey()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _redis7() -> Iterator[servers.DataServer]:
    if not Path(servers.REDIS7).exists():
        pytest.skip(f"{servers.REDIS7} is not installed: not run on Redis 7")
    server = servers.redis7()
    yield server
    server.stop()


@pytest.fixture
def valkey(_valkey: servers.DataServer) -> servers.DataServer:
    """A running, empty Valkey."""
    _valkey.wipe()
    return _valkey


@pytest.fixture
def redis7(_redis7: servers.DataServer) -> servers.DataServer:
    """A running, empty Redis 7.0."""
    _redis7.wipe()
    return _redis7


@pytest.fixture(params=["valkey", "redis7"])
def data_server(request: pytest.FixtureRequest) -> servers.DataServer:
    """A running, empty server of each kind in turn."""
    server: servers.DataServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def redis_url(data_server: servers.DataServer) -> str:
    """The URL of `data_server`."""
    return data_server.url


@asynccontextmanager
async def _started(url: str) -> AsyncIterator[Store]:
    from qserver.store.store import Store
    from qserver.store.topology import Topology

    topology = Topology.from_url(url, name="tests")
    store = Store(topology)
    try:
        await topology.open()
        await store.start()
        yield store
    finally:
        await store.close()
        await topology.close()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """A started store on an empty server of each kind in turn."""
    async with _started(redis_url) as started:
        yield started


@pytest.fixture
async def timed(redis_url: str) -> AsyncIterator[TimedStore]:
    """A store on a fresh data server with hall h1, its clock standing at a Tuesday morning."""
    from qserver.domain import hall
    from qserver.store.answers import SYSTEM
    from qserver.store.topology import Topology
    from tests.store.clocks import TimedStore
    from tests.store.conftest import HALL

    topology = Topology.from_url(redis_url)
    await topology.open()
    store = TimedStore(topology)
    await store.start()
    await store.configure(SYSTEM, hall.parse(HALL))
    yield store
    await store.set(0)
    await store.close()


@pytest.fixture
async def valkey_store(valkey: servers.DataServer) -> AsyncIterator[Store]:
    """A started store on an empty Valkey."""
    async with _started(valkey.url) as started:
        yield started
