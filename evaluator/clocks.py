"""How long ago something was, on a box whose clock nobody sets. Readings go in and an age comes out; see `age_ms`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
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


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _machine() -> tuple[str, Callable[[], int]]:
    """The machine's stopwatch: its name and what it shows, ms."""
    try:
        boot, clock = _BOOT_ID.read_text().strip(), time.CLOCK_BOOTTIME  # goes on while the box sleeps
    except (OSError, AttributeError):
        boot, clock = secrets.token_hex(8), time.CLOCK_MONOTONIC  # a stopwatch that ends with the process
    return boot, lambda: time.clock_gettime_ns(clock) // 1_000_000


class Clocks:
    """The clocks of this box, and the server's by hearsay. `stopwatch`: its name and what it shows, ms; `wall`: ms."""

    def __init__(
        self, stopwatch: tuple[str, Callable[[], int]] | None = None, wall: Callable[[], int] = _wall_ms
    ) -> None:
        self._boot, self._stopwatch_ms = stopwatch or _machine()
        self._wall_ms = wall
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
