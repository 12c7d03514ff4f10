"""One JSON line per request, off the path of the request: a bounded queue that a task empties now and then.

Only the route's pattern is written, never the path as it came, so no secret of a ticket's link and no text of a
stranger gets into a log. When lines come faster than they are written, the oldest unwritten go.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

QUEUE_MAX: Final = 10_000
_encode = msgspec.json.Encoder().encode


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class AccessLog:
    """Collects lines and writes them every `every_s`. Of answers below 400 only each `sample`-th is taken; 0 = none."""

    def __init__(self, write: Callable[[str], None] = _to_stderr, *, sample: int = 100, every_s: float = 0.5) -> None:
        self._write = write
        self._sample = sample
        self._every_s = every_s
        self._lines: deque[tuple[Any, ...]] = deque(maxlen=QUEUE_MAX)
        self._left = 1
        self.dropped = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, route: str, status: int, seconds: float, actor: str, hall: str, address: str) -> None:
        """Notes one request; `route` is `METHOD PATTERN`."""
        if status < 400:
            self._left -= 1
            if self._left:
                return
            self._left = self._sample
        if len(self._lines) == QUEUE_MAX:
            self.dropped += 1
        self._lines.append((time.time(), route, status, seconds, actor, hall, address))

    async def start(self) -> None:
        """Begins to write."""
        self._task = asyncio.create_task(self._run(), name="access log")

    async def stop(self) -> None:
        """Writes what is left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self._flush()

    async def _flush(self) -> None:
        if not self._lines:
            return
        lines = list(self._lines)
        self._lines.clear()
        text = "".join(_line(*line) for line in lines)
        await asyncio.get_running_loop().run_in_executor(None, self._write, text)


def _line(at_s: float, route: str, status: int, seconds: float, actor: str, hall: str, address: str) -> str:
    row = {
        "at_ms": int(at_s * 1000),
        "log": "access",
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 3),
        "actor": actor,
        "hall": hall,
        "address": address,
    }
    return _encode(row).decode() + "\n"
