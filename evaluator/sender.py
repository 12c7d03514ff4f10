"""Brings the spool's ratings to the server: batches over HTTP, repeated until each has its answer.

A rating leaves the spool only by the server's word on it. A batch that the server does not take as a whole is sent one
by one, so that one broken rating does not hold up the others; and without its signature before it is given up, for a
server may be older than its pads.

What is older than this start of the machine gets its age by the server's clock (clocks.py), so the server is asked for
the time first if it was not heard yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from qserver.wire import signing

from .clocks import Clocks
from .spool import BATCH, Result, Spool

_log = logging.getLogger(__name__)
EVERY_S = 10.0
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
_TIMEOUT = aiohttp.ClientTimeout(total=15)
_BROKEN = frozenset({400, 413, 422})
"""Answers that say that what was sent cannot be taken, now or later."""
_DENIED = frozenset({401, 403})


class _Item(msgspec.Struct, frozen=True):
    rid: str
    status: str
    code: str = ""


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Item]
    now_ms: int


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""


class Sender:
    """One pad's way to the server. `problem`: why ratings are not taken now, "" when they are."""

    def __init__(self, url: str, token: str, hall: str, window: str, spool: Spool, clocks: Clocks) -> None:
        self._url = f"{http_url(url)}/api/v1/halls/{hall}/ratings"
        self._token = token
        self._key = signing.signing_key(token)
        self._place = hall, window, spool.device
        self._spool = spool
        self._clocks = clocks
        self._wake = asyncio.Event()
        self._most = BATCH
        self._plain = False  # whether to send without signatures
        self._failures = 0
        self.problem = ""
        self.sent = 0

    def wake(self) -> None:
        """There is something to send, or the way is free again."""
        self._failures = 0
        self._wake.set()

    async def run(self) -> None:
        """Sends until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while True:
                self._wake.clear()
                pause_s = await self.once(session)
                if pause_s:
                    await self._woken(pause_s)

    async def _woken(self, at_most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._wake.wait()

    async def once(self, session: aiohttp.ClientSession) -> float:
        """Sends one batch; answers when to come again, seconds, 0 = at once."""
        now = self._clocks.read()
        items, shown = self._spool.batch(now, self._most), self._spool.prompts(now)
        if not items and not shown:
            return EVERY_S
        if not now.server_ms and not self._spool.lived_through(now.boot):
            items, shown = [], []  # what time is it?
        if self._plain:  # prompts are not told then: a server that knows none has no use for them
            body: dict[str, Any] = {"items": [{k: v for k, v in item.items() if k != "n"} for item in items]}
        else:
            body = self.signed(items, shown)
        try:
            async with session.post(self._url, json=body, headers={"Authorization": f"Bearer {self._token}"}) as answer:
                status, said = answer.status, await answer.read()
                retry_after = answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return self._later(f"no answer: {type(error).__name__}")
        if status == 200:
            return self._take(said, items, shown)
        if status in _BROKEN:
            return self._broken(said, items)
        if status in _DENIED:
            return self._later(f"refused: {status}", BACKOFF_S[-1])
        return self._later(f"answer {status}", float(retry_after) if retry_after.isdigit() else 0.0)

    def signed(self, items: list[dict[str, Any]], shown: list[dict[str, Any]]) -> dict[str, Any]:
        """The body of a request with these ratings and prompts, as the spool gives them."""
        hall, window, device = self._place
        return {
            "device": device,
            "items": [
                item
                | {
                    "sig": signing.signature(
                        self._key, signing.RATING, hall, window, device, item["n"], item["rid"], item["ticket"],
                        item["leg"], item["score"], item["age_ms"], [], item["reasons"], item["comment"],
                    )
                }
                for item in items
            ],
            "shown": [
                one
                | {
                    "sig": signing.signature(
                        self._key, signing.SHOWN, hall, window, device, one["ticket"], one["leg"], one["age_ms"]
                    )
                }
                for one in shown
            ],
        }  # fmt: skip

    def _take(self, said: bytes, items: list[dict[str, Any]], shown: list[dict[str, Any]]) -> float:
        try:
            answer = msgspec.json.decode(said, type=_Answer)
        except msgspec.MsgspecError:
            return self._later("an answer that is none")
        self._clocks.heard(answer.now_ms)
        self._spool.told(shown)
        done = self._spool.settle(Result(item.rid, item.status, item.code) for item in answer.results)
        self.sent += done
        if items and not done:
            return self._later("the server asks for patience")
        self._failures, self.problem = 0, ""
        self._most, self._plain = BATCH, False
        return 0.0

    def _broken(self, said: bytes, items: list[dict[str, Any]]) -> float:
        if len(items) > 1:
            self._most = 1
            return 0.0
        if not self._plain:
            self._plain = True
            return 0.0
        try:
            code = msgspec.json.decode(said, type=_Problem).code
        except msgspec.MsgspecError:
            return self._later("a refusal that is none of the server's")
        self._plain = False
        self._spool.settle(Result(item["rid"], "rejected", code) for item in items)
        return 0.0

    def _later(self, why: str, least_s: float = 0.0) -> float:
        if why != self.problem:
            _log.warning("ratings wait: %s", why)
        self.problem = why
        pause_s = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        return max(least_s, pause_s * random.uniform(0.5, 1.0))


def http_url(url: str) -> str:
    """`http://host:port` of a server's address, however it is written. Raises ValueError."""
    scheme = {"ws": "http", "wss": "https", "http": "http", "https": "https"}.get(url.partition("://")[0], "")
    try:
        parts = urlsplit(url)
        if scheme and parts.hostname and not parts.username and parts.port != 0:
            return f"{scheme}://{parts.netloc}"
    except ValueError:
        pass  # a port or an address in brackets that is none
    raise ValueError(f"{url}: an address begins with http:// or https:// and names a host")
