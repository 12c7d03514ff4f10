"""The data server's clock as this process knows it: its own monotonic clock and an offset learned at each touch."""

from __future__ import annotations

import time


class Clock:
    """Server time without asking: `now_ms` is right to about a round trip, and never set by this machine's wall clock.

    Until something was learned, the wall clock stands in.
    """

    __slots__ = ("_offset_ms",)

    def __init__(self) -> None:
        self._offset_ms = time.time() * 1000 - time.monotonic() * 1000

    def learn(self, now_ms: int) -> None:
        """The data server just said that it is `now_ms`."""
        self._offset_ms = now_ms - time.monotonic() * 1000

    def now_ms(self) -> int:
        """The instant by the data server's clock, ms since the Unix epoch."""
        return int(time.monotonic() * 1000 + self._offset_ms)

    def monotonic_at(self, at_ms: int) -> float:
        """The monotonic second at which the data server's clock shows `at_ms`."""
        return (at_ms - self._offset_ms) / 1000
