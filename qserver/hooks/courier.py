"""Delivers for one webhook: takes its turn, tries letters and what follows in the feed, puts on record what came of it.

What is on record moves in one step after the attempts. A process may die between an attempt and that step; then the
same comes again under the same id, sent by whoever has the lease next. Events of one hall are sent in their order, one
after the other; halls, and what failed before, go beside each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from qserver.auth.secrets import webhook_secret
from qserver.domain.errors import QserverError, Refusal, Unavailable
from qserver.domain.events import Event
from qserver.feed import cloudevents, cursor
from qserver.feed.pull import Batch, Feed, wanted
from qserver.feed.watch import Waiter
from qserver.store.answers import SYSTEM, HookRecord, Settlement, Taken
from qserver.store.hooks import group_name
from qserver.store.store import Store

from . import schedule, signing
from .kinds import chosen
from .metrics import Meter
from .post import Post
from .tally import Item, Tally, expired, of_letter

LEASE_MS: Final = 15_000
"""How long nobody else takes up the work of a process that died."""
RENEW_MS: Final = 5_000
READ_S: Final = 60.0
"""How often the feed is read at least, should it not have been heard that there is something in it."""
ABREAST: Final = 4
"""Attempts of one webhook at one time."""
_RETRY_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)

log = logging.getLogger(__name__)


class Pause(NamedTuple):
    """How long nothing is to be done, s. `deaf`: even if something happens meanwhile."""

    seconds: float
    deaf: bool


def of_event(event: Event) -> Item:
    """An event as it is sent."""
    return Item(event.id, event.kind, msgspec.json.encode(cloudevents.convert(event)).decode(), event.at_ms)


def signed(server_key: bytes, hook: HookRecord, message_id: str, body: bytes, now_ms: int) -> dict[str, str]:
    """The headers of an attempt now, signed by the webhook's secret, and by the one before it while that holds."""
    versions = [hook.secret] + [hook.secret - 1] * (hook.previous_until_ms > now_ms)
    return signing.headers(
        [webhook_secret(server_key, hook.id, version) for version in versions], message_id, now_ms // 1000, body
    )


class Courier:
    """Delivers for a webhook in the name of a process: `round` by `round`, or by `run`."""

    def __init__(self, store: Store, feed: Feed, post: Post, hook: HookRecord, process: str, meter: Meter) -> None:
        self._store = store
        self._feed = feed
        self._post = post
        self._hook = hook
        self._kinds = chosen(hook.kinds)
        self._process = process
        self._extra = {"webhook": hook.id}
        self._meter = meter
        self._abreast = asyncio.Semaphore(ABREAST)
        self._offset_ms = 0.0  # from our monotonic clock to the data server's
        self._waiter: Waiter | None = None
        self._heard = True  # of something in the feed that was not read yet
        self._read_s = 0.0  # when the feed is read although nothing was heard of it
        self._ending = False
        self.busy = False

    def end(self) -> None:
        """Begins no more attempts. `run` ends after the round it is at, if it is `busy`, else it may be cancelled."""
        self._ending = True

    def wake(self) -> None:
        """There may be something to do."""
        self._heard = True
        if self._waiter is not None:
            self._waiter.woken.set()

    async def run(self) -> None:
        """Delivers until cancelled, or until the webhook is removed or disabled."""
        hall = self._hook.hall
        partitions = self._feed.groups.partitions(hall)
        is_of_hall = wanted(hall)

        def is_wanted(event: Event) -> bool:
            return event.kind in self._kinds and is_of_hall(event)

        tries = 0
        try:
            while True:
                try:
                    await self._feed.watch.start()
                    with self._feed.watch.waiter(partitions, is_wanted) as self._waiter:
                        while not self._ending:
                            self.busy = True
                            pause = await self.round()
                            self.busy = False
                            tries = 0
                            if pause.deaf:
                                await asyncio.sleep(pause.seconds)
                            elif pause.seconds > 0 and await self._waiter.wait(pause.seconds):
                                self._heard = True
                        return
                except Refusal as refusal:
                    if refusal.code == "not_found" or refusal.data.get("state") == "disabled":
                        return
                    log.info("a webhook's round was for nothing", extra={"why": str(refusal), **self._extra})
                except Unavailable as error:
                    if not tries:
                        log.warning("a webhook waits for the data server", extra={"error": str(error), **self._extra})
                except Exception:
                    log.exception("a webhook cannot be delivered for", extra=self._extra)
                self.busy, self._heard = False, True
                await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1
        finally:
            self._meter.ours = False
            with contextlib.suppress(QserverError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._store.release_hook(SYSTEM, self._hook.id, self._process)

    async def round(self) -> Pause:
        """Does what is to be done now, and answers when to come again.

        Refused: not_found, wrong_state (it is disabled, or the lease is another process's by now). Raises Unavailable.
        """
        taken = await self._take()
        self._meter.ours = taken.ours
        hook = taken.hook
        if not taken.ours:
            self._heard = True
            left_ms = hook.lease_until_ms - taken.now_ms  # it may also be given back
            return Pause(min(max(100, left_ms), RENEW_MS) / 1000, deaf=True)
        plan = schedule.plan(hook, taken.letters, taken.now_ms, RENEW_MS)
        batch = await self._pull(plan.events) if plan.events and self._has_reason_to_read() else None
        events = [of_event(event) for event in batch.events] if batch else []
        letters = [] if events and plan.either else [of_letter(letter) for letter in plan.letters]
        if not letters and not events:
            return Pause(plan.pause_ms / 1000, plan.deaf)
        tally = Tally(hook)
        await self._attempt(_chains(letters, events), tally)
        position = cursor.read(batch.cursor) if batch and events else None
        after = await self._settle(hook, tally.settlement(map(of_letter, plan.due), events, position))
        self._count(hook, after, batch)
        if tally.away:
            await self._let_old_ones_go(after)
        return Pause(0, deaf=False)

    def _has_reason_to_read(self) -> bool:
        """Reading for some kinds looks at all others on the way: not every few seconds for nothing."""
        return self._heard or time.monotonic() > self._read_s

    async def _take(self) -> Taken:
        taken = await self._store.take_hook(SYSTEM, self._hook.id, self._process, LEASE_MS, schedule.BATCH)
        self._offset_ms = taken.now_ms - time.monotonic() * 1000
        if taken.hook.kinds != self._hook.kinds:
            self._kinds, self._heard = chosen(taken.hook.kinds), True
        self._hook = taken.hook
        return taken

    async def _pull(self, most: int) -> Batch:
        hook = self._hook
        batch = await self._feed.pull_kinds(hook.hall, group_name(hook.id), self._kinds, most)
        self._meter.lag = hook.waiting + batch.lag
        self._heard, self._read_s = bool(batch.events), time.monotonic() + READ_S
        if batch.truncated and batch.events:
            log.error("a webhook lost events: memory was short, and it was too slow", extra=self._extra)
        return batch

    async def _attempt(self, chains: Iterable[Sequence[Item]], tally: Tally) -> None:
        """Tries everything, and holds on to the lease meanwhile. Refused: see `_renew`."""
        work = asyncio.ensure_future(asyncio.gather(*(self._chain(chain, tally) for chain in chains)))
        renewing = asyncio.ensure_future(self._renew())
        try:
            done, _ = await asyncio.wait((work, renewing), return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for task in (work, renewing):
                task.cancel()
            await asyncio.gather(work, renewing, return_exceptions=True)

    async def _renew(self) -> None:
        """Holds on to the lease for ever. Refused: not_found, wrong_state (disabled, or another process has it)."""
        while True:
            await asyncio.sleep(RENEW_MS / 1000)
            with contextlib.suppress(Unavailable):
                if not (await self._take()).ours:
                    raise Refusal("wrong_state", "another process sends for this webhook by now", state="taken")

    async def _chain(self, items: Sequence[Item], tally: Tally) -> None:
        for item in items:
            async with self._abreast:
                if tally.over or self._ending:
                    return
                now_ms = int(time.monotonic() * 1000 + self._offset_ms)
                body = item.body.encode()
                headers = signed(self._store.server_key, self._hook, item.id, body, now_ms)
                tally.note(item, await self._post.send(self._hook.url, headers, body, now_ms))

    async def _settle(self, hook: HookRecord, settlement: Settlement) -> HookRecord:
        """Puts a settlement on record, once, however long the data server is away. Refused: see `settle_hook`."""
        tries = 0
        while True:
            try:
                return await self._store.settle_hook(SYSTEM, hook.id, self._process, settlement)
            except Unavailable as error:
                if not tries:
                    log.warning("a webhook's round is not on record yet", extra={"error": str(error), **self._extra})
                await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1

    def _count(self, before: HookRecord, after: HookRecord, batch: Batch | None) -> None:
        meter, extra = self._meter, {"error": after.error, **self._extra}
        meter.sent += after.sent - before.sent
        meter.failed += after.failed - before.failed
        meter.dead += after.died - before.died
        meter.lag = after.waiting + (max(0, batch.lag - len(batch.events)) if batch else 0)
        if after.disabled_ms:
            log.error("a webhook's receiver wants no more: disabled", extra=extra)
        elif after.died > before.died:
            log.error("a webhook has dead letters", extra=extra | {"dead": after.died - before.died})
        if schedule.is_away(after.failures) and not schedule.is_away(before.failures):
            log.warning("a webhook's receiver is away", extra=extra)
        elif schedule.is_away(before.failures) and not schedule.is_away(after.failures):
            log.info("a webhook's receiver is back", extra=self._extra)

    async def _let_old_ones_go(self, hook: HookRecord) -> None:
        """Events that have waited too long for a receiver that is away die, so that the feed need not keep them."""
        while not hook.disabled_ms:
            batch = await self._pull(schedule.BATCH)
            now_ms = int(time.monotonic() * 1000 + self._offset_ms)
            events = [of_event(event) for event in batch.events]
            settlement = expired(hook, events, now_ms, cursor.read(batch.cursor))
            if settlement is None:
                return
            after = await self._settle(hook, settlement)
            self._count(hook, after, batch)
            hook = after


def _chains(letters: Iterable[Item], events: Iterable[Item]) -> list[list[Item]]:
    """What is tried one after the other: of each hall what has not been tried, oldest first; beside it what failed.

    Whatever it is that makes some fail again and again, the others need not wait for it.
    """
    failed: list[Item] = []
    halls: dict[str, list[Item]] = {}
    for item in (*letters, *events):
        (failed if item.attempts else halls.setdefault(item.hall, [])).append(item)
    return [failed, *halls.values()]
