"""When the pad may believe what it knows of its window, and what to say to the server. No I/O.

The topic is one small state that is sent whole, so nothing is ever patched: a state that is not older than ours
replaces it. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from qserver.wire.messages import DEAD_AFTER, HB_MS, Heartbeat, Resync, ServerMessage, State, Welcome

BEHIND_S = 1.0
"""How long a heartbeat may be ahead of us before something was lost; also how long to wait before asking again."""
ACK_SHARE = 0.7
"""An `ack` is said after this share of a heartbeat."""


class Following:
    """One window as far as it was heard. Outlives connections."""

    def __init__(self) -> None:
        self.ep = ""
        self.s = -1  # -1: nothing heard in this epoch
        self.hb_s = HB_MS / 1000
        self._heard_at = 0.0
        self._behind_since: float | None = None
        self._acked_at = 0.0

    def connected(self, now_s: float) -> None:
        """A new connection."""
        self._heard_at = self._acked_at = now_s
        self._behind_since = None

    def take(self, message: ServerMessage, now_s: float) -> State | None:
        """One message of the server; the state to show, if it brings one."""
        self._heard_at = now_s
        if isinstance(message, Welcome):
            self.hb_s = message.hb_ms / 1000
            if message.ep != self.ep:
                self.ep, self.s = message.ep, -1
        elif isinstance(message, State):
            if message.ep == self.ep and message.s < self.s:
                return None  # something newer has overtaken it
            self.ep, self.s, self._behind_since = message.ep, message.s, None
            return message
        elif isinstance(message, Heartbeat):
            if message.ep == self.ep and message.s <= self.s:
                self._behind_since = None
            elif self._behind_since is None:
                self._behind_since = now_s
        return None

    def repair(self, now_s: float) -> Resync | None:
        """What to ask when something was lost."""
        if self._behind_since is None or now_s - self._behind_since < BEHIND_S:
            return None
        self._behind_since = now_s
        return Resync(self.ep, self.s) if self.s >= 0 else Resync("", 0)

    def must_ack(self, now_s: float) -> bool:
        """Whether a sign of life is due; asking counts as giving it."""
        due = now_s - self._acked_at >= self.hb_s * ACK_SHARE
        if due:
            self._acked_at = now_s
        return due

    def dead(self, now_s: float) -> bool:
        """Whether the server has been silent for too long."""
        return now_s - self._heard_at >= self.hb_s * DEAD_AFTER
