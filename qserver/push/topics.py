"""The four topics: what each gives a joiner, and how its small states are made.

`board` is a chain of events over a snapshot; `window:ID`, `stats` and `ticket` are small states sent whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qserver.domain import privacy
from qserver.domain import ticket as public
from qserver.domain.errors import QserverError
from qserver.store.answers import Issued
from qserver.store.store import Store
from qserver.wire.messages import Close, Heartbeat, Snapshot, State, StatsView

from .channel import Ask, Channel, Tools, Why
from .frames import Framed
from .hall import HallLog, Taken
from .pace import Pace

if TYPE_CHECKING:
    from .socket import Socket

log = logging.getLogger(__name__)
POSITIONS = 200
"""Tickets asked about in one question to the store."""


class BoardTopic(Channel):
    """The hall board."""

    def __init__(self, tools: Tools, log_: HallLog) -> None:
        super().__init__("board", tools)
        self.log = log_
        self.stale = True  # whether the board must be read from the store
        self.ready = False  # whether it was read and nothing says that it must be read anew: joiners wait for that

    def position(self) -> tuple[str, int]:
        """Epoch and last event given to every screen."""
        return self.log.ep, self.log.s

    def take(self, event: Framed) -> None:
        """The next event of the record."""
        taken = self.log.take(event)
        if taken in (Taken.SENT, Taken.RELOAD):
            self.post(event)
        if taken in (Taken.RELOAD, Taken.BROKEN):
            self.stale, self.ready = True, False

    def turn(self, ep: str) -> None:
        """The record is another one now."""
        self.log.turn(ep)
        self.stale, self.ready = True, False

    def asking(self) -> None:
        """The store is being asked; what makes the board stale from now on is not in its answer."""
        self.stale = False

    def answered(self, snapshot: Snapshot) -> bool:
        """The store's answer. Everybody gets it at once, even when it must be asked again: the next event goes out upon
        this board, not the one before. False: it is of another epoch than the record has come to, or too old."""
        self.tools.meter.boards_read += 1
        if not self.log.load(snapshot):
            self.stale = True
            return False
        self.ready = not self.stale
        self.post(self.log.snapshot())
        return True

    def beat(self) -> None:
        """No heartbeat while the board is being read: it would vouch for what is not known."""
        if self.log.board is not None:
            super().beat()

    def _catch_up(self, socket: Socket, ask: Ask) -> Sequence[Framed] | None:
        if not self.ready:
            return None
        if ask.why is not Why.DRAINED:
            missed = self.log.missed(ask.ep, ask.s)
            if missed or (missed is not None and ask.why is Why.HELLO):
                return missed
        return [self.log.snapshot()]


class StateTopic(Channel):
    """A topic with one small state for all: a window's or the figures."""

    def __init__(self, name: str, tools: Tools) -> None:
        super().__init__(name, tools)
        self.state: Framed | None = None
        self.at: tuple[str, int] = ("", 0)

    def position(self) -> tuple[str, int]:
        """Epoch and last event of the state."""
        return self.at

    def beat(self) -> None:
        """Says hb, once there is a state."""
        if self.state is not None:
            super().beat()

    def give(self, state: State) -> None:
        """The state changed."""
        self.at = state.ep, state.s
        self.state = Framed(state)
        self.post(self.state)

    def _catch_up(self, socket: Socket, ask: Ask) -> Sequence[Framed] | None:
        return [self.state] if self.state is not None else None


class WindowTopic(StateTopic):
    """One window: its screen, its pad, its clerk."""

    def __init__(self, window: str, tools: Tools) -> None:
        super().__init__(f"window:{window}", tools)
        self.window = window
        self.fresh = False  # whether the record has brought a state since loading began

    def show(self, window: public.Window, ep: str, s: int) -> None:
        """The window's session changed, or was loaded."""
        if ep == self.at[0]:
            s = max(s, self.at[1])
        self.give(State(topic=self.name, ep=ep, s=s, window=window))


class StatsTopic(StateTopic):
    """Live figures, at most once a second."""

    def __init__(self, tools: Tools, store: Store, hall: str) -> None:
        super().__init__("stats", tools)
        self._store = store
        self._hall = hall
        self._pace = Pace(tools.config.state_s, self._compute)

    def changed(self) -> None:
        """Something happened in the hall."""
        if len(self):
            self._pace.want()
        else:
            self.state = None  # whoever comes next asks anew

    def join(self, socket: Socket, ask: Ask) -> None:
        """Lets a socket in; figures are made when there are none."""
        super().join(socket, ask)
        if self.state is None:
            self._pace.want()

    def stop(self) -> None:
        """Ends what is under way."""
        super().stop()
        self._pace.stop()

    async def _compute(self) -> None:
        try:
            ep, s, day, now_ms, services, windows, open_reviews = await self._store.stats(self._hall)
        except QserverError as error:
            log.info("no figures of %s: %s", self._hall, error)
            self._pace.want()
            return
        view = StatsView(day, now_ms, services, windows, open_reviews)
        self.give(State(topic=self.name, ep=ep, s=s, stats=view))
        self.flush()


class TicketTopic(Channel):
    """The holders of tickets: each sees its own. All positions are asked for together, once per change of queues."""

    def __init__(self, tools: Tools, store: Store, hall: str, log_: HallLog) -> None:
        super().__init__("ticket", tools)
        self._store = store
        self._hall = hall
        self._log = log_
        self._states: dict[str, tuple[Issued, Framed]] = {}
        self._changes = Pace(tools.config.state_s, self._recompute)
        self._arrivals = Pace(0.02, self._welcome)

    def position(self) -> tuple[str, int]:
        """Epoch and last event of the hall; each socket's own position is its state's."""
        return self._log.ep, self._log.s

    def changed(self) -> None:
        """Something happened in the hall."""
        if len(self):
            self._changes.want()
        else:
            self._states.clear()

    def join(self, socket: Socket, ask: Ask) -> None:
        """Lets a socket in as soon as its position is known."""
        super().join(socket, ask)
        self._states.pop(socket.subject, None)  # asked anew: nobody may have kept it up to date
        self._arrivals.want()

    def stop(self) -> None:
        """Ends what is under way."""
        super().stop()
        self._changes.stop()
        self._arrivals.stop()

    def beat(self) -> None:
        """Each holder is told the position of its own state; equal ones share a frame."""
        now_ms = self.tools.clock.now_ms()
        frames: dict[tuple[str, int], Framed] = {}
        for socket in self.members():
            state = self._states[socket.subject][1].message if socket.subject in self._states else None
            if isinstance(state, State):
                at = (state.ep, state.s)
                framed = frames.get(at) or frames.setdefault(at, Framed(Heartbeat(*at, now_ms)))
                self._tell(socket, framed)

    def _catch_up(self, socket: Socket, ask: Ask) -> Sequence[Framed] | None:
        known = self._states.get(socket.subject)
        return [known[1]] if known is not None else None

    def _tell(self, socket: Socket, framed: Framed) -> None:
        data = framed.frame(socket.session.codec)
        socket.write(data)
        self.tools.meter.sent(1, 1, len(data))

    async def _welcome(self) -> None:
        """Makes the states of those who wait to be let in."""
        wanted = {socket.subject for socket in self.joining}
        changed = await self._ask(list(wanted))
        if changed is None:
            await asyncio.sleep(self.tools.config.state_s)
            self._arrivals.want()
            return
        self._tell_all(changed)
        self.flush()
        for socket in [one for one in self.joining if one.subject in wanted and one.subject not in self._states]:
            socket.bye(Close.NOT_ALLOWED)  # the ticket is no more

    async def _recompute(self) -> None:
        """Makes the states of all holders and tells those whose state is another."""
        held = {socket.subject for socket in self.members()}
        for gone in self._states.keys() - held:
            del self._states[gone]
        changed = await self._ask(list(held))
        if changed is None:
            self._changes.want()
        else:
            self._tell_all(changed)

    def _tell_all(self, tickets: set[str]) -> None:
        for socket in self.members():
            if socket.subject in tickets:
                self._tell(socket, self._states[socket.subject][1])

    async def _ask(self, tickets: Sequence[str]) -> set[str] | None:
        """Learns the positions of tickets; answers whose changed, None when the store cannot be asked."""
        changed: set[str] = set()
        for at in range(0, len(tickets), POSITIONS):
            names = tickets[at : at + POSITIONS]
            ep, s = self.position()
            try:
                found = await self._store.positions(self._hall, names)
            except QserverError as error:
                log.info("no positions in %s: %s", self._hall, error)
                return None
            for name, issued in zip(names, found, strict=True):
                known = self._states.get(name)
                if issued is None:
                    self._states.pop(name, None)
                elif known is None or known[0] != issued or _epoch(known[1]) != ep:
                    self._states[name] = issued, Framed(_ticket_state(issued, ep, s))
                    changed.add(name)
        return changed


def _epoch(framed: Framed) -> str:
    return framed.message.ep if isinstance(framed.message, State) else ""


def _ticket_state(issued: Issued, ep: str, s: int) -> State:
    estimate = public.wait_estimate(issued.ahead, issued.open_windows, issued.mean_ms)
    ticket = privacy.ticket(issued.ticket, privacy.HOLDER)
    return State(topic="ticket", ep=ep, s=s, ticket=ticket, ahead=issued.ahead, wait_estimate_ms=estimate)
