"""What the model is made of: tickets with their legs, and windows."""

from __future__ import annotations

from dataclasses import dataclass, field

from qserver.domain import ticket as public
from qserver.domain.lifecycle import State


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
    silent: bool = False  # the time for rating passed

    def shown(self, number: int) -> public.Leg:
        """The public form."""
        return public.Leg(
            leg=number,
            service=self.service,
            window=self.window or None,
            staff=self.staff or None,
            queued_ms=self.queued,
            first_called_ms=self.first_called or None,
            called_ms=self.called or None,
            started_ms=self.started or None,
            finished_ms=self.finished or None,
            calls=self.calls,
            held_ms=self.held,
            wait_ms=self.first_called - self.queued if self.first_called else None,
            walk_ms=self.started - self.called if self.started else None,
            service_ms=self.finished - self.started - self.held if self.finished and self.started else None,
            overtime=public.OvertimeFlags(self.wait_over, self.service_over),
            rating=public.Rating(*self.rating[:3]) if self.rating else None,
            outcome=self.outcome or None,
            unreliable=self.unreliable,
        )


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
