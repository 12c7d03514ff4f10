"""The public interface as a client sees it: one HTTP session, every POST under a key of its own, repeated with the
same key for as long as the outcome is unknown. No behaviour: who sends what, and when, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, TypeVar

import aiohttp
import msgspec

from qserver.domain.errors import QserverError

from .record import Record

T = TypeVar("T")
CONNECTIONS = 128
"""Parallel requests; a hall's people never wait for a connection, a city's hardly."""
GIVE_UP_S = 60.0
"""How long a command whose outcome is unknown is repeated."""
ATTEMPT_S = 15.0
"""How long one attempt may take."""


class Answered(QserverError):
    """The server refused: an answer, nothing changed."""

    def __init__(self, what: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{what}: {status} {problem.get('code', '')} {problem.get('detail', '')}".strip())
        self.status = status
        self.code = str(problem.get("code", ""))
        self.problem = problem


class Silent(QserverError):
    """The outcome of a command stayed unknown for longer than anybody would repeat it."""


class World:
    """One session with a server. `run` makes the keys of this run differ from every other's."""

    def __init__(self, url: str, record: Record, run: str) -> None:
        self.url = url.rstrip("/")
        self.run = run
        self._record = record
        self._session: aiohttp.ClientSession | None = None
        self._count = 0
        self._decoders: dict[type, msgspec.json.Decoder[Any]] = {}

    async def __aenter__(self) -> World:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=ATTEMPT_S),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, token: str, path: str, body: object, answer: type[T], *, sent: list[float] | None = None) -> T:
        """Gives a command and its answer. `sent` gets the monotonic instant of the first attempt.

        Raises Answered (refused), Silent.
        """
        began = time.monotonic()
        if sent is not None:
            sent.append(began)
        answered = await self.tell(token, path, body, answer)
        self._record.commands += 1
        self._record.command_ms.append((time.monotonic() - began) * 1000)
        return answered

    async def tell(self, token: str, path: str, body: object, answer: type[T]) -> T:
        """A POST that is no command of the hall and does not count as one. Raises Answered, Silent."""
        self._count += 1
        headers = {"Idempotency-Key": f"{self.run}-{self._count}", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self._decode(await self._ask("POST", path, headers, msgspec.json.encode(body)), answer)

    async def get(self, token: str, path: str, answer: type[T]) -> T:
        """Reads. Raises Answered, Silent."""
        return self._decode(await self._ask("GET", path, {"Authorization": f"Bearer {token}"}, None), answer)

    async def put(self, token: str, path: str, body: object, answer: type[T]) -> T:
        """Puts a thing in its place. Raises Answered, Silent."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._decode(await self._ask("PUT", path, headers, msgspec.json.encode(body)), answer)

    async def delete(self, token: str, path: str) -> None:
        """Removes a thing. Raises Answered, Silent."""
        await self._ask("DELETE", path, {"Authorization": f"Bearer {token}"}, None)

    async def pull(self, token: str, path: str) -> bytes:
        """One batch of the feed as MessagePack. Raises Answered, Silent."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/msgpack"}
        return await self._ask("GET", path, headers, None, patience_s=ATTEMPT_S + 15)

    def _decode(self, data: bytes, answer: type[T]) -> T:
        decoder = self._decoders.get(answer)
        if decoder is None:
            decoder = self._decoders[answer] = msgspec.json.Decoder(answer)
        decoded: T = decoder.decode(data)
        return decoded

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None, *, patience_s: float = ATTEMPT_S
    ) -> bytes:
        assert self._session is not None
        ends, pause, last = time.monotonic() + GIVE_UP_S, 0.05, ""
        timeout = aiohttp.ClientTimeout(total=patience_s)
        while True:
            wait = pause * random.uniform(0.5, 1.5)
            try:
                async with self._session.request(
                    method, self.url + path, headers=headers, data=data, timeout=timeout, allow_redirects=False
                ) as response:
                    body = await response.read()
                    if response.status < 300:
                        if "Idempotency-Replayed" in response.headers:
                            self._record.replayed += 1
                        return body
                    if response.status < 500 and response.status != 429:
                        raise Answered(f"{method} {path}", response.status, _problem(body))
                    last = f"{response.status} {_problem(body).get('code', '')}"
                    asked = response.headers.get("Retry-After", "")
                    if asked.isdigit():
                        wait = max(wait, min(int(asked), 5) * random.uniform(0.5, 1.0))
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                last = f"{type(error).__name__} {error}".strip()
            if time.monotonic() + wait > ends:
                raise Silent(f"{method} {path}: no answer for {GIVE_UP_S:g} s, last {last}")
            self._record.retries += 1
            await asyncio.sleep(wait)
            pause = min(pause * 2, 2.0)


def _problem(body: bytes) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {"detail": body[:200].decode("utf-8", "replace")}
    return problem if isinstance(problem, dict) else {}
