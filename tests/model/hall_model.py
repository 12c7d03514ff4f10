"""A hall in plain Python: what the functions must do, said a second time in the simplest way, on lists and dicts.

Slow and whole: it looks at every ticket for every question. It takes its words and its tables from the domain and
nothing from the store, except the public forms that both are compared by.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from qserver.domain import calendar, lifecycle
from qserver.domain import hall as halls
from qserver.domain import ticket as public
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import State

FIRST = 10**9
BASE = 1_262_304_000_000
UNDO_MS = 15_000
SKEW_MS = 5_000


@dataclass
class Leg:
    """One service of a visit."""

    service: str
    queued: int
    window: str = ""
    staff: str = ""
    first_called: int = 0
    called: int = 0
    started: int = 0
    finished: int = 0
    calls: int = 0
    held: int = 0
    wait_over: bool = False
    wait_warned: bool = False
    service_over: bool = False
    service_warned: bool = False
    unreliable: bool = False
    outcome: str = ""
    rating: tuple[int, str, int, str] | None = None

    def shown(self, number: int) -> public.Leg:
        """The public form."""
        return public.Leg(
            leg=number, service=self.service, window=self.window or None, staff=self.staff or None,
            queued_ms=self.queued, first_called_ms=self.first_called or None, called_ms=self.called or None,
            started_ms=self.started or None, finished_ms=self.finished or None, calls=self.calls, held_ms=self.held,
            wait_ms=self.first_called - self.queued if self.first_called else None,
            walk_ms=self.started - self.called if self.started else None,
            service_ms=self.finished - self.started - self.held if self.finished and self.started else None,
            overtime=public.OvertimeFlags(self.wait_over, self.service_over),
            rating=public.Rating(*self.rating[:3]) if self.rating else None,
            outcome=self.outcome or None, unreliable=self.unreliable,
        )  # fmt: skip


@dataclass
class Ticket:
    """A ticket and all its legs; the last one is the present one."""

    id: str
    iseq: int
    day: str
    priority: str
    channel: str
    person: str
    issued: int
    legs: list[Leg]
    rest: list[str]
    arrival: int
    score: float
    bound: str
    state: State = State.WAITING
    hold_since: int = 0
    returns: int = 0
    changes: int = 1
    case: str = ""

    @property
    def leg(self) -> Leg:
        """The present leg."""
        return self.legs[-1]

    @property
    def no(self) -> str:
        """The number people see."""
        return self.id.rpartition("-")[2]


@dataclass
class Window:
    """A window's session."""

    id: str
    state: str = "closed"
    reason: str = ""
    staff: str = ""
    services: list[str] = field(default_factory=list)
    ticket: Ticket | None = None
    since: int = 0
    rate: tuple[str, int, int] | None = None
    undo: tuple[str, Ticket, Ticket, int, int] | None = None  # what, copy, ticket, at, changes then


class HallModel:
    """The whole hall. Commands raise Refusal or answer with the tickets they changed."""

    def __init__(self, definition: halls.Hall, now: int) -> None:
        self.hall = definition
        self.now = now
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
        """Service time so far."""
        leg = ticket.leg
        if not leg.started:
            return 0
        return (leg.finished or ticket.hold_since or self.now) - leg.started - leg.held

    def settle(self, ticket: Ticket) -> None:
        """Flags what is over its limit and was not flagged."""
        leg, rules = ticket.leg, self.hall.service(ticket.leg.service)
        assert rules
        if ticket.state == State.WAITING and not leg.first_called and not leg.wait_over and rules.wait_limit_s:
            if self.now - leg.queued > rules.wait_limit_s * 1000:
                leg.wait_over = True
                self.log("overtime.wait", ticket)
        elif ticket.state in (State.SERVING, State.HELD) and leg.started and not leg.service_over:
            if rules.service_limit_s and self.spent(ticket) > rules.service_limit_s * 1000:
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

    # Tickets

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
            f"{self.day.replace('-', '')}-{rules.prefix}{number:03d}", self.iseq, self.day, priority, "guide", person,
            self.now, [Leg(service, self.now)], services, self.now, self.virtual(self.now, priority), window, changes=0,
        )  # fmt: skip
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

    # Windows

    def open(self, window: str, staff: str, services: list[str] | None) -> None:
        """Opens a window or takes it over."""
        w, was = self.windows[window], self.windows[window].state
        if services is None:
            services = next(d.services for d in self.hall.windows if d.id == window) if was == "closed" else w.services
        staff = staff or (w.staff if was != "closed" else "")
        taken = was != "closed" and staff != w.staff
        w.staff, w.services = staff, services
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

    def end_leg(self, w: Window, ticket: Ticket, outcome: str, case: str) -> None:
        """Finishes the ticket in service."""
        before = copy.deepcopy(ticket)
        self.settle(ticket)
        ticket.leg.finished, ticket.leg.outcome, ticket.case = self.now, outcome, case
        until = self.now + halls.ms(self.hall.rating.window_s)
        w.rate = (ticket.id, len(ticket.legs), until)
        self.seat(w, None)
        ticket.state = State.FINISHED
        if ticket.rest:
            self.next_leg(ticket, ticket.rest.pop(0), outcome)
            ticket.arrival, ticket.score = self.now, self.virtual(self.now, ticket.priority)
        self.log("ticket.finished", ticket)
        self.log("rating.prompted", ticket)
        w.undo = ("finish", before, ticket, self.now, ticket.changes)

    def finish(self, window: str, outcome: str, case: str) -> Ticket:
        """Ends the leg."""
        w, ticket = self.at(window, "finish")
        self.end_leg(w, ticket, outcome, case)
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
        if found.rating:
            return ("duplicate" if found.rating[3] == rid else "conflict"), ""
        at = self.now - age
        if not 1 <= score <= 5 or at < found.finished - SKEW_MS:
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
                if ended and not leg.rating and not getattr(leg, "silent", False):
                    if self.now >= leg.finished + halls.ms(self.hall.rating.window_s):
                        leg.silent = True  # type: ignore[attr-defined]
                        w = self.windows[leg.window]
                        if w.rate and w.rate[:2] == (ticket.id, number):
                            w.rate = None
                        self.log("rating.unrated", ticket)

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
        elif ticket.state == State.SERVING and rules.service_limit_s:
            if not (leg.service_over or leg.service_warned):
                if self.spent(ticket) >= int(rules.service_limit_s * 1000 * share):
                    leg.service_warned = True
                    self.log("overtime.warned", ticket)
        elif ticket.state == State.CALLED and self.hall.calls.miss_after_s:
            if self.now >= leg.called + halls.ms(self.hall.calls.miss_after_s):
                self.missed(self.windows[leg.window], ticket)

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

    # What is compared

    def shown(self, ticket: Ticket) -> public.Ticket:
        """The public form of a ticket."""
        legs = [leg.shown(number) for number, leg in enumerate(ticket.legs, 1)]
        now = legs[-1]
        common: dict[str, Any] = {
            name: getattr(now, name)
            for name in (
                "service", "leg", "window", "staff", "first_called_ms", "called_ms", "started_ms", "finished_ms", "calls",
                "held_ms", "wait_ms", "walk_ms", "service_ms", "overtime", "rating", "outcome", "unreliable",
            )
        }  # fmt: skip
        return public.Ticket(
            id=ticket.id, no=ticket.no, hall=self.hall.id, day=ticket.day, services=ticket.rest,
            priority=ticket.priority, channel=ticket.channel, state=ticket.state, issued_ms=ticket.issued,
            case=ticket.case or None, returns=ticket.returns, legs=legs, **common,
        )  # fmt: skip

    def ahead(self, ticket: Ticket) -> int:
        """Waiting tickets of its service that stand before it."""
        return self.queue(ticket.leg.service).index(ticket) if ticket.state == State.WAITING else 0

    def sessions(self) -> Iterator[dict[str, Any]]:
        """Windows as they must be."""
        for w in self.windows.values():
            yield {
                "id": w.id, "state": w.state, "reason": w.reason or None, "staff": w.staff or None,
                "services": w.services, "ticket": w.ticket.no if w.ticket else None, "since_ms": w.since,
                "rate": public.RatePrompt(*w.rate) if w.rate else None,
            }  # fmt: skip
