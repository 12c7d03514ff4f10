"""How long ago something was, on a box whose clock nobody sets. Readings go in and an age comes out; see `age_ms`."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import NamedTuple

LONGEST_MS = 7 * 24 * 3600_000
"""An age by the wall clock is not believed beyond this."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Reading(NamedTuple):
    """One instant on every clock there is.

    `boot` names the stopwatch, `boot_ms` is what it shows; `server_ms` the server's clock as last heard and carried on,
    0 = never heard; `wall_ms` the box's own clock. Instants since the Unix epoch, ms.
    """

    boot: str
    boot_ms: int
    server_ms: int
    wall_ms: int


def age_ms(then: Reading, now: Reading) -> int:
    """How long ago `then` was, ms, by the best clock that lived through it.

    The stopwatch since the machine's start, which outlives the process; after a new start the server's clock if it was
    heard at both ends; else the wall clock, which may have been set meanwhile, so within bounds.
    """
    if then.boot == now.boot and now.boot_ms >= then.boot_ms:
        return now.boot_ms - then.boot_ms
    if then.server_ms and now.server_ms:
        return max(0, now.server_ms - then.server_ms)
    return min(max(0, now.wall_ms - then.wall_ms), LONGEST_MS)


class Clocks:
    """The clocks of this box, and the server's by hearsay."""

    def __init__(self) -> None:
        try:
            self._boot = _BOOT_ID.read_text().strip()
            self._stopwatch = time.CLOCK_BOOTTIME  # goes on while the box sleeps, unlike CLOCK_MONOTONIC
        except (OSError, AttributeError):
            self._boot = secrets.token_hex(8)  # a stopwatch that ends with the process
            self._stopwatch = time.CLOCK_MONOTONIC
        self._ahead_ms: int | None = None

    def heard(self, server_ms: int) -> None:
        """The server says what time it is."""
        self._ahead_ms = server_ms - self._stopwatch_ms()

    def now_ms(self) -> int:
        """The instant by the server's clock, by our own before it was heard, ms since the Unix epoch."""
        return self._stopwatch_ms() + self._ahead_ms if self._ahead_ms is not None else self._wall_ms()

    def read(self) -> Reading:
        """This instant on every clock."""
        server_ms = self.now_ms() if self._ahead_ms is not None else 0
        return Reading(self._boot, self._stopwatch_ms(), server_ms, self._wall_ms())

    def _stopwatch_ms(self) -> int:
        return time.clock_gettime_ns(self._stopwatch) // 1_000_000

    @staticmethod
    def _wall_ms() -> int:
        return time.time_ns() // 1_000_000
