"""What a starting server does to halls that are there already."""

from __future__ import annotations

import pytest

from qserver import provision
from qserver.store.answers import SYSTEM, Answer, Configured
from qserver.store.store import Store
from tests.halls import small_hall


async def test_a_hall_compiled_by_an_older_server_is_compiled_anew_and_only_once(valkey_store: Store) -> None:
    await valkey_store.configure(SYSTEM, small_hall("h1"), exceptions={"2026-11-24": False})
    await valkey_store.configure(SYSTEM, small_hall("h2"))
    before = await valkey_store.hall("h2")
    assert await provision.renew_halls(valkey_store) == ["h1"]
    assert await provision.renew_halls(valkey_store) == []
    assert await valkey_store.hall("h2") == before
    assert (await valkey_store.hall("h1")).hall == small_hall("h1")


async def test_renewing_never_goes_over_a_change_made_meanwhile(
    valkey_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await valkey_store.configure(SYSTEM, small_hall("h1"), exceptions={})
    configure = valkey_store.configure

    async def late(*_: object, if_match: str) -> Answer[Configured]:
        await configure(SYSTEM, small_hall("h1", name="改过"))
        return await configure(SYSTEM, small_hall("h1"), if_match=if_match)

    monkeypatch.setattr(valkey_store, "configure", late)
    assert await provision.renew_halls(valkey_store) == []
    assert (await valkey_store.hall("h1")).hall.name == "改过"


async def test_no_webhook_waits_for_a_process_of_an_earlier_start(valkey_store: Store) -> None:
    await valkey_store.configure(SYSTEM, small_hall("h1"))
    for hook in ("one", "two"):
        await valkey_store.create_hook(
            SYSTEM, hook=hook, hall="h1", url="http://oa.example/", kinds=["ticket.issued"], name=""
        )
    lease_ms = 3_600_000
    assert (await valkey_store.take_hook(SYSTEM, "one", "dead", lease_ms, 1)).ours
    assert not (await valkey_store.take_hook(SYSTEM, "one", "new", lease_ms, 1)).ours
    await provision.free_webhooks(valkey_store)
    await provision.free_webhooks(valkey_store)
    for hook in ("one", "two"):
        assert (await valkey_store.take_hook(SYSTEM, hook, "new", lease_ms, 1)).ours
