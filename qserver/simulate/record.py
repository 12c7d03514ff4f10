"""What a played day leaves behind: every command acknowledged, every call shown, every event of the feed.

Plain data that the people, the boards and the feed's puller fill in and that checks and report read. Instants `_s`
are the local monotonic clock, `_ms` the data server's; nothing here asks a clock itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec


class Ack(NamedTuple):
    """A change of state the server acknowledged, named as the feed names it."""

    hall: str
    kind: str
    ticket: str = ""
    """Ticket id; '' for what belongs to a window."""
    no: str = ""
    window: str = ""
    n: int = 0
    """Which call of this ticket (calls only)."""
    at_ms: int = 0
    """The instant recorded, 0 when the answer does not tell."""
    sent_s: float = 0.0
    """When the command was first sent."""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """The `data` of an event, as far as a played day looks at it."""

    ticket: str = ""
    leg: int = 0
    window: str = ""
    service: str = ""
    actor: str = ""
    at_ms: int = 0
    wait_ms: int | None = None
    service_ms: int | None = None
    next_service: str = ""
    undid: str = ""
    outcome: str = ""
    score: int = 0
    rid: str = ""


class FeedEvent(msgspec.Struct, frozen=True, gc=False):
    """One CloudEvent of the feed, as far as a played day looks at it."""

    id: str
    source: str
    type: str
    sequence: str
    data: Facts = Facts()

    @property
    def hall(self) -> str:
        """The hall's id."""
        return self.source.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """The kind without the leading `qserver.`."""
        return self.type.removeprefix("qserver.")

    @property
    def s(self) -> int:
        """The hall's sequence number."""
        return int(self.sequence)


@dataclass
class Board:
    """What one display has shown. A call is `(ticket number, n)`."""

    hall: str
    device: str
    shown: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    """Calls by event: when it arrived (monotonic) and how late after the recorded instant, ms."""
    listed: set[tuple[str, int]] = field(default_factory=set)
    """Calls that stood in the list of a snapshot."""
    twice: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Calls that arrived as events more than once."""
    events: int = 0
    snapshots: int = 0
    connects: int = 0
    resyncs: int = 0
    last: dict[str, Any] | None = None
    """What it showed at the end: calls, windows, waiting."""
    truth: dict[str, Any] | None = None
    """What the server said it should show at the end."""


@dataclass
class Record:
    """Everything a played day left behind."""

    acks: list[Ack] = field(default_factory=list)
    boards: list[Board] = field(default_factory=list)
    feed: list[FeedEvent] = field(default_factory=list)
    feed_late_ms: list[float] = field(default_factory=list)
    """From an event's recorded instant to its arrival in the feed, ms, one per batch's oldest event."""
    redelivered: int = 0
    """Events that came again after a broken pull; the feed promises at least once."""
    truncated: bool = False
    counted: dict[str, dict[str, int]] = field(default_factory=dict)
    """Per hall, what the day report says was added by this run."""
    refused: list[str] = field(default_factory=list)
    """Refusals nobody expected, in words."""
    turned_away: Counter[str] = field(default_factory=Counter)
    """Refusals that belong to a day: quota reached, service closed."""
    commands: int = 0
    retries: int = 0
    replayed: int = 0
    slowest_ms: float = 0.0
    command_ms: list[float] = field(default_factory=list)
    """Time of every command from first sending to its answer, ms."""
    lag_ms: list[float] = field(default_factory=list)
    """How late arrivals were sent against the day's clock, ms of real time."""
    left_over: int = 0
    """Tickets still waiting when everybody went home; they were cancelled then."""
    walked_out: int = 0
    played_s: float = 0.0
    """Real seconds from the first instant of the day to the last answer."""
    unfinished: str = ""
    """Why the day did not come to its end, '' when it did."""
