"""Runs something when it is wanted, but not more often than a given time apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Run = Callable[[], Awaitable[None]]


class Pace:
    """`want()` as often as you like: `run` follows at once when it last ran `every_s` ago or more, else at that time.

    One run at a time; a want during a run leads to another one. `run` must not raise.
    """

    __slots__ = ("_again", "_every_s", "_last", "_run", "_task", "_timer")

    def __init__(self, every_s: float, run: Run) -> None:
        self._every_s = every_s
        self._run = run
        self._last = float("-inf")
        self._again = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def want(self) -> None:
        """Asks for a run."""
        if self._task is not None:
            self._again = True
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            at = self._last + self._every_s
            if at <= loop.time():
                self._start()
            else:
                self._timer = loop.call_at(at, self._start)

    def stop(self) -> None:
        """No run begins any more; the one under way is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        self._last = loop.time()
        self._again = False
        self._task = loop.create_task(self._go())

    async def _go(self) -> None:
        try:
            await self._run()
        finally:
            self._task = None
        if self._again:
            self.want()
