"""Passwords: hashed and checked with argon2id, away from the loop, a few at a time.

Each takes `MEMORY_KIB` while it is worked on and about 0.1 s, so how many are worked on at one time bounds the memory,
and how many wait bounds the time; who comes beyond that is told to come again.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2
from argon2.low_level import Type, hash_secret_raw

from qserver.domain.errors import Unavailable

MEMORY_KIB: Final = 32 * 1024
PASSES: Final = 3
"""With one lane, well above what OWASP's password storage page asks for at least (19 MiB and 2 passes)."""
AT_ONCE: Final = 2
WAITING_MAX: Final = 64

T = TypeVar("T")
_hasher = argon2.PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)


class Passwords:
    """Threads that hash; close them in the end. Every method raises Unavailable when too many wait."""

    def __init__(self, at_once: int = AT_ONCE, waiting_max: int = WAITING_MAX) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="passwords")
        self._most = at_once + waiting_max
        self._asked = 0

    async def hash(self, password: str) -> str:
        """What is stored of a password: its salted hash, PHC form."""
        return await self._work(lambda: _hasher.hash(_normal(password)))

    async def fits(self, password: str, hashed: str | None) -> bool:
        """Whether the hash is that of the password. None fits never, and takes as long to find out."""
        return await self._work(lambda: _fits(password, hashed))

    async def slow_digest(self, content: bytes, salt: bytes) -> bytes:
        """16 bytes that tell contents with a password apart and cost as much to guess from as its hash.

        `salt`: at least 8 bytes.
        """
        return await self._work(
            lambda: hash_secret_raw(
                content, salt, time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1, hash_len=16, type=Type.ID
            )
        )

    def close(self) -> None:
        """Ends the threads; what waits is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _work(self, work: Callable[[], T]) -> T:
        if self._asked >= self._most:
            raise Unavailable("too many passwords are looked at at once")
        self._asked += 1
        task = asyncio.get_running_loop().run_in_executor(self._threads, work)
        task.add_done_callback(self._done)  # not when whoever asks goes away: the thread works on
        return await task

    def _done(self, _: object) -> None:
        self._asked -= 1


def _normal(password: str) -> bytes:
    """The same characters are the same password, however a keyboard composed them (full width digits, accents)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _fits(password: str, hashed: str | None) -> bool:
    if hashed is None:
        _hasher.hash(_normal(password))
        return False
    try:
        return _hasher.verify(hashed, _normal(password))
    except argon2.exceptions.VerificationError:
        return False
