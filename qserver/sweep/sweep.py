"""Looks for deadlines that have come and has the functions act on them.

Every process sweeps every partition; a deadline is looked at again inside the function, so each is acted on exactly
once, and no process needs to be the leader. What a deadline means is not known here.

It looks when the next known deadline comes. Which that is, each look tells, and each answer to this process's own
commands, which may have set an earlier one; what other processes set is theirs to look for, and found here by a tick
besides, should they die. One question is about all partitions (in a cluster, where that cannot be, about one each), so
an idle hall costs next to nothing. The instants are the data server's: only differences between its own times are
waited for, so this process's clock may be wrong.
"""

from __future__ import annotations

import asyncio
import logging
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from qserver.domain.errors import Unavailable
from qserver.store.store import Store

TICK_S: Final = 1.0
"""A deadline set by a process that died before it came is acted on at most this late."""
AGAIN_S: Final = 0.02
"""What is told of a deadline that has come is looked at this long after the last look: others are at work on it."""
LIMIT: Final = 500
"""Deadlines of a partition fetched at once."""
BATCH: Final = 100
"""Deadlines acted on in one function; others' commands wait about 3 ms for it."""
POISON_S: Final = 60.0
"""A deadline whose function fails is left alone this long, so that it never stands before the others."""
_RETRY_S: Final = (0.1, 0.2, 0.5, 1.0)
_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)

log = logging.getLogger(__name__)


class Alarm:
    """One sleeper who can be told to wake up earlier."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asleep: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None  # None also from the ring on, until somebody sleeps again
        self._at = 0.0  # when it rings; a timer of uvloop cannot tell once it has
        self._early = math.inf  # told while nobody slept
        self._since = 0.0

    def told(self, in_s: float) -> None:
        """There is something in so many seconds."""
        at = max(self._loop.time() + in_s, self._since + AGAIN_S)
        if self._timer is None:
            self._early = min(self._early, at)
        elif at < self._at:
            self._set(at)

    async def ring(self, in_s: float) -> None:
        """Sleeps for so many seconds, or until what it was told of."""
        self._since = self._loop.time()
        self._asleep = self._loop.create_future()
        self._set(min(self._since + in_s, max(self._early, self._since)))
        self._early = math.inf
        try:
            await self._asleep
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None

    def _set(self, at: float) -> None:
        assert self._asleep is not None
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_at(at, self._wake, self._asleep)

    def _wake(self, asleep: asyncio.Future[None]) -> None:
        self._timer = None
        if not asleep.done():
            asleep.set_result(None)


class Sweep:
    """Sweeps all partitions of a started store from `start` to `stop`."""

    def __init__(self, store: Store) -> None:
        self.flagged = 0
        self.errors = 0
        self._store = store
        self._tasks: list[asyncio.Task[None]] = []
        self._alarms: dict[int, Alarm] = {}
        self._untold: Callable[[], None] = lambda: None
        self._poison: dict[str, float] = {}
        self.away = False
        self._late = [0] * (len(_BUCKETS_S) + 1)
        self._late_s = 0.0

    async def start(self) -> None:
        """Begins to look."""
        for partitions in self._store.together():
            alarm = Alarm()
            self._alarms |= dict.fromkeys(partitions, alarm)
            self._tasks.append(asyncio.create_task(self._run(partitions, alarm), name=f"sweep {partitions}"))
        self._untold = self._store.on_deadline(lambda partition, in_s: self._alarms[partition].told(in_s))

    async def stop(self) -> None:
        """Stops looking; a function that is under way is not waited for, it happens or it does not."""
        self._untold()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _run(self, partitions: tuple[int, ...], alarm: Alarm) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        known_ms = 0  # the next deadline as of the last look
        while True:
            try:
                began = loop.time()
                due = await self._store.due(*partitions, limit=LIMIT + len(self._poison))
                members = [member for member in due.members if not self._poisoned(member, began)]
                if members:
                    await self._act(members)
                if 0 < known_ms <= due.now_ms:
                    self._count_late((due.now_ms - known_ms) / 1000 + loop.time() - began)
                if self.away:
                    self.away = False
                    log.info("deadlines can be swept again")
                failures = 0
                if len(members) >= LIMIT:  # there may be more that have come
                    known_ms = due.now_ms
                    continue
                known_ms = due.next_ms
                pause = TICK_S
                if known_ms:
                    pause = min(pause, max(0.001, (known_ms - due.now_ms) / 1000 - (loop.time() - began)))
            except Unavailable as error:
                if not self.away:
                    self.away = True
                    log.warning("deadlines cannot be swept", extra={"error": str(error)})
                pause = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
            except Exception:
                self.errors += 1
                log.exception("partitions cannot be swept", extra={"partitions": partitions})
                pause = _RETRY_S[-1]
            await alarm.ring(pause)

    async def _act(self, members: Sequence[str]) -> None:
        """Has the functions act on members of any halls; halls go at the same time."""
        halls: dict[str, list[str]] = {}
        for member in members:
            halls.setdefault(member.split(" ", 2)[1], []).append(member)
        await asyncio.gather(*(self._act_in(hall, own) for hall, own in halls.items()))

    async def _act_in(self, hall: str, members: Sequence[str]) -> None:
        for at in range(0, len(members), BATCH):
            batch = members[at : at + BATCH]
            try:
                done = await self._store.sweep(hall, batch)
                self.flagged += done
            except Unavailable:
                raise
            except Exception:
                # A function that breaks leaves what it did so far: it may or may not break again for the same member.
                self.errors += 1
                log.exception("deadlines cannot be acted on", extra={"hall": hall, "members": batch[:3]})
                if len(batch) == 1:
                    self._poison[batch[0]] = asyncio.get_running_loop().time() + POISON_S
                    continue
                for member in batch:  # find out which, and let the others pass
                    await self._act_in(hall, [member])

    def _poisoned(self, member: str, now_s: float) -> bool:
        until = self._poison.get(member)
        if until is None:
            return False
        if until > now_s:
            return True
        del self._poison[member]
        return False

    def _count_late(self, seconds: float) -> None:
        self._late[bisect_left(_BUCKETS_S, seconds)] += 1
        self._late_s += seconds

    def metrics(self) -> Iterator[str]:
        """Prometheus lines."""
        yield "# HELP qserver_sweep_flagged_total Deadlines this process acted on."
        yield "# TYPE qserver_sweep_flagged_total counter"
        yield f"qserver_sweep_flagged_total {self.flagged}"
        yield "# HELP qserver_sweep_errors_total Looks and deadlines that failed though the server was there."
        yield "# TYPE qserver_sweep_errors_total counter"
        yield f"qserver_sweep_errors_total {self.errors}"
        yield "# HELP qserver_sweep_late_seconds From the instant a known deadline came until all due then were done."
        yield "# TYPE qserver_sweep_late_seconds histogram"
        total = 0
        for bound, count in zip((*map(str, _BUCKETS_S), "+Inf"), self._late, strict=True):
            total += count
            yield f'qserver_sweep_late_seconds_bucket{{le="{bound}"}} {total}'
        yield f"qserver_sweep_late_seconds_sum {self._late_s:.6f}"
        yield f"qserver_sweep_late_seconds_count {total}"
