"""The model's state, who comes next in it, and what its commands share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qserver.domain import calendar, lifecycle
from qserver.domain import hall as halls
from qserver.domain import ticket as public
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import State
from tests.model.shapes import Leg, Ticket, Window

FIRST = 10**9
BASE = 1_262_304_000_000


class Order:
    """A hall's tickets and windows, their order, and what both sides are compared by."""

    def __init__(self, definition: halls.Hall, now: int) -> None:
        self.hall = definition
        self.now = now
        self.miss_after = halls.ms(definition.calls.miss_after_s) or 10**15
        self.day, self.day_end = calendar.business_day(now, definition.time_zone, definition.day_starts)
        self.tickets: dict[str, Ticket] = {}
        self.windows = {window.id: Window(window.id) for window in definition.windows}
        self.numbers: dict[str, int] = {}
        self.iseq = 0
        self.issued_today: dict[str, int] = {}
        self.suspended: set[str] = set()
        self.calls: list[tuple[str, str, str, int, int]] = []
        self.reviews: list[tuple[str, str, int, str, str]] = []
        self.kinds: list[str] = []

    # Order

    def queue(self, service: str) -> list[Ticket]:
        """Who waits for a service, in the order of virtual arrival."""
        found = [t for t in self.tickets.values() if t.state == State.WAITING and t.leg.service == service]
        return sorted(found, key=lambda t: (t.score, t.iseq))

    def boost(self, priority: str) -> int:
        """What a priority class is worth, ms."""
        return next((int(p.boost_s * 1000) for p in self.hall.priorities if p.id == priority), 0)

    def virtual(self, at: int, priority: str) -> float:
        """Virtual arrival of somebody who came at an instant."""
        return max(FIRST, at - self.boost(priority) - BASE)

    def behind(self, service: str, n: int) -> float:
        """A place behind the first n of a queue, or at its end."""
        line = self.queue(service)
        for before, after in zip(line[n - 1 :], line[n:], strict=False):
            if n > 0 and before.score < after.score:
                return (before.score + after.score) / 2
        if n == 0 and line:
            return line[0].score - 1
        return self.end(line)

    def end(self, line: list[Ticket]) -> float:
        """A place behind everybody."""
        return max(self.now - BASE, line[-1].score + 1 if line else 0)

    # Parts of commands

    def log(self, kind: str, ticket: Ticket | None = None) -> None:
        """Notes an event."""
        self.kinds.append(kind)
        if ticket:
            ticket.changes += 1

    def service(self, service: str) -> halls.Service:
        """A service's definition, or the refusal."""
        found = self.hall.service(service)
        if not found:
            raise Refusal("no_such_service")
        return found

    def find(self, name: str, command: str) -> Ticket:
        """A ticket by number, in a state that the command may be given in."""
        ticket = self.tickets.get(f"{self.day.replace('-', '')}-{name}")
        if not ticket:
            raise Refusal("not_found", what="ticket")
        self.may(ticket, command)
        return ticket

    def may(self, ticket: Ticket, command: str) -> None:
        """Looks the command up in the life cycle."""
        if ticket.state not in lifecycle.MOVES[command].sources:
            raise Refusal("wrong_state", state=str(ticket.state))

    def at(self, window: str, command: str) -> tuple[Window, Ticket]:
        """A window and the ticket at it."""
        w = self.windows[window]
        if w.state == "closed":
            raise Refusal("window_not_open")
        if not w.ticket:
            raise Refusal("wrong_state", state=w.state)
        self.may(w.ticket, command)
        return w, w.ticket

    def spent(self, ticket: Ticket) -> int:
        """How much of its limit the service has used."""
        leg = ticket.leg
        if not leg.started:
            return 0
        if self.hall.overtime.count_holds:
            return (leg.finished or self.now) - leg.started
        return (leg.finished or ticket.hold_since or self.now) - leg.started - leg.held

    def settle(self, ticket: Ticket) -> None:
        """Flags what is over its limit and was not flagged."""
        leg, rules = ticket.leg, self.hall.service(ticket.leg.service)
        assert rules
        if ticket.state == State.WAITING and not leg.first_called and not leg.wait_over and rules.wait_limit_s:
            if self.now - leg.queued > rules.wait_limit_s * 1000:
                leg.wait_over = True
                self.log("overtime.wait", ticket)
        elif (
            ticket.state in (State.SERVING, State.HELD)
            and leg.started
            and not leg.service_over
            and rules.service_limit_s
            and self.spent(ticket) > rules.service_limit_s * 1000
        ):
            leg.service_over = True
            self.log("overtime.service", ticket)
            self.review("overtime", ticket, len(ticket.legs))

    def review(self, source: str, ticket: Ticket, leg: int) -> None:
        """Opens a negative review."""
        found = ticket.legs[leg - 1]
        self.reviews.append((source, ticket.id, leg, found.window, found.staff))
        self.log("review.opened", ticket)

    def seat(self, w: Window, ticket: Ticket | None) -> None:
        """Puts the window beside its ticket."""
        w.ticket = ticket
        w.state = str(ticket.state) if ticket else "idle"
        w.since = (ticket.leg.started or ticket.leg.called) if ticket else self.now

    def next_leg(self, ticket: Ticket, service: str, outcome: str) -> None:
        """The present leg is over; the next one waits."""
        ticket.leg.outcome = outcome
        ticket.legs.append(Leg(service, self.now))
        ticket.state, ticket.bound, ticket.hold_since, ticket.returns = State.WAITING, "", 0, 0

    # What is compared

    def shown(self, ticket: Ticket) -> public.Ticket:
        """The public form of a ticket."""
        legs = [leg.shown(number) for number, leg in enumerate(ticket.legs, 1)]
        now = legs[-1]
        common: dict[str, Any] = {
            name: getattr(now, name)
            for name in (
                "service",
                "leg",
                "window",
                "staff",
                "first_called_ms",
                "called_ms",
                "started_ms",
                "finished_ms",
                "calls",
                "held_ms",
                "wait_ms",
                "walk_ms",
                "service_ms",
                "overtime",
                "rating",
                "outcome",
                "unreliable",
            )
        }
        return public.Ticket(
            id=ticket.id,
            no=ticket.no,
            hall=self.hall.id,
            day=ticket.day,
            services=ticket.rest,
            to_window=ticket.bound or None,
            priority=ticket.priority,
            channel=ticket.channel,
            state=ticket.state,
            issued_ms=ticket.issued,
            case=ticket.case or None,
            returns=ticket.returns,
            hold_since_ms=ticket.hold_since or None,
            legs=legs,
            **common,
        )

    def ahead(self, ticket: Ticket) -> int:
        """Waiting tickets of its service that stand before it."""
        return self.queue(ticket.leg.service).index(ticket) if ticket.state == State.WAITING else 0

    def sessions(self) -> Iterator[dict[str, Any]]:
        """Windows as they must be."""
        for w in self.windows.values():
            yield {
                "id": w.id,
                "state": w.state,
                "reason": w.reason or None,
                "staff": w.staff or None,
                "services": w.services,
                "ticket": w.ticket.no if w.ticket else None,
                "since_ms": w.since,
                "rate": public.RatePrompt(*w.rate) if w.rate else None,
            }
