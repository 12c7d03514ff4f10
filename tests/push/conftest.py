"""Push on a real port over a real store: one hall, tokens for every role, clients on real sockets.

Every test runs on uvloop, as the server does, and on asyncio's own loop, whose transports differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from qserver.push import PushConfig, channel
from qserver.store.store import Store
from tests.push.clients import Stand


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
def push_config() -> PushConfig:
    """Override by `@pytest.mark.parametrize("push_config", ...)`.

    Clients of most tests say nothing while they wait, and a disk that stalls under a data server's fsync makes them
    wait: they are given longer than the 12.5 s that screens have.
    """
    return PushConfig(hb_ms=24_000)


@pytest.fixture
async def stand(valkey_store: Store, push_config: PushConfig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    """On uvloop every round that can goes to the kernel together, as else only rounds of many do."""
    if isinstance(asyncio.get_running_loop(), uvloop.Loop):
        monkeypatch.setattr(channel, "TOGETHER", 1)
        monkeypatch.setattr(channel, "SETTLED", 1)
    stand = Stand(valkey_store, push_config)
    await stand.start()
    try:
        yield stand
    finally:
        await stand.stop()
