"""What a hall board shows 综合屏: the last calls, who waits, the windows, and whether any of it can still be believed.

Pure presentation: it is given the folded board and says what stands on the screen, Chinese first. No I/O, no clock.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from qserver.wire.board import Board
from qserver.wire.messages import WindowView

SHOWN_CALLS = 8
STATES = {
    "closed": ("未开放", "closed"),
    "idle": ("空闲", "free"),
    "called": ("请到", "please come"),
    "serving": ("办理中", "serving"),
    "paused": ("暂停服务", "paused"),
}
"""A window's state in words."""


class CallLine(NamedTuple):
    """One call as shown."""

    ticket: str
    window: str  # the window's name
    at_ms: int
    again: bool  # not the first call of this ticket


class Screen:
    """A hall board's content. `lost_since_ms`: since when the server is not heard, None while it is."""

    __slots__ = ("board", "lost_since_ms")

    def __init__(self) -> None:
        self.board: Board | None = None
        self.lost_since_ms: int | None = None

    def lost(self, now_ms: int) -> None:
        """The connection went; the first time counts."""
        if self.lost_since_ms is None:
            self.lost_since_ms = now_ms

    def found(self) -> None:
        """What is shown is the present again."""
        self.lost_since_ms = None

    def window_name(self, window: str) -> str:
        """What people call a window."""
        known = self.board.windows.get(window) if self.board is not None else None
        return known.name if known is not None else window

    def calls(self) -> list[CallLine]:
        """The last calls, newest first, each ticket once."""
        found: dict[str, CallLine] = {}
        for call in self.board.calls if self.board is not None else ():
            if call.ticket not in found:
                found[call.ticket] = CallLine(call.ticket, self.window_name(call.window), call.at_ms, call.n > 1)
        return list(found.values())[:SHOWN_CALLS]

    def windows(self) -> list[WindowView]:
        """All windows, in the hall's order."""
        return list(self.board.windows.values()) if self.board is not None else []

    def lines(self) -> list[str]:
        """The board as text for a terminal."""
        if self.lost_since_ms is not None:
            at = time.strftime("%H:%M", time.localtime(self.lost_since_ms / 1000))
            return [f"连接中断，自 {at} 起  Connection lost since {at}"]
        if self.board is None:
            return ["正在连接…  Connecting…"]
        found = [f"== {self.board.hall} =="]
        for n, call in enumerate(self.calls()):
            mark = "▶" if n == 0 else " "
            found.append(f"{mark} {call.ticket}  →  {call.window}{'  (重呼 again)' if call.again else ''}")
        for window in self.windows():
            chinese, english = STATES.get(window.state, (window.state, window.state))
            found.append(f"  {window.name}: {chinese} {english}{' ' + window.ticket if window.ticket else ''}")
        waiting = "  ".join(f"{service} {count}" for service, count in self.board.waiting.items())
        found.append(f"等候 Waiting: {waiting}")
        found.extend(f"※ {notice.text}" for notice in self.board.notices)
        return found
