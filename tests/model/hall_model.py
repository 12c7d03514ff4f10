"""A hall in plain Python: what the functions must do, said a second time in the simplest way, on lists and dicts.

Slow and whole: it looks at every ticket for every question. It takes its words and its tables from the domain and
nothing from the store, except the public forms that both are compared by.
"""

from __future__ import annotations

import copy

from qserver.domain import hall as halls
from qserver.domain import lifecycle
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import State
from tests.model.order import FIRST
from tests.model.shapes import Ticket, Window
from tests.model.tickets import Tickets

UNDO_MS = 15_000


class HallModel(Tickets):
    """The whole hall. Commands raise Refusal or answer with the tickets they changed."""

    def open(self, window: str, staff: str, services: list[str] | None) -> None:
        """Opens a window or takes it over."""
        w, was = self.windows[window], self.windows[window].state
        if services is None:
            services = next(d.services for d in self.hall.windows if d.id == window) if was == "closed" else w.services
        staff = staff or (w.staff if was != "closed" else "")
        taken = was != "closed" and staff != w.staff
        w.staff, w.services = staff, services
        if taken:
            w.undo = None
        if was in ("closed", "paused"):
            w.state, w.reason, w.since = "idle", "", self.now
        if w.ticket:
            w.ticket.leg.staff = staff
        self.log("window.taken_over" if taken else "window.opened")

    def shift(self, window: str, command: str, reason: str = "") -> None:
        """Close, pause or resume."""
        w, move = self.windows[window], lifecycle.WINDOW_MOVES[command]
        if w.state not in move.sources:
            if w.state == "closed":
                raise Refusal("window_not_open")
            raise Refusal("window_busy") if w.ticket else Refusal("wrong_state", state=w.state)
        w.state, w.reason, w.since = move.target, reason, self.now
        if command == "close":
            w.staff, w.services = "", []
        self.log(f"window.{move.event}")

    def next_for(self, w: Window) -> Ticket | None:
        """Who the window would call."""
        found: list[tuple[float, int, Ticket]] = []
        own = sorted(
            (t for t in self.tickets.values() if t.state == State.WAITING and t.bound == w.id),
            key=lambda t: (t.score, t.iseq),
        )
        if own:
            found.append((own[0].score, -1, own[0]))
        penalty = next(d.service_penalty_s for d in self.hall.windows if d.id == w.id)
        for place, service in enumerate(w.services):
            line = [t for t in self.queue(service) if not t.bound]
            if line:
                found.append((line[0].score + int(penalty.get(service, 0) * 1000), place, line[0]))
        return min(found, key=lambda entry: entry[:2])[2] if found else None

    def call(self, window: str, name: str, finish: bool) -> tuple[Ticket | None, Ticket | None]:
        """Calls a ticket."""
        w = self.windows[window]
        if w.state == "closed":
            raise Refusal("window_not_open")
        if w.state == "paused":
            raise Refusal("wrong_state", state="paused")
        current = w.ticket
        if current:
            if not finish:
                raise Refusal("window_busy", ticket=current.no)
            self.may(current, "finish")
        ticket = None
        if name:
            ticket = self.find(name, "call")
            if ticket.bound != w.id and ticket.leg.service not in w.services:
                raise Refusal("wrong_state", state=str(ticket.state), service=ticket.leg.service)
        if current:
            self.end_leg(w, current, "done", "")
        ticket = ticket or self.next_for(w)
        if not ticket:
            return None, current
        self.settle(ticket)
        leg = ticket.leg
        ticket.state, ticket.bound, leg.window, leg.staff = State.CALLED, "", w.id, w.staff
        leg.first_called = leg.first_called or self.now
        leg.called, leg.calls = self.now, leg.calls + 1
        self.seat(w, ticket)
        self.calls.insert(0, (ticket.no, w.id, leg.service, leg.calls, self.now))
        self.log("ticket.called", ticket)
        return ticket, current

    def recall(self, window: str) -> Ticket:
        """Calls again."""
        w, ticket = self.at(window, "recall")
        if ticket.leg.calls >= self.hall.calls.max_calls * (1 + ticket.returns):
            raise Refusal("wrong_state", state="called", calls=ticket.leg.calls)
        ticket.leg.called, ticket.leg.calls = self.now, ticket.leg.calls + 1
        self.seat(w, ticket)
        self.calls.insert(0, (ticket.no, w.id, ticket.leg.service, ticket.leg.calls, self.now))
        self.log("ticket.recalled", ticket)
        return ticket

    def begin_service(self, window: str) -> Ticket:
        """Service starts."""
        w, ticket = self.at(window, "start")
        ticket.state, ticket.leg.started, w.rate = State.SERVING, self.now, None
        self.seat(w, ticket)
        self.log("ticket.started", ticket)
        return ticket

    def end_leg(self, w: Window, ticket: Ticket, outcome: str, case: str, sent: str = "", to: str = "") -> None:
        """Finishes the ticket in service; it may be sent on to a leg it was not issued with."""
        before = copy.deepcopy(ticket)
        self.settle(ticket)
        ticket.leg.finished, ticket.leg.outcome, ticket.case = self.now, outcome, case or ticket.case
        until = self.now + halls.ms(self.hall.rating.window_s)
        w.rate = (ticket.id, len(ticket.legs), until)
        self.seat(w, None)
        ticket.state = State.FINISHED
        if sent or ticket.rest:
            self.next_leg(ticket, sent or ticket.rest.pop(0), outcome)
            ticket.bound = to
            ticket.arrival, ticket.score = self.now, self.virtual(self.now, ticket.priority)
        self.log("ticket.finished", ticket)
        self.log("rating.prompted", ticket)
        w.undo = ("finish", before, ticket, self.now, ticket.changes)

    def finish(self, window: str, outcome: str, case: str, then: str, to: str) -> Ticket:
        """Ends the leg."""
        w, ticket = self.at(window, "finish")
        sent = then or (ticket.leg.service if to else "")
        if sent:
            self.service(sent)
            if to and to not in self.windows:
                raise Refusal("no_such_window")
        self.end_leg(w, ticket, outcome, case, sent, to)
        return ticket

    def missed(self, w: Window, ticket: Ticket) -> Ticket:
        """The ticket at the window is missed."""
        before = copy.deepcopy(ticket)
        ticket.state = State.MISSED
        self.seat(w, None)
        self.log("ticket.missed", ticket)
        w.undo = ("miss", before, ticket, self.now, ticket.changes)
        return ticket

    def miss(self, window: str) -> Ticket:
        """Nobody came."""
        return self.missed(*self.at(window, "miss"))

    def hold(self, window: str) -> Ticket:
        """Puts the ticket aside."""
        w, ticket = self.at(window, "hold")
        self.settle(ticket)
        ticket.state, ticket.hold_since = State.HELD, self.now
        self.seat(w, None)
        self.log("ticket.held", ticket)
        return ticket

    def unhold(self, window: str, name: str) -> Ticket:
        """Takes it back."""
        w, ticket = self.windows[window], self.find(name, "unhold")
        if w.state == "closed":
            raise Refusal("window_not_open")
        if w.ticket:
            raise Refusal("window_busy", ticket=w.ticket.no)
        if w.state != "idle":
            raise Refusal("wrong_state", state=w.state)
        leg = ticket.leg
        if leg.window != w.id and leg.service not in w.services:
            raise Refusal("wrong_state", state="held", service=leg.service)
        if leg.started:
            leg.held += self.now - ticket.hold_since
        else:
            leg.started = self.now
        ticket.state, ticket.hold_since, leg.window, leg.staff, w.rate = State.SERVING, 0, w.id, w.staff, None
        self.seat(w, ticket)
        self.log("ticket.unheld", ticket)
        return ticket

    def transfer(self, window: str, service: str, to: str, position: str) -> Ticket:
        """Ends the leg and waits elsewhere."""
        w, ticket = self.at(window, "transfer")
        self.settle(ticket)
        if ticket.leg.started:
            ticket.leg.finished = self.now
        self.seat(w, None)
        service = service or ticket.leg.service
        self.next_leg(ticket, service, "transferred")
        ticket.state = State.HELD  # out of the line while its place is looked for
        line = (
            sorted(
                (t for t in self.tickets.values() if t.state == State.WAITING and t.bound == to),
                key=lambda t: (t.score, t.iseq),
            )
            if to
            else self.queue(service)
        )
        if position == "first":
            ticket.score = line[0].score - 1 if line and line[0].score < FIRST else FIRST - 1
        elif position == "last":
            ticket.score = self.end(line)
        else:
            ticket.score = self.virtual(ticket.arrival, ticket.priority)
        ticket.state, ticket.bound = State.WAITING, to
        self.log("ticket.transferred", ticket)
        return ticket

    def undo(self, window: str) -> Ticket:
        """Takes the last finish or miss back."""
        w = self.windows[window]
        if w.state == "closed":
            raise Refusal("window_not_open")
        if w.state != "idle" or not w.undo or self.now - w.undo[3] > UNDO_MS or w.since != w.undo[3]:
            raise Refusal("wrong_state", state=w.state)
        what, before, ticket, _, changes = w.undo
        if ticket.changes != changes:
            raise Refusal("wrong_state", state=w.state)
        was = ticket.legs[len(before.legs) - 1]
        if what == "finish":
            before.leg.service_over, before.leg.service_warned = was.service_over, was.service_warned
            w.rate = None
        for name in ("legs", "rest", "state", "hold_since", "returns", "bound", "score", "arrival", "case"):
            setattr(ticket, name, getattr(before, name))
        self.seat(w, ticket)
        self.log("ticket.undone", ticket)
        return ticket

    def missed_by_time(self, ticket: Ticket) -> None:
        """Nobody came for too long."""
        self.missed(self.windows[ticket.leg.window], ticket)
