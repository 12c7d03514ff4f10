"""What the outside sees of tickets, windows, boards and reviews: the public forms, in the contract's words.

Instants are integers, milliseconds since the Unix epoch by the data server's clock; durations likewise. Absent
is None. Only data lives here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .lifecycle import State, WindowState

Source = Literal["active", "active_late", "default"]
"""Who a rating comes from: the pad, the ticket's link afterwards, or the profile's default level."""


Signal = Literal[
    "short_service", "reissued", "cancelled_in_service", "many_recalls", "undone_before_rating", "rating_burst",
    "doubtful_pad",
]  # fmt: skip
"""What looks like gaming of the figures and is for people to look at; it changes nothing by itself.

Served far below the mean; the same person again for the same service soon after a finish, or sent back to it by the
finish; cancelled though its service had begun; called very often; a finish taken back before the citizen rated; ratings
on one pad faster than people can; a rating whose signature or counter does not fit the pad that stands there.
"""


class Rating(msgspec.Struct, frozen=True):
    """A citizen's rating of one finished leg: score 5 very satisfied .. 1 very dissatisfied."""

    score: int
    source: str
    at_ms: int


class OvertimeFlags(msgspec.Struct, frozen=True):
    """Whether the leg's wait or its service ran over its limit."""

    wait: bool
    service: bool


class Leg(msgspec.Struct, frozen=True):
    """One service of a visit, from its entry into a queue to its end.

    `wait_ms` = first call - entry; `walk_ms` = start - last call; `service_ms` = finish - start - held.
    `outcome`: how it ended (`done`, `accepted`, `transferred`, `missed`, `cancelled`, `expired`), None while it runs.
    `unreliable`: the day turned or the clock stepped within it, so its durations do not count.
    """

    leg: int
    service: str
    window: str | None
    staff: str | None
    queued_ms: int
    first_called_ms: int | None
    called_ms: int | None
    started_ms: int | None
    finished_ms: int | None
    calls: int
    held_ms: int
    wait_ms: int | None
    walk_ms: int | None
    service_ms: int | None
    overtime: OvertimeFlags
    rating: Rating | None
    outcome: str | None
    unreliable: bool
    signals: list[Signal] = []


class Ticket(msgspec.Struct, frozen=True):
    """A ticket 号票. Top-level times describe the current leg; `legs` holds all, the current one last."""

    id: str
    no: str
    hall: str
    day: str
    service: str
    services: list[str]
    """Services of the legs still to come."""
    priority: str
    channel: str
    state: State
    leg: int
    window: str | None
    staff: str | None
    issued_ms: int
    first_called_ms: int | None
    called_ms: int | None
    started_ms: int | None
    finished_ms: int | None
    calls: int
    held_ms: int
    wait_ms: int | None
    walk_ms: int | None
    service_ms: int | None
    overtime: OvertimeFlags
    rating: Rating | None
    outcome: str | None
    case: str | None
    returns: int
    unreliable: bool
    legs: list[Leg]
    to_window: str | None = None
    """The window that it waits for, None when any window of its service may call it."""
    hold_since_ms: int | None = None
    """Held since then, None when it is not; stays when it was cancelled or expired while held."""


class RatePrompt(msgspec.Struct, frozen=True):
    """What the pad may ask about: the leg finished last at its window, until when."""

    ticket: str
    """Ticket id."""
    leg: int
    until_ms: int


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A window 窗口 as its clerk, pad and screen see it. `since_ms`: in this state since; `limit_ms`: the limit of
    the service being given, None without one; `ticket`: number of the ticket at it."""

    id: str
    name: str
    state: WindowState
    reason: str | None
    staff: str | None
    services: list[str]
    ticket: str | None
    leg: int | None
    service: str | None
    since_ms: int
    limit_ms: int | None
    held_ms: int
    """How long the service being given was held so far, 0 where that counts towards the limit: timers show
    now - since - held against it."""
    rate: RatePrompt | None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A negative review 差评 in its follow-up. `history` holds every step as it happened, nothing is overwritten.

    `due_ms`: when the running term ends, which is called `term` (verify, rectify, revisit, decide); both None when
    nothing is waited for. `window`, `staff`: None when the wait itself ran over, before any call. `late`: a term
    passed, now or earlier. `result`: what verifying found, while that is the last word. `appeal_until_ms`: None when
    no appeal is possible (any more).
    """

    id: str
    state: str
    source: str
    window: str | None
    service: str
    staff: str | None
    ticket: str
    leg: int
    opened_ms: int
    due_ms: int | None
    late: bool
    history: list[dict[str, object]]
    term: str | None = None
    result: str | None = None
    assignee: str | None = None
    appeal_until_ms: int | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A promised case 承诺件, from the finish that accepted it. `due_ms`: None when its service promises no limit;
    `review`: the one opened when it ran over its limit."""

    id: str
    state: str
    service: str
    window: str
    staff: str | None
    ticket: str
    leg: int
    accepted_ms: int
    due_ms: int | None
    completed_ms: int | None
    overtime: bool
    review: str | None
    history: list[dict[str, object]]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What a citizen may know of a service before taking a ticket. `wait_estimate_ms` is [low, high]."""

    service: str
    name: str
    name_en: str
    waiting: int
    open_windows: int
    wait_estimate_ms: tuple[int, int]
    open: bool
    reason: str | None


UNKNOWN_MEAN_MS = 300_000
"""Stands for a service's mean time until its first tickets were served, and what the mean begins from."""


def wait_estimate(ahead: int, open_windows: int, mean_ms: int) -> tuple[int, int]:
    """The range in which a wait with `ahead` people before it probably ends, in ms.

    Mean service time times the people ahead over the open windows, widened by a third down and up: queue waits
    scatter roughly by their square root, and people forgive a range more easily than a wrong point.
    """
    mean_ms = mean_ms or UNKNOWN_MEAN_MS
    middle = ahead * mean_ms // max(1, open_windows)
    return middle * 2 // 3, (middle + mean_ms // 2) * 4 // 3
