"""The rule by which a screen may believe what it shows: an event is applied only upon the one before it.

Sans-I/O: messages of the server and the time go in; what changed, and what to say to the server, comes out. This is the
reference for every other client. Times are seconds of any monotonic clock.

    event with p == s      applied, s moves on
    event with s <= ours   known already, dropped
    any other event        something is missing: resync
    config, notice         applied; the snapshot that follows says what changed: without it for 1 s, resync
    hb ahead of us for 1 s something was lost and nothing follows that would show it: resync
    another epoch          what we show is of another record: resync, and the snapshot replaces everything
    nothing for 2.5 hb     the server is gone: close, show since when, come back
"""

from __future__ import annotations

from typing import NamedTuple

from qserver.wire.board import Board
from qserver.wire.messages import (
    DEAD_AFTER,
    HB_MS,
    BoardEvent,
    Heartbeat,
    Resync,
    ServerMessage,
    Snapshot,
    State,
    Welcome,
)

BEHIND_S = 1.0
"""How long a heartbeat may be ahead before it means a loss; also how long to wait for a repair before asking again."""


class Outcome(NamedTuple):
    """What a message led to: an event applied, or everything replaced; and what to tell the server."""

    applied: BoardEvent | None = None
    replaced: bool = False
    say: Resync | None = None


NOTHING = Outcome()


class Chain:
    """What one screen knows, and how sure it is of it. Outlives connections."""

    __slots__ = ("_asked_at", "_behind_since", "_heard_at", "_owed_since", "board", "ep", "hb_s", "s", "state")

    def __init__(self) -> None:
        self.ep = ""
        self.s = -1  # last event applied, -1 when there is nothing to go on from
        self.board: Board | None = None
        self.state: State | None = None  # on the topics that are one small state
        self.hb_s = HB_MS / 1000
        self._heard_at = 0.0
        self._behind_since: float | None = None
        self._asked_at: float | None = None
        self._owed_since: float | None = None  # the snapshot after a definition or notice has not come yet

    def position(self) -> tuple[str, int | None]:
        """What to say in hello: where events alone can take us on from, if anywhere."""
        if self.s < 0 or self._owed_since is not None:
            return "", None
        return self.ep, self.s

    def connected(self, now: float) -> None:
        """A new connection: nothing is under way on it yet."""
        self._heard_at = now
        self._behind_since = None
        self._asked_at = None

    def take(self, message: ServerMessage, now: float) -> Outcome:
        """One message of the server."""
        self._heard_at = now
        if isinstance(message, BoardEvent):
            return self._event(message, now)
        if isinstance(message, Heartbeat):
            return self._heartbeat(message, now)
        if isinstance(message, Snapshot):
            return self._snapshot(message)
        if isinstance(message, State):
            return self._state(message)
        if isinstance(message, Welcome):
            self.hb_s = message.hb_ms / 1000
            if message.ep != self.ep:
                self._forget(message.ep)
        return NOTHING

    def poll(self, now: float) -> Resync | None:
        """What to say after some time: call it about once a second."""
        if self._behind_since is not None and now - self._behind_since >= BEHIND_S:
            return self._ask(now)
        if self._asked_at is not None and now - self._asked_at >= BEHIND_S:
            return self._ask(now)
        if self._owed_since is not None and now - self._owed_since >= BEHIND_S:
            self._owed_since = now
            return self._ask(now)
        return None

    def dead(self, now: float) -> bool:
        """Whether the server has been silent for too long."""
        return now - self._heard_at >= self.hb_s * DEAD_AFTER

    def _event(self, event: BoardEvent, now: float) -> Outcome:
        if self.board is None or event.s <= self.s:
            return NOTHING
        if event.p != self.s:
            return Outcome(say=self._ask(now) if self._asked_at is None else None)
        self.board.apply(event)
        self.s = event.s
        self._caught_up()
        if event.k in ("config", "notice"):
            self._owed_since = now
        return Outcome(applied=event)

    def _heartbeat(self, hb: Heartbeat, now: float) -> Outcome:
        if hb.ep != self.ep:
            return Outcome(say=self._ask(now) if self._asked_at is None else None)
        if hb.s > self.s:
            if self._behind_since is None:
                self._behind_since = now
        else:
            self._caught_up()
        return NOTHING

    def _snapshot(self, snapshot: Snapshot) -> Outcome:
        if snapshot.ep == self.ep and snapshot.s < self.s:
            return NOTHING  # an answer that something newer has overtaken
        self.board = Board(snapshot)
        self.ep, self.s = snapshot.ep, snapshot.s
        self._caught_up()
        self._owed_since = None
        return Outcome(replaced=True)

    def _state(self, state: State) -> Outcome:
        if state.ep == self.ep and state.s < self.s:
            return NOTHING
        self.state = state
        self.ep, self.s = state.ep, state.s
        self._caught_up()
        return Outcome(replaced=True)

    def _ask(self, now: float) -> Resync:
        self._asked_at = now
        self._behind_since = None
        if self.board is None or self._owed_since is not None:
            return Resync("", 0)  # no epoch: events would not do, the whole state
        return Resync(self.ep, self.s)

    def _caught_up(self) -> None:
        self._behind_since = None
        self._asked_at = None

    def _forget(self, ep: str) -> None:
        self.ep, self.s = ep, -1
        self._owed_since = None
        self.board = None
        self.state = None
