"""What the hall's routes take and give, as types: the bodies, the query strings, the answers.

Bounds on every text stand here and nowhere else; the documents are made from these types. Nothing here decides.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from qserver.domain.rules import Id
from qserver.domain.tally import By
from qserver.domain.ticket import Queue, Review, Ticket, Window
from qserver.store.answers import Actor
from qserver.wire.messages import BoardView, StatsView

from .routing import Body


def text(longest: int, description: str, shortest: int = 1, pattern: str | None = None) -> Any:
    """The bounds of a text, for an annotation."""
    return msgspec.Meta(min_length=shortest, max_length=longest, description=description, pattern=pattern)


LINE = r"^[^\x00-\x1f\x7f]*$(?!\n)"
"""One line: no control characters. The look-ahead is for engines whose `$` also stands before a last newline."""

Reason = Annotated[str, text(200, "why, in words; it stands on record", pattern=LINE)]
Name = Annotated[str, text(32, "a ticket by its number (today's) or its id")]
Staff = Annotated[str, text(64, "staff id of whoever works at the window", pattern=LINE)]
Channel = Literal["guide", "kiosk", "phone", "web", "counter", "appointment"]
"""Where a ticket was taken."""
Said = Annotated[str, text(300, "words chosen from the hall's list")]
Comment = Annotated[str, text(1000, "the citizen's own words", shortest=0)]
Outcome = Annotated[
    str,
    text(
        32,
        "how the service ended; what only the system says is not among it",
        pattern=r"^(?!(transferred|missed|cancelled|expired)$)[a-z0-9][a-z0-9_-]*$(?!\n)",
    ),
]


class Issue(Body, frozen=True, kw_only=True):
    """Takes a ticket 取号."""

    service: Id
    services: Annotated[list[Id], msgspec.Meta(max_length=20)] | None = None
    """Services of further legs, in this order."""
    priority: Id = "normal"
    channel: Channel | None = None
    """Left out: the token's own, `kiosk` or `guide`."""
    window: Id | None = None
    """Waits for this window only."""
    person: Annotated[str, text(128, "opaque id of the person, kept only hashed")] | None = None
    phone: Annotated[str, text(20, "telephone number", 5, r"^\+?[0-9][0-9 -]{3,17}[0-9]$(?!\n)")] | None = None


class Reprioritise(Body, frozen=True, kw_only=True):
    """Gives a waiting ticket another priority class."""

    priority: Id
    reason: Reason


class Because(Body, frozen=True, kw_only=True):
    """A command that is given for a reason."""

    reason: Reason


class Open(Body, frozen=True, kw_only=True):
    """Opens a window, or takes it over. `services`: those of this session, when they differ from the definition."""

    staff: Staff | None = None
    services: Annotated[list[Id], msgspec.Meta(max_length=200)] | None = None


class CallNext(Body, frozen=True, kw_only=True):
    """Calls 叫号: whoever is next, or a named ticket. `finish`: the one in service is finished first."""

    ticket: Name | None = None
    finish: bool = False


class Finish(Body, frozen=True, kw_only=True):
    """Ends the service 办结. `case`: the business system's number of a case that goes on, exactly with `accepted`.

    `then` sends the visit on 受审分离 to a service that it was not issued with - the back office, the certificate
    window - as its next leg, before those still to come; `then_window` lets it wait for that window only, alone for
    the same service there.
    """

    outcome: Outcome = "done"
    case: Annotated[str, text(64, "number of the case in the business system", pattern=LINE)] | None = None
    then: Id | None = None
    then_window: Id | None = None


class Unhold(Body, frozen=True, kw_only=True):
    """Takes a held ticket back into service."""

    ticket: Name


class Transfer(Body, frozen=True, kw_only=True):
    """Lets the ticket wait for another service, at another window, or both 转窗口."""

    service: Id | None = None
    window: Id | None = None
    position: Literal["arrival", "first", "last"] = "arrival"


class HolderRating(Body, frozen=True, kw_only=True):
    """The holder's rating by the ticket's link. `leg` left out: the one finished last."""

    score: Annotated[int, msgspec.Meta(ge=1, le=5)]
    rid: Annotated[str, text(64, "the sender's own id of the rating", pattern=LINE)] | None = None
    leg: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    aspects: Annotated[list[Said], msgspec.Meta(max_length=10)] = msgspec.field(default_factory=list)
    reasons: Annotated[list[Said], msgspec.Meta(max_length=10)] = msgspec.field(default_factory=list)
    comment: Comment = ""


Limit = Annotated[int, msgspec.Meta(ge=1, le=1000, description="at most so many")]
After = Annotated[str, msgspec.Meta(max_length=15, description="`next` of the page before")]
StateFilter = Literal[
    "", "waiting", "called", "serving", "held", "missed", "finished", "cancelled", "expired"
]  # fmt: skip
"""A ticket's state, or all."""
ReviewFilter = Literal[
    "", "open", "assigned", "verified", "rectified", "revisited", "appealed", "closed", "excluded"
]  # fmt: skip
"""A review's state, or all."""
SourceFilter = Literal["", "rating", "overtime", "wait", "case"]
"""What a review comes from, or all."""
StepName = Literal["assign", "verify", "rectify", "revisit", "close", "appeal", "uphold", "exclude"]
"""A step of the follow-up; `POST .../reviews/{id}/STEP` takes it."""
_Filter = Annotated[str, msgspec.Meta(max_length=32, description="only these; empty = all")]


class TicketsQuery(Body, frozen=True, kw_only=True):
    """Which tickets of the business day."""

    state: StateFilter = ""
    service: _Filter = ""
    limit: Limit = 100
    after: After = ""


class ReviewsQuery(Body, frozen=True, kw_only=True):
    """Which reviews, in order of opening."""

    state: ReviewFilter = ""
    source: SourceFilter = ""
    pending: Annotated[bool, msgspec.Meta(description="only those whose follow-up has not ended")] = False
    latest: Annotated[bool, msgspec.Meta(description="the newest first")] = False
    limit: Limit = 100
    after: After = ""


class ReportQuery(Body, frozen=True, kw_only=True):
    """What the rows stand for, and in which form."""

    by: By = "window"
    format: Literal["json", "csv", "xlsx"] = "json"


Range = Annotated[tuple[int, int], msgspec.Meta(description="range of the wait, ms: [low, high]")]
Next = Annotated[str | None, msgspec.Meta(description="give it as `after` for what follows; null at the end")]


class TicketAnswer(msgspec.Struct, frozen=True):
    """A ticket as it is after the command."""

    ticket: Ticket


class ReprintAnswer(msgspec.Struct, frozen=True):
    """A ticket, and its link for the slip."""

    ticket: Ticket
    url: str


class ServiceName(msgspec.Struct, frozen=True):
    """A service and its names; each may be empty."""

    id: str
    name: str
    name_en: str


class HolderAnswer(msgspec.Struct, frozen=True):
    """A ticket and its place in the queue. `ahead`: waiting tickets of its service that would be called earlier.

    The names are those of the ticket's service, its window or the one it waits for ("" without one) and, in `then`, its
    further services in their order; `time_zone` is the hall's; `reasons` what may be chosen beside a level, Chinese
    and English, where the hall names any. The holder has no other way to learn them.
    """

    ticket: Ticket
    ahead: int
    wait_estimate_ms: Range
    service_name: str
    service_name_en: str
    window_name: str
    window_name_en: str
    time_zone: str
    then: list[ServiceName]
    reasons: dict[str, list[tuple[str, str]]]


class IssueAnswer(msgspec.Struct, frozen=True):
    """A new ticket, its place, and the link that only its holder gets."""

    ticket: Ticket
    ahead: int
    wait_estimate_ms: Range
    url: str


class TicketsAnswer(msgspec.Struct, frozen=True):
    """Tickets in order of issue."""

    tickets: list[Ticket]
    next: Next


class QueuesAnswer(msgspec.Struct, frozen=True):
    """What may be known of each service before taking a ticket."""

    queues: list[Queue]


class SuspensionAnswer(msgspec.Struct, frozen=True):
    """Whether issuing for a service is stopped, and why."""

    service: str
    suspended: bool
    reason: str | None


class WindowAnswer(msgspec.Struct, frozen=True):
    """A window as it is after the command."""

    window: Window


class WindowsAnswer(msgspec.Struct, frozen=True):
    """Windows in the order of the hall's definition."""

    windows: list[Window]


class CalledAnswer(msgspec.Struct, frozen=True):
    """The ticket called (null when nobody waits) and the one finished in the same step."""

    ticket: Ticket | None
    finished: Ticket | None


class ReviewAnswer(msgspec.Struct, frozen=True):
    """A negative review with its full history. `steps`: those the caller may take next; an appeal only until
    `appeal_until_ms`. `actors`: who they are now that the review names by their ids, where one is looked at."""

    review: Review
    steps: list[StepName]
    actors: dict[str, Actor] | UnsetType = UNSET


class ReviewsAnswer(msgspec.Struct, frozen=True):
    """Reviews in the order asked for."""

    reviews: list[Review]
    next: Next


class BoardAnswer(msgspec.Struct, frozen=True):
    """The public state of a hall, as the sockets send it."""

    ep: str
    s: int
    board: BoardView


class StatsAnswer(msgspec.Struct, frozen=True):
    """Live figures of a hall, as the sockets send them."""

    ep: str
    s: int
    stats: StatsView
