"""A hall as screens see it: the board folded from its record, and what a screen that was away has missed.

Pure: events go in, frames come out. The board is loaded from the store once and folded from then on, so a snapshot for
any number of screens costs no question to the store. `s` of the board is the position of everything sent. No I/O here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum

from qserver.wire.board import Board
from qserver.wire.messages import BoardEvent, Snapshot

from .frames import Framed

RING = 256
"""Events kept for screens that come back."""


class Taken(Enum):
    """What became of an event."""

    SENT = "sent"  # the next one of the chain: give it to every screen
    KNOWN = "known"  # the board was loaded with it, or is not loaded yet: nobody is told
    RELOAD = "reload"  # give it to every screen, and load the board anew: it says that something else changed
    BROKEN = "broken"  # it does not follow what is known: load the board anew


class HallLog:
    """Board and last events of one hall in one epoch."""

    __slots__ = ("_s", "_shot", "board", "ep", "floor", "ring")

    def __init__(self, ep: str, ring: int = RING) -> None:
        self.ep = ep
        self.board: Board | None = None
        self.ring: deque[Framed] = deque(maxlen=ring)
        self.floor = -1  # nobody at or before this event can be brought on by events alone
        self._shot: Framed | None = None
        self._s = 0

    @property
    def s(self) -> int:
        """The last event of the epoch that every screen has been given, 0 if none."""
        return self.board.s if self.board is not None else self._s

    def take(self, framed: Framed) -> Taken:
        """The next event of the record, a framed BoardEvent."""
        event = _event(framed)
        self._keep(framed)
        turning = event.k in ("config", "notice")
        if turning:
            self.floor = max(self.floor, event.s)
        board = self.board
        if board is None or event.s <= board.s:
            return Taken.KNOWN
        if event.p != board.s:
            self._s = board.s
            self.board = self._shot = None
            return Taken.BROKEN
        board.apply(event)
        self._shot = None
        return Taken.RELOAD if turning else Taken.SENT

    def load(self, snapshot: Snapshot) -> bool:
        """The board as the store has it; what the record has brought beyond is added.

        False when it cannot serve: it is of another epoch, or older than a definition or notice, which no event tells,
        or so old that the ring does not reach back to it.
        """
        if snapshot.ep != self.ep or snapshot.s < self.floor:
            return False
        board = Board(snapshot)
        for framed in self.ring:
            event = _event(framed)
            if event.p == board.s:
                board.apply(event)
        if self.ring and _event(self.ring[-1]).s > board.s:
            return False
        self.board = board
        self._shot = None
        return True

    def seed(self, older: Sequence[Framed]) -> None:
        """Events from before the log was begun, oldest first, for screens that come back."""
        later = list(self.ring)
        first = _event(later[0]).s if later else None
        self.ring.clear()
        for framed in [one for one in older if first is None or _event(one).s < first] + later:
            self._keep(framed)

    def turn(self, ep: str) -> None:
        """Another epoch: nothing known before holds."""
        self.ep = ep
        self.board = self._shot = None
        self._s = 0
        self.ring.clear()
        self.floor = -1

    def missed(self, ep: str, s: int | None) -> list[Framed] | None:
        """What follows (`ep`, `s`) up to the board; None when only a snapshot helps."""
        board = self.board
        if board is None or s is None or ep != self.ep or s <= self.floor or s > board.s:
            return None
        if s == board.s:
            return []
        found = [framed for framed in self.ring if s < _event(framed).s <= board.s]
        if not found or _event(found[0]).p != s or _event(found[-1]).s != board.s:
            return None
        return found

    def snapshot(self) -> Framed:
        """The board as a message, made once per position. The board must be loaded."""
        if self._shot is None:
            assert self.board is not None
            self._shot = Framed(self.board.snapshot())
        return self._shot

    def _keep(self, framed: Framed) -> None:
        if self.ring:
            last, event = _event(self.ring[-1]), _event(framed)
            if event.s <= last.s:
                return
            if event.p != last.s:
                self.ring.clear()
        self.ring.append(framed)


def _event(framed: Framed) -> BoardEvent:
    assert isinstance(framed.message, BoardEvent)
    return framed.message
