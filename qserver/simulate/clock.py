"""The day's own clock: seconds of the day, running `speed` times as fast as the local monotonic one."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Stands at `begins_s` until started. Compression only changes how long people wait, never what they do."""

    def __init__(self, begins_s: float, speed: float) -> None:
        self.speed = speed
        self._begins_s = begins_s
        self._zero: float | None = None

    def start(self) -> None:
        """Lets the day begin now."""
        self._zero = time.monotonic()

    @property
    def running_s(self) -> float:
        """Real seconds since the day began, 0 before."""
        return 0.0 if self._zero is None else time.monotonic() - self._zero

    @property
    def now_s(self) -> float:
        """The instant of the day."""
        return self._begins_s + self.running_s * self.speed

    def left_s(self, at_s: float) -> float:
        """Real seconds until an instant of the day; negative when it has passed."""
        return (at_s - self.now_s) / self.speed

    async def until(self, at_s: float) -> float:
        """Waits for an instant of the day; answers how late it is then, in ms of real time."""
        left = self.left_s(at_s)
        if left > 0:
            await asyncio.sleep(left)
        return max(0.0, -self.left_s(at_s)) * 1000

    async def pause(self, lasts_s: float) -> None:
        """Waits for so many seconds of the day."""
        await asyncio.sleep(lasts_s / self.speed)
