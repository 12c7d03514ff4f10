"""Days on which much goes wrong, by seeds: receivers fail in every way, processes and data servers die anywhere.

In the end everything that was chosen has come, and only who died has sent anything twice.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from aiohttp import web

from qserver.domain.errors import Refusal, Unavailable
from qserver.hooks import courier, schedule
from qserver.store.answers import SYSTEM
from tests import servers
from tests.hooks.desk import Desk
from tests.hooks.receivers import Came, Receiver, answering, taken
from tests.store.clocks import TimedStore


class Storm:
    """One webhook, two processes that deliver for it, and the weather."""

    def __init__(
        self, seed: int, server: servers.DataServer, clock: TimedStore, desk: Desk, receiver: Receiver
    ) -> None:
        self.chance = random.Random(seed)
        self.server = server
        self.clock = clock
        self.desk = desk
        self.receiver = receiver
        self.hook_id = ""
        self.took: Counter[str] = Counter()
        self.issued = 0
        self.crashes = 0
        self._round: asyncio.Task[object] | None = None
        self._bad = 0.0
        self._deadly = 0.05
        receiver.answer = self.answer

    async def answer(self, came: Came) -> web.StreamResponse:
        """Takes it, refuses it in some way, or sees the process die before or after it knows."""
        if self.chance.random() < self._bad:
            return await self.chance.choice(
                [answering(500), answering(429, Retry_After="60"), answering(302, Location="/"), answering(503)]
            )(came)
        self.took[came.id] += 1
        if self.chance.random() < self._deadly and self._round is not None:
            self.crashes += 1
            self._round.cancel()
        return await taken(came)

    async def step(self) -> None:
        """Something happens."""
        what = self.chance.choices(
            [self.issue, self.deliver, self.wait, self.turn, self.redeliver, self.cut], [3, 6, 3, 1, 0.5, 0.3]
        )[0]
        await what()

    async def issue(self) -> None:
        count = self.chance.choice([1, 1, 1, 5, 40])
        await self.desk.issue(count)
        self.issued += count

    async def deliver(self) -> None:
        hook = await self.desk.store.hook(self.hook_id)
        working = self.desk.courier(hook, self.chance.choice(["p1", "p2"]))
        for _ in range(self.chance.choice([1, 1, 3, 20])):
            self._round = asyncio.ensure_future(working.round())
            try:
                await self._round
            except asyncio.CancelledError:
                return  # it died; its lease lives on
            except Refusal as refusal:
                assert refusal.data.get("state") == "taken"
                return

    async def wait(self) -> None:
        await self.clock.pass_ms(self.chance.choice([1000, 5500, courier.LEASE_MS, 60_000, 3_600_000]))

    async def turn(self) -> None:
        self._bad = self.chance.choice([0, 0, 0.1, 0.5, 1])

    async def cut(self) -> None:
        """The data server dies, in half of the cases while something is being sent, and is started again."""
        sending = None
        if self.chance.random() < 0.5:
            hook = await self.desk.store.hook(self.hook_id)
            came = len(self.receiver.came)
            await self.issue()
            sending = asyncio.ensure_future(self.desk.courier(hook, "p1").round())
            seen = asyncio.ensure_future(self.receiver.until(came + 1))
            await asyncio.wait([sending, seen], return_when=asyncio.FIRST_COMPLETED)
            seen.cancel()
        self.server.kill9()
        self.server.restart()
        while True:
            try:
                await self.clock.set(self.clock.at)  # the new one has a clock of its own
                break
            except Unavailable:
                await asyncio.sleep(0)
        if sending is not None:
            await asyncio.gather(sending, return_exceptions=True)

    async def calm(self) -> None:
        """From now on nothing goes wrong."""
        self._bad = self._deadly = 0.0

    async def redeliver(self) -> None:
        await self.desk.store.redeliver(SYSTEM, self.hook_id)


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_lost_whatever_goes_wrong(
    seed: int, data_server: servers.DataServer, clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    storm = Storm(seed, data_server, clock, desk, receiver)
    storm.hook_id = (await desk.hook(receiver.url)).id
    for _ in range(150):
        await storm.step()
    await storm.calm()
    for _ in range(200):
        await desk.store.redeliver(SYSTEM, storm.hook_id)
        await storm.deliver()
        await clock.pass_ms(schedule.PROBE_MS)
        hook = await desk.store.hook(storm.hook_id)
        if len(storm.took) == storm.issued and not hook.waiting and not hook.failures:
            break
    hook = await desk.store.hook(storm.hook_id)
    assert len(storm.took) == storm.issued > 50, "everything has come"
    assert (hook.waiting, hook.dead, hook.dropped) == (0, 0, 0)
    batch = await desk.feed.pull_kinds("", f"webhook:{hook.id}", {"ticket.issued"}, 10)
    assert (batch.events, batch.truncated) == ([], False)
    repeats = sum(storm.took.values()) - len(storm.took)
    assert repeats <= storm.crashes * 2 * schedule.BATCH, "only who died sent again"
    assert hook.sent <= sum(storm.took.values())
    assert await desk.store._topology.call("ctl", "HLEN", f"q:{{ctl}}:hook:{hook.id}:l") == 0
