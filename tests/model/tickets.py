"""The model's commands about tickets given away from a window, ratings, and what time decides."""

from __future__ import annotations

from abc import ABC, abstractmethod

from qserver.domain import calendar, lifecycle
from qserver.domain import hall as halls
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import State
from tests.model.order import FIRST, Order
from tests.model.shapes import Leg, Ticket

SKEW_MS = 5_000


class Tickets(Order, ABC):
    """What guides, citizens and time do."""

    @abstractmethod
    def missed_by_time(self, ticket: Ticket) -> None:
        """A called ticket is missed: the windows' part."""

    def issue(self, service: str, services: list[str], priority: str, person: str, window: str) -> Ticket:
        """Issues a ticket."""
        rules = self.service(service)
        if window and window not in self.windows:
            raise Refusal("no_such_window")
        if service in self.suspended:
            raise Refusal("service_closed", reason="suspended")
        if rules.daily_quota is not None and self.issued_today.get(service, 0) >= rules.daily_quota:
            raise Refusal("quota_reached")
        mine = [
            t for t in self.tickets.values() if t.person == person and t.day == self.day and t.state in lifecycle.LIVE
        ]
        if person:
            # the guard knows the last ticket that was issued to the person for this service
            last = [
                t for t in self.tickets.values() if (t.person, t.day, t.legs[0].service) == (person, self.day, service)
            ]
            if last and last[-1] in mine and last[-1].leg.service == service:
                raise Refusal("already_waiting", ticket=last[-1].no)
        self.iseq += 1
        number = self.numbers[rules.prefix] = self.numbers.get(rules.prefix, 0) + 1
        self.issued_today[service] = self.issued_today.get(service, 0) + 1
        ticket = Ticket(
            f"{self.day.replace('-', '')}-{rules.prefix}{number:03d}",
            self.iseq,
            self.day,
            priority,
            "guide",
            person,
            self.now,
            [Leg(service, self.now)],
            services,
            self.now,
            self.virtual(self.now, priority),
            window,
            changes=0,
        )
        self.tickets[ticket.id] = ticket
        self.log("ticket.issued", ticket)
        return ticket

    def cancel(self, name: str) -> Ticket:
        """Ends a ticket."""
        ticket = self.find(name, "cancel")
        self.settle(ticket)
        if ticket.state == State.CALLED:
            self.seat(self.windows[ticket.leg.window], None)
        ticket.state, ticket.leg.finished, ticket.leg.outcome = State.CANCELLED, self.now, "cancelled"
        self.log("ticket.cancelled", ticket)
        return ticket

    def return_(self, name: str) -> Ticket:
        """Puts a missed one back."""
        ticket = self.find(name, "return")
        if ticket.returns >= self.hall.calls.max_returns:
            raise Refusal("wrong_state", state="missed", returns=ticket.returns)
        ticket.score = self.behind(ticket.leg.service, self.hall.calls.return_after)
        ticket.state, ticket.returns = State.WAITING, ticket.returns + 1
        self.log("ticket.returned", ticket)
        return ticket

    def postpone(self, name: str) -> Ticket:
        """Lets others go first."""
        ticket = self.find(name, "postpone")
        line = self.queue(ticket.leg.service)
        ahead = line.index(ticket)
        ticket.state = State.HELD  # out of the line while its place is looked for
        ticket.score = self.behind(ticket.leg.service, ahead + max(1, self.hall.calls.return_after))
        ticket.state = State.WAITING
        self.log("ticket.postponed", ticket)
        return ticket

    def reprioritise(self, name: str, priority: str) -> Ticket:
        """Changes the priority class."""
        ticket = self.find(name, "reprioritise")
        if ticket.score >= FIRST:
            ticket.score = max(FIRST, ticket.score + self.boost(ticket.priority) - self.boost(priority))
        ticket.priority = priority
        self.log("ticket.reprioritised", ticket)
        return ticket

    # Ratings and time

    def rate(self, window: str, rid: str, name: str, leg: int, score: int, age: int) -> tuple[str, str]:
        """One rating from the window's pad."""
        ticket = self.tickets.get(f"{self.day.replace('-', '')}-{name}")
        if not ticket:
            return "rejected", "not_found"
        if not 1 <= leg <= len(ticket.legs):
            return "rejected", "wrong_state"
        found = ticket.legs[leg - 1]
        ended = found.outcome not in ("", "transferred", "cancelled", "expired")
        if not ended or (leg == len(ticket.legs) and ticket.state != State.FINISHED):
            return "rejected", "wrong_state"
        if found.window != window:
            return "rejected", "forbidden"
        if not 1 <= score <= 5:
            return "rejected", "validation"
        if found.rating:
            if found.rating[3] != rid:
                return "conflict", "already_rated"
            return ("duplicate", "") if found.rating[0] == score else ("conflict", "other_score")
        at = self.now - age
        if at < found.finished - SKEW_MS:
            return "rejected", "validation"
        at = max(at, found.finished)
        if at > found.finished + halls.ms(self.hall.rating.window_s):
            return "rejected", "wrong_state"
        found.rating = (score, "active", at, rid)
        w = self.windows[window]
        if w.rate and w.rate[:2] == (ticket.id, leg):
            w.rate = None
        self.log("rating.recorded", ticket)
        if score <= 2:
            self.review("rating", ticket, leg)
        return "recorded", ""

    def sweep(self) -> None:
        """Everything time asks for at this instant."""
        if self.now >= self.day_end:
            self.turn()
        for ticket in list(self.tickets.values()):
            self.look_at(ticket)
            for number, leg in enumerate(ticket.legs, 1):
                ended = leg.outcome not in ("", "transferred", "cancelled", "expired")
                over = self.now >= leg.finished + halls.ms(self.hall.rating.window_s)
                if ended and over and not leg.rating and not leg.silent:
                    leg.silent = True
                    w = self.windows[leg.window]
                    if w.rate and w.rate[:2] == (ticket.id, number):
                        w.rate = None
                    self.log("rating.unrated", ticket)

    def limited(self, ticket: Ticket) -> bool:
        """Whether the clock of its service's limit runs."""
        held = ticket.state == State.HELD and bool(ticket.leg.started) and self.hall.overtime.count_holds
        return ticket.state == State.SERVING or held

    def look_at(self, ticket: Ticket) -> None:
        """A ticket's limits."""
        leg, rules = ticket.leg, self.hall.service(ticket.leg.service)
        assert rules
        share = self.hall.overtime.warn_at
        self.settle(ticket)
        if ticket.state == State.WAITING and not leg.first_called and rules.wait_limit_s:
            if not (leg.wait_over or leg.wait_warned) and self.now - leg.queued >= int(
                rules.wait_limit_s * 1000 * share
            ):
                leg.wait_warned = True
                self.log("overtime.warned", ticket)
        elif self.limited(ticket) and rules.service_limit_s:
            near = self.spent(ticket) >= int(rules.service_limit_s * 1000 * share)
            if near and not (leg.service_over or leg.service_warned):
                leg.service_warned = True
                self.log("overtime.warned", ticket)
        elif ticket.state == State.CALLED and self.now >= leg.called + self.miss_after:
            self.missed_by_time(ticket)

    def turn(self) -> None:
        """The business day ends."""
        for ticket in self.tickets.values():
            if ticket.state in lifecycle.LIVE:
                ticket.leg.unreliable = True
                self.settle(ticket)
                ticket.state, ticket.leg.outcome = State.EXPIRED, "expired"
                self.log("ticket.expired", ticket)
        for w in self.windows.values():
            w.undo = None
            if w.state != "closed":
                w.state, w.reason, w.since, w.staff, w.services, w.ticket = "closed", "", self.now, "", [], None
                self.log("window.closed")
        self.log("day.closed")
        self.numbers, self.issued_today, self.calls = {}, {}, []
        self.day, self.day_end = calendar.business_day(self.now, self.hall.time_zone, self.hall.day_starts)
