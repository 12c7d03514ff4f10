"""Tokens are known from memory, and forgotten at once when they are revoked, wherever that happens."""

from __future__ import annotations

import asyncio

import pytest

from qserver.auth import secrets
from qserver.auth.authenticator import Authenticator
from qserver.auth.principal import Principal
from qserver.domain.errors import Refusal, Unavailable
from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests import servers


async def make(store: Store, token_id: str = "t1", expires_ms: int = 0) -> str:
    text = secrets.token_text(store.server_key, token_id)
    await store.create_token(
        SYSTEM,
        token_id=token_id,
        role="clerk",
        hall="h1",
        window="w1",
        name="窗口",
        digest=secrets.digest(text),
        expires_ms=expires_ms,
    )
    return text


async def refused(authenticator: Authenticator, token: str) -> str:
    with pytest.raises(Refusal) as caught:
        await authenticator.authenticate(token)
    return caught.value.code


async def known_to_be_followed(authenticator: Authenticator, token: str) -> None:
    """Until the token stands in memory, which it does only while the stream is followed."""
    async with asyncio.timeout(20):
        while authenticator.cached(token) is None:
            try:
                await authenticator.authenticate(token)
            except Unavailable:
                await asyncio.sleep(0)


async def test_a_token_says_who_it_is(authenticator: Authenticator, valkey_store: Store) -> None:
    text = await make(valkey_store)
    assert authenticator.cached(text) is None
    found = await authenticator.authenticate(text)
    assert found == Principal("t1", Role.CLERK, "h1", "w1", "窗口")
    await known_to_be_followed(authenticator, text)
    assert authenticator.cached(text) == found


@pytest.mark.parametrize("text", ["", "x", "qs_t1_", "qs__", "\udcff", "é" * 600, "a" * 5000, "Bearer x"])
async def test_other_texts_are_no_tokens(authenticator: Authenticator, text: str) -> None:
    assert await refused(authenticator, text) == "unauthorized"
    assert await refused(authenticator, text) == "unauthorized"


async def test_a_token_made_after_it_was_tried_is_good(authenticator: Authenticator, valkey_store: Store) -> None:
    text = secrets.token_text(valkey_store.server_key, "later")
    assert await refused(authenticator, text) == "unauthorized"
    await make(valkey_store, "later")
    async with asyncio.timeout(10):
        while True:
            try:
                await authenticator.authenticate(text)
                break
            except Refusal:  # until the stream has told of it
                await asyncio.sleep(0)


async def test_a_revocation_elsewhere_is_heard(authenticator: Authenticator, valkey_store: Store) -> None:
    text = await make(valkey_store)
    await known_to_be_followed(authenticator, text)
    heard: asyncio.Queue[str] = asyncio.Queue()
    authenticator.on_revoked(heard.put_nowait)
    await valkey_store.revoke_token(SYSTEM, "t1")
    assert await asyncio.wait_for(heard.get(), 10) == "t1"
    assert authenticator.cached(text) is None
    assert await refused(authenticator, text) == "unauthorized"


async def test_a_revocation_here_needs_no_stream(authenticator: Authenticator, valkey_store: Store) -> None:
    text = await make(valkey_store)
    await known_to_be_followed(authenticator, text)
    await valkey_store.revoke_token(SYSTEM, "t1")
    authenticator.revoked("t1")
    assert authenticator.cached(text) is None
    assert await refused(authenticator, text) == "unauthorized"


async def test_an_expired_token_is_none(authenticator: Authenticator, valkey_store: Store) -> None:
    now = await valkey_store.now()
    assert await refused(authenticator, await make(valkey_store, "old", now - 1)) == "unauthorized"
    good = await make(valkey_store, "good", now + 600_000)
    assert (await authenticator.authenticate(good)).expires_ms == now + 600_000


async def test_a_token_expires_while_it_stands_in_memory(
    authenticator: Authenticator, valkey_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await valkey_store.now()
    text = await make(valkey_store, "soon", now + 600_000)
    await known_to_be_followed(authenticator, text)
    monkeypatch.setattr(authenticator, "now_ms", lambda: now + 600_000)
    assert authenticator.cached(text) is None
    assert await refused(authenticator, text) == "unauthorized"


async def test_an_unknown_answer_is_never_unauthorized(
    authenticator: Authenticator, valkey_store: Store, valkey: servers.DataServer
) -> None:
    text = await make(valkey_store)
    await known_to_be_followed(authenticator, text)
    valkey.kill9()
    async with asyncio.timeout(20):
        while authenticator.cached(text) is not None:  # until the broken connection is noticed
            await asyncio.sleep(0)
    for token in (text, secrets.token_text(valkey_store.server_key, "nobody")):
        with pytest.raises(Unavailable):
            await authenticator.authenticate(token)
    valkey.restart()
    await known_to_be_followed(authenticator, text)


async def test_what_was_revoked_while_the_connection_was_away_is_heard(
    authenticator: Authenticator, valkey_store: Store, valkey: servers.DataServer
) -> None:
    kept, gone = await make(valkey_store, "kept"), await make(valkey_store, "gone")
    await known_to_be_followed(authenticator, gone)
    heard: asyncio.Queue[str] = asyncio.Queue()
    authenticator.on_revoked(heard.put_nowait)
    # All connections end just before the revocation, so its event falls into the gap.
    valkey.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    async with asyncio.timeout(20):
        while True:
            try:
                await valkey_store.revoke_token(SYSTEM, "gone")
                break
            except Unavailable:
                await asyncio.sleep(0)
            except Refusal:  # it had run and its answer was lost
                break
    assert await asyncio.wait_for(heard.get(), 20) == "gone"
    assert await refused(authenticator, gone) == "unauthorized"
    await known_to_be_followed(authenticator, kept)


async def test_memory_is_bounded(
    authenticator: Authenticator, valkey_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qserver.auth.authenticator.KNOWN_MAX", 3)
    monkeypatch.setattr("qserver.auth.authenticator.UNKNOWN_MAX", 3)
    tokens = [await make(valkey_store, f"t{n}") for n in range(6)]
    await known_to_be_followed(authenticator, tokens[-1])
    for token in tokens:
        await authenticator.authenticate(token)
    assert sum(authenticator.cached(token) is not None for token in tokens) <= 3
    for n in range(9):
        assert await refused(authenticator, f"guess {n}") == "unauthorized"
    assert await refused(authenticator, "guess 0") == "unauthorized"


async def test_a_data_server_away_at_the_start_is_waited_for(valkey_store: Store, valkey: servers.DataServer) -> None:
    text = await make(valkey_store)
    valkey.kill9()
    late = Authenticator(valkey_store)
    await late.start()
    try:
        with pytest.raises(Unavailable):
            await late.authenticate(text)
        valkey.restart()
        await known_to_be_followed(late, text)
    finally:
        await late.close()
