"""Passwords: what is kept of them, and where they are hashed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import argon2
import pytest

from qserver.auth.passwords import Passwords
from qserver.domain.errors import Unavailable

PASSWORD = "青山不老 绿水长流"


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords(at_once=1, waiting_max=1)
    yield made
    made.close()


async def test_an_argon2id_hash_with_a_salt_of_its_own_is_all_that_is_kept(passwords: Passwords) -> None:
    first, second = await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)
    assert first.startswith("$argon2id$") and second.startswith("$argon2id$")
    assert first != second and PASSWORD not in first
    assert argon2.extract_parameters(first).memory_cost >= 19_456, "no weaker than OWASP's least"
    assert await passwords.fits(PASSWORD, first) and await passwords.fits(PASSWORD, second)
    assert not await passwords.fits(PASSWORD + " ", first)
    assert not await passwords.fits(PASSWORD, None)


async def test_nothing_is_hashed_on_the_loop(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[int] = []

    def noting(real: object) -> object:
        def noted(*args: object, **more: object) -> object:
            where.append(threading.get_ident())
            return real(*args, **more)  # type: ignore[operator]

        return noted

    for name in ("hash", "verify"):
        monkeypatch.setattr(argon2.PasswordHasher, name, noting(getattr(argon2.PasswordHasher, name)))
    monkeypatch.setattr("qserver.auth.passwords.hash_secret_raw", noting(argon2.low_level.hash_secret_raw))
    hashed = await passwords.hash(PASSWORD)
    await passwords.fits(PASSWORD, hashed)
    await passwords.fits(PASSWORD, None)
    await passwords.slow_digest(b"body", b"salt" * 2)
    assert len(where) == 4
    assert threading.get_ident() not in where


async def test_who_finds_too_many_waiting_is_sent_away_at_once(passwords: Passwords) -> None:
    tries = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(4)), return_exceptions=True)
    assert [isinstance(one, Unavailable) for one in tries] == [False, False, True, True]
    assert await passwords.hash(PASSWORD), "and there is room again"
