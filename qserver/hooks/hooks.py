"""Sees that every webhook has a courier in this process. Whose turn it is settles the lease; here all are alike.

A webhook made or removed by another process is noticed within two seconds, one of this process at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterator
from typing import Final

import msgspec

from qserver.domain.errors import QserverError
from qserver.feed.cloudevents import PREFIX, CloudEvent, rfc3339
from qserver.feed.pull import Feed
from qserver.store.answers import HookRecord
from qserver.store.store import Store

from . import metrics
from .courier import Courier, signed
from .post import Post
from .tally import Outcome
from .targets import Reach

EVERY_S: Final = 2.0
STOP_S: Final = 2.0
"""How long attempts that are under way may take to end."""
MOST: Final = 128
"""Couriers that may wait for events at one time; there are fewer webhooks."""
TEST: Final = "webhook.test"

log = logging.getLogger(__name__)


class Hooks:
    """The webhooks of one store in one process. `start` it to deliver; `try_out` needs no start. `stop` it in the end.

    `reach`: which addresses may be sent to; `every_s`: how often is looked what webhooks there are.
    """

    def __init__(self, store: Store, reach: Reach = "public", *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._post = Post(reach)
        self._feed = Feed(store, waiters=MOST)
        self._process = secrets.token_hex(8)
        self._couriers: dict[str, tuple[Courier, asyncio.Task[None]]] = {}
        self._meters: dict[str, metrics.Meter] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def reach(self) -> Reach:
        """Which addresses may be sent to."""
        return self._post.reach

    async def start(self) -> None:
        """Begins to deliver."""
        self._task = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """Ends all deliveries. Attempts under way may end too, for a moment; those that do not come again some time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for courier, task in self._couriers.values():
            courier.end()
            if not courier.busy:
                task.cancel()
        if self._couriers:
            await asyncio.wait([task for _, task in self._couriers.values()], timeout=STOP_S)
        for _, task in self._couriers.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._couriers.values()), return_exceptions=True)
        self._couriers = {}
        await self._feed.watch.stop()
        await self._post.close()

    def look(self) -> None:
        """A webhook was made, removed or changed, or there are letters to be tried: looks at once."""
        self._changed.set()
        for courier, _ in self._couriers.values():
            courier.wake()

    async def try_out(self, hook: HookRecord, key: str = "") -> tuple[str, Outcome]:
        """One attempt to deliver a notice that means nothing, now: its id, and what came of it. Nothing is recorded.

        With a `key` the id is the same each time. Raises Unavailable.
        """
        now_ms = await self._store.now()
        hall = hook.hall or "-"
        event = CloudEvent(
            id=f"{hall}:{hook.id}:{TEST}:{key or secrets.token_hex(8)}",
            source=f"/halls/{hall}",
            type=PREFIX + TEST,
            time=rfc3339(now_ms),
            subject=hook.id,
            sequence="0",
            partitionkey=hall,
            data={"at_ms": now_ms, "webhook": hook.id},
        )
        body = msgspec.json.encode(event)
        headers = signed(self._store.server_key, hook, event.id, body, now_ms)
        return event.id, await self._post.send(hook.url, headers, body, now_ms)

    def metrics(self) -> Iterator[str]:
        """Lines in Prometheus' text format."""
        return metrics.lines(self._meters)

    async def _run(self) -> None:
        away = False
        while True:
            self._changed.clear()
            try:
                await self._look()
                away = False
            except QserverError as error:
                if not away:
                    log.warning("webhooks cannot be looked up", extra={"error": str(error)})
                away = True
            except Exception:
                log.exception("webhooks cannot be looked up")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._changed.wait()

    async def _look(self) -> None:
        hooks = {hook.id: hook for hook in await self._store.hooks()}
        for hook_id, (_, task) in list(self._couriers.items()):
            if hook_id not in hooks or hooks[hook_id].disabled_ms:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            if task.done():
                del self._couriers[hook_id]
        for gone in self._meters.keys() - hooks.keys():
            del self._meters[gone]
        for hook in hooks.values():
            if not hook.disabled_ms and hook.id not in self._couriers:
                meter = self._meters.setdefault(hook.id, metrics.Meter())
                courier = Courier(self._store, self._feed, self._post, hook, self._process, meter)
                self._couriers[hook.id] = courier, asyncio.create_task(courier.run(), name=f"webhook {hook.id}")
