"""The devices that say who they are: which are here, what they have shown last, and a record of their coming and going.

Coming and going are events of the hall; they are recorded one after another in the background, and given up when the
data server is away for long, for they are news only while they are new.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, NamedTuple

from qserver.domain.errors import QserverError, Refusal
from qserver.store.answers import Op
from qserver.store.store import Store

log = logging.getLogger(__name__)
BACKLOG = 10_000
TRIES = 5


class Device(NamedTuple):
    """A device that named itself in its hello. `since_ms`: welcomed at, data server's clock."""

    hall: str
    device: str
    role: str
    topic: str
    window: str
    token: str
    since_ms: int

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The same token, hall, topic and name are the same device."""
        return self.token, self.hall, self.topic, self.device


class Devices:
    """Writes down who came and who was lost."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: deque[tuple[str, Device]] = deque(maxlen=BACKLOG)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to record."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ends; what was not recorded is dropped."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def record(self, kind: str, device: Device) -> None:
        """`kind` is connected or lost."""
        self._queue.append((kind, device))
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._write(*self._queue.popleft())

    async def _write(self, kind: str, device: Device) -> None:
        told: dict[str, Any] = {
            "device": device.device, "role": device.role, "topic": device.topic, "window": device.window
        }  # fmt: skip
        for n in range(TRIES):
            try:
                await self._store.device_event(Op(device.token), device.hall, kind, **told)
                return
            except Refusal:
                return  # the hall is no more
            except QserverError as error:
                log.info("device %s %s is not recorded yet: %s", device.device, kind, error)
                await asyncio.sleep(0.2 * 2**n)
