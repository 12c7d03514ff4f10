"""The people of the month: guides, clerks, citizens at pads and behind links, supervisors, the business system.

They act by chance, but the same every time, and only through the store's public methods. What they remember is what
the pads sent and got; everything else the recount finds in the feed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from qserver.archive.archiver import Archiver
from qserver.domain.errors import Refusal
from qserver.domain.ticket import Review, Ticket
from qserver.store.answers import SYSTEM, Op, RatingItem
from tests.acceptance.month_rules import (
    ANYTHING,
    BACK_OFFICE,
    CASE,
    CERTIFICATES,
    HOUR,
    LIMIT_MS,
    MINUTE,
    PAD_MS,
    SECOND,
    SKEW_MS,
    TICKETS,
    WINDOWS,
    H,
    at,
    days,
    works,
)
from tests.acceptance.month_time import Clock
from tests.store.clocks import TimedStore


class Sent(NamedTuple):
    """A rating as it was sent, and what came back."""

    at_ms: int
    window: str  # the pad's, "" by the ticket's link
    item: RatingItem
    status: str
    code: str


class Month:
    """Everybody, and what they remember."""

    def __init__(self, store: TimedStore, archiver: Archiver, seed: int) -> None:
        self.store = store
        self.archiver = archiver
        self.clock = Clock(store)
        self.chance = random.Random(seed)
        self.sent: list[Sent] = []
        self._kept: list[tuple[int, Callable[[], Awaitable[None]]]] = []  # what is done on another day: when, what
        self._begun: dict[str, Review] = {}  # reviews that the supervisors have on their desks
        self._numbers = 0
        self._closing = 0

    async def play(self) -> None:
        """All days of the month, and the evening after."""
        for day in days():
            await self.store.set(at(day, 9))
            await self._sweep()
            await self.archiver.once()
            await self._sweep()
            self._closing = at(day, 17)
            people = [self._keeper(), self._another_day()]
            if works(day):
                people += [self._guides(), self._supervisors(), *(self._clerk(window) for window in WINDOWS)]
            await self.clock.run(*people)
            await self.store.set(at(day, 22))
            await self._sweep()
        await self.store.set(at(days()[-1] + dt.timedelta(days=1), 9))
        await self._sweep()
        await self.archiver.once()

    async def _sweep(self) -> None:
        while members := (await self.store.due(self.store.partition(H))).members:
            await self.store.sweep(H, members)

    async def _keeper(self) -> None:
        while self.clock.now < self._closing + HOUR:
            await self._sweep()
            await self.clock.sleep(3 * MINUTE)

    # Guides

    async def _guides(self) -> None:
        """Most people come in the morning."""
        left = TICKETS
        while left:
            crowd = min(left, 24 if self.clock.now < self._closing - 5 * HOUR else 11)
            left -= crowd
            await asyncio.gather(*(self._issue() for _ in range(crowd)))
            await self.clock.sleep(10 * MINUTE)

    async def _issue(self) -> None:
        chance = self.chance
        services = chance.choices([["a"], ["b"], ["e"], ["a", "c", "d"], ["b", "d"]], [50, 24, 14, 8, 4])[0]
        priority = "elder" if chance.random() < 0.1 else "normal"
        ticket = (await self.store.issue(SYSTEM, H, services[0], services=services[1:], priority=priority)).value.ticket
        if chance.random() < 0.02:
            self.clock.spawn(self._leaves(ticket))

    async def _leaves(self, ticket: Ticket) -> None:
        """A citizen gives up, whether called meanwhile or not."""
        await self.clock.sleep(self.chance.choice([0, 10, 20, 40]) * MINUTE + 10 * SECOND)
        try:
            await self.store.cancel(SYSTEM, H, ticket.id)
        except Refusal as refused:
            assert (refused.code, refused.data["state"] in ("serving", "finished")) == ("wrong_state", True), (
                refused.data
            )

    # Clerks

    async def _clerk(self, window: str) -> None:
        """Serves whoever comes; some forget to close, or leave somebody in service overnight."""
        store, clock, chance = self.store, self.clock, self.chance
        await store.open(SYSTEM, H, window, staff=f"s-{window}")
        serving = False
        while True:
            closing = clock.now >= self._closing
            if closing and serving and chance.random() < 0.5:
                return
            if closing and serving:
                self._rated((await store.finish(SYSTEM, H, window)).value, window)
            if closing:
                break
            called = (await store.call(SYSTEM, H, window, finish=serving)).value
            if called.finished:
                self._rated(called.finished, window)
            serving = False
            if called.ticket:
                try:
                    serving = await self._attend(window, called.ticket)
                except Refusal as refused:  # the citizen left
                    assert refused.code == "wrong_state", refused.data
                    assert refused.data["state"] in ("idle", "cancelled"), refused.data
            await clock.until(-(-(clock.now + 1) // (2 * MINUTE)) * 2 * MINUTE)  # to the next even minute
        if chance.random() < 0.5:
            await store.close_window(SYSTEM, H, window)

    async def _attend(self, window: str, ticket: Ticket) -> bool:
        """From the call on; answers whether the ticket is still in service."""
        store, clock, chance = self.store, self.clock, self.chance
        if chance.random() < 0.1:
            await clock.sleep(20 * SECOND)
            await store.recall(SYSTEM, H, window)
        await clock.sleep(20 * SECOND)
        what = chance.random()
        if what < 0.04:
            await store.miss(SYSTEM, H, window)
            if what < 0.02 and not ticket.returns:
                clock.spawn(self._comes_back(ticket))
            return False
        if what < 0.05:
            await store.miss(SYSTEM, H, window)  # by mistake
            await clock.sleep(5 * SECOND)
            await store.undo(SYSTEM, H, window)
        elif what < 0.06:
            await store.transfer(SYSTEM, H, window, service="e", position=chance.choice(["arrival", "first", "last"]))
            return False
        elif what < 0.07:
            await self._hold(window, ticket)  # a form to fill in, before the service begins
            return await self._serve(window, ticket)
        await store.begin_service(SYSTEM, H, window)
        return await self._serve(window, ticket)

    async def _comes_back(self, ticket: Ticket) -> None:
        await self.clock.sleep(15 * MINUTE)
        try:
            await self.store.return_(SYSTEM, H, ticket.id)
        except Refusal as refused:  # left meanwhile
            assert (refused.code, refused.data) == ("wrong_state", {"state": "cancelled"})

    async def _hold(self, window: str, ticket: Ticket) -> None:
        await self.store.hold(SYSTEM, H, window, "补材料")
        await self.clock.sleep(self.chance.choice([45 * SECOND, 2 * MINUTE, 7 * MINUTE]))
        await self.store.unhold(SYSTEM, H, window, ticket.id)

    async def _serve(self, window: str, ticket: Ticket) -> bool:
        store, clock, chance = self.store, self.clock, self.chance
        limit = LIMIT_MS[ticket.service] or 3 * MINUTE
        near = chance.choices(
            [limit // 3, limit // 2, limit - 1, limit, limit + 1, limit * 5 // 4], [40, 25, 8, 8, 8, 11]
        )
        left = near[0]
        if chance.random() < 0.06:
            begun = chance.choice([1, left // 2, left - 1])
            await clock.sleep(begun)
            await self._hold(window, ticket)
            left -= begun
        await clock.sleep(left)
        what = chance.random()
        if what < 0.08:
            return True  # finished by the next call
        if what < 0.1:
            await store.transfer(SYSTEM, H, window, service="c", to=chance.choice(["", *BACK_OFFICE]))
            return False
        if what < 0.13:
            await self._finish(window, ticket)  # by mistake
            await clock.sleep(chance.choice([2, 15]) * SECOND)
            try:
                await store.undo(SYSTEM, H, window)
            except Refusal as refused:  # called already where it went on
                assert refused.code == "wrong_state"
                return False
            await clock.sleep(10 * SECOND)
        self._rated(await self._finish(window, ticket), window)
        return False

    async def _finish(self, window: str, ticket: Ticket) -> Ticket:
        chance = self.chance
        then = {}
        if ticket.service in "ab" and chance.random() < 0.12:
            then = chance.choice([
                {"then": "c"},
                {"then": "c", "then_window": "w14"},
                {"then": "d", "then_window": chance.choice(CERTIFICATES)},
                {"then_window": chance.choice(ANYTHING)},
            ])  # fmt: skip
        if CASE[ticket.service] and chance.random() < 0.08:
            case = f"C-{self._number()}"
            done = (await self.store.finish(SYSTEM, H, window, outcome="accepted", case=case, **then)).value
            if chance.random() < 0.6:
                self._later(chance.choice([1, 30, 80, 300]), partial(self._complete, case))
            return done
        outcome = chance.choices(["done", "not_done"], [95, 5])[0]
        return (await self.store.finish(SYSTEM, H, window, outcome=outcome, **then)).value

    # Citizens

    def _rated(self, ticket: Ticket, window: str) -> None:
        """The leg that was finished there just now may be rated."""
        leg = next(one for one in reversed(ticket.legs) if one.finished_ms)
        if self.chance.random() < 0.7:
            self.clock.spawn(self._rates(window, ticket.id, leg.leg, leg.finished_ms or 0))

    async def _rates(self, window: str, ticket: str, leg: int, finished: int) -> None:
        """A citizen at the pad, and what goes wrong with pads."""
        chance, clock = self.chance, self.clock
        score = chance.choices([1, 2, 3, 4, 5], [4, 5, 10, 30, 51])[0]
        rid = f"r{self._number()}"
        item = RatingItem(rid, ticket, leg, score, 0)
        what = chance.random()
        if what < 0.06:  # kept offline over the night, or over a holiday
            given = finished + chance.choice([0, MINUTE, PAD_MS, PAD_MS + 1])
            self._later(chance.choice([18, 40, 90, 240]), partial(self._send, window, item, given_ms=given))
            return
        if what < 0.14:  # by the link, in time or not
            self._later(chance.choice([3, 60, 120, 250, 400]), partial(self._send, "", item))
            return
        if what < 0.17:  # too late
            await clock.sleep(PAD_MS + chance.choice([0, 1, MINUTE]))
            await self._send(window, item)
            return
        if what < 0.19:  # given while the service still ran, or just before its end: stopwatches drift
            await clock.sleep(SECOND)
            await self._send(window, item, given_ms=finished - chance.choice([SKEW_MS, SKEW_MS + 1, MINUTE]))
            return
        await clock.sleep(6 * SECOND)
        if what < 0.21:
            await self._send(chance.choice([one for one in WINDOWS if one != window]), item)
        if what < 0.22:
            await self._send(window, RatingItem(rid, ticket, leg, chance.choice([0, 6, -1]), 0))
        if what < 0.23:
            await self._send(window, RatingItem(rid, ticket, leg + 1, score, 0))
            await self._send(window, RatingItem(rid, ticket[:9] + "Z999", leg, score, 0))
        await self._send(window, item)
        if what < 0.27:
            await self._send(window, item, item)  # the answer was lost
        elif what < 0.29:
            await self._send(window, RatingItem(rid, ticket, leg, 1 if score == 3 else 6 - score, 0))
        elif what < 0.31:
            await self._send(window, RatingItem(rid + "b", ticket, leg, score, 0))

    async def _send(self, window: str, *items: RatingItem, given_ms: int = 0) -> None:
        now = self.clock.now
        if given_ms:
            items = tuple(RatingItem(one.rid, one.ticket, one.leg, one.score, now - given_ms) for one in items)
        results = (await self.store.rate(Op(f"pad-{window}" if window else "holder"), H, window, items)).value.results
        for item, result in zip(items, results, strict=True):
            self.sent.append(Sent(now, window, item, result.status, result.code))

    def _later(self, hours: int, act: Callable[[], Awaitable[None]]) -> None:
        self._kept.append((self.clock.now + hours * HOUR, act))

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    async def _another_day(self) -> None:
        """Pads that are online again, citizens behind links, and the business system that completes cases."""
        evening = self._closing + HOUR
        due = sorted((one for one in self._kept if one[0] < evening), key=lambda one: one[0])
        self._kept = [one for one in self._kept if one[0] >= evening]
        for when, act in due:
            await self.clock.until(when)
            await act()

    async def _complete(self, case: str) -> None:
        try:
            await self.store.complete_case(SYSTEM, H, case)
        except Refusal as refused:  # its finish was taken back
            assert (refused.code, refused.data) == ("wrong_state", {"state": "withdrawn"})

    # Supervisors

    async def _supervisors(self) -> None:
        """A few steps of the follow-up in the morning, at noon and in the afternoon; most of it stays undone."""
        for _ in range(3):
            await self.clock.sleep(100 * MINUTE)
            found, _ = await self.store.reviews(H, state="open", latest=True, limit=100)
            new = self.chance.sample(found, min(30, len(found)))
            begun = self.chance.sample([*self._begun.values()], min(60, len(self._begun)))
            chosen = {one.id: one for one in (*new, *begun)}
            taken = await asyncio.gather(*(self._step(one) for one in chosen.values()))
            self._begun |= {one.id: one for one in taken}
            for one in taken:
                if one.state in ("closed", "excluded") and self.chance.random() < 0.8:
                    del self._begun[one.id]  # of the others some clerk may appeal yet

    async def _step(self, review: Review) -> Review:
        store, chance = self.store, self.chance
        if review.state == "appealed":
            decide = store.uphold_review if chance.random() < 0.5 else store.exclude_review
            return (await decide(SYSTEM, H, review.id, "调阅录像")).value
        may_appeal = review.appeal_until_ms and self.clock.now <= review.appeal_until_ms
        if may_appeal and (review.state == "closed" or chance.random() < 0.08):
            return (await store.appeal_review(SYSTEM, H, review.id, "误评")).value
        if review.state == "open":
            return (await store.assign_review(SYSTEM, H, review.id, "s-chief")).value
        if review.state == "assigned":
            result = chance.choice(["valid", "valid", "invalid"])
            return (await store.verify_review(SYSTEM, H, review.id, result, "已核实")).value
        if review.result == "valid":
            return (await store.rectify_review(SYSTEM, H, review.id, "已整改")).value
        if review.state == "rectified":
            result = chance.choice(["satisfied", "satisfied", "reopened"])
            return (await store.revisit_review(SYSTEM, H, review.id, result)).value
        if review.state in ("closed", "excluded"):
            return review
        return (await store.close_review(SYSTEM, H, review.id)).value
