"""Work that is done again and again in the background of a process, for as long as it serves."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from qserver.domain.errors import QserverError


class Rounds:
    """Does `once` every `every_s` seconds until stopped. A round that fails is told to `log`, and the next one comes.

    `work`: what it is, for people and for the task's name. `failed` hears of every round that ended by a mistake of
    ours; that the data server was away is none.
    """

    def __init__(
        self,
        work: str,
        once: Callable[[], Awaitable[object]],
        every_s: float,
        log: logging.Logger,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._once = once
        self._every_s = every_s
        self._log = log
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, with a round at once."""
        self._task = asyncio.create_task(self._run(), name=self._work)

    async def stop(self) -> None:
        """Ends; a round that is under way ends where it waits."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._once()
            except QserverError as error:
                self._log.warning("%s is not possible now: %s", self._work, error)
            except Exception:
                self._failed()
                self._log.exception("%s failed; going on", self._work)
            await asyncio.sleep(self._every_s * random.uniform(0.5, 1))  # processes need not all come at once
