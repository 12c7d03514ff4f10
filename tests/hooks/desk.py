"""Webhooks of a store in a test's hand: made, delivered for round by round, looked at."""

from __future__ import annotations

from typing import Any

from qserver.feed.pull import Feed
from qserver.hooks.courier import Courier, Pause
from qserver.hooks.metrics import Meter
from qserver.hooks.post import Post
from qserver.store.answers import SYSTEM, HookRecord
from qserver.store.store import Store


class Desk:
    """Everything a courier needs, on one store. Close it."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.store = store
        self.feed = Feed(store)
        self.post = Post("any", **options)
        self.meters: dict[str, Meter] = {}
        self._made = 0

    async def close(self) -> None:
        """Ends connections."""
        await self.feed.watch.stop()
        await self.post.close()

    async def hook(self, url: str, *kinds: str, hall: str = "") -> HookRecord:
        """A new webhook, by default for tickets issued."""
        self._made += 1
        answer = await self.store.create_hook(
            SYSTEM, hook=f"hook-{self._made}", hall=hall, url=url, kinds=kinds or ("ticket.issued",), name=""
        )
        return answer.value

    def courier(self, hook: HookRecord, process: str = "p1") -> Courier:
        """A courier for it in the name of a process."""
        meter = self.meters.setdefault(hook.id, Meter())
        return Courier(self.store, self.feed, self.post, hook, process, meter)

    async def deliver(self, courier: Courier, rounds: int = 100) -> Pause:
        """Rounds until there is nothing to do now; answers how long."""
        courier.wake()
        for _ in range(rounds):
            pause = await courier.round()
            if pause.seconds > 0:
                return pause
        raise AssertionError("there is always more to do")

    async def issue(self, count: int = 1, hall: str = "h1") -> None:
        """So many tickets."""
        for _ in range(count):
            await self.store.issue(SYSTEM, hall, "a")
