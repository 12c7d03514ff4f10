"""Every message of the WebSocket, as types: what a client may say, what the server says.

The types are the interface: codecs, the AsyncAPI document and the devices are all made from them. Instants are
integers, milliseconds since the Unix epoch by the data server's clock. Nothing here decides or does anything.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from qserver.domain.ticket import Ticket, Window

JSON_PROTOCOL = "qserver.v1.json"
MSGPACK_PROTOCOL = "qserver.v1.msgpack"
HB_MS = 5000
"""How often the server says `hb`, and at least how often a client says `ack`."""
DEAD_AFTER = 2.5
"""Heartbeats of silence after which the other side counts as gone."""
SPEAK_WITHIN_MS = 30_000
"""An announcement is spoken only while its call is younger than this."""

Kind = Literal[
    "issue", "call", "recall", "start", "finish", "miss", "return", "hold", "unhold", "transfer", "cancel", "expire",
    "window", "overtime", "config", "notice",
]  # fmt: skip
"""What happened, as boards are told."""


class Close(IntEnum):
    """Close codes of our own; `bye` carries the same number before the close frame does."""

    DRAINING = 4001  # the server stops: come back after retry_ms
    TOO_SLOW = 4002  # the client did not read, or was silent: come back after retry_ms
    REPLACED = 4005  # the same device connected again: come back after retry_ms
    NOT_ALLOWED = 4101  # the token may not see this topic: stop and show it
    PROTOCOL = 4102  # a message that should not have come: stop and show it
    VERSION = 4103  # no subprotocol in common: stop and show it

    @property
    def final(self) -> bool:
        """Whether the client must not come back by itself."""
        return self >= Close.NOT_ALLOWED


TOO_BIG = 1009
"""The standard close code for a frame larger than the server takes."""
MAX_CLIENT_FRAME = 4096
"""The largest message a client may send, bytes."""


def _doc(text: str) -> Any:
    return msgspec.Meta(description=text)


_Sequence = Annotated[int, msgspec.Meta(ge=0, description="sequence number of the last event applied, 0 if none")]
_At = Annotated[int, _doc("instant, ms since the Unix epoch, data server's clock")]
_Epoch = Annotated[str, _doc("epoch of the hall's record; opaque, compared for equality")]


class Hello(msgspec.Struct, frozen=True, tag_field="t", tag="hello"):
    """The first message of a client: who it is and what it wants to see."""

    token: Annotated[str, msgspec.Meta(max_length=512, description="device token; the ticket's secret for `ticket`")]
    topic: Annotated[str, msgspec.Meta(max_length=64, description="board, window:ID, stats or ticket")]
    hall: Annotated[str, msgspec.Meta(max_length=32, description="hall id; may be left out for `ticket`")] = ""
    ep: Annotated[str, msgspec.Meta(max_length=64, description="epoch the client stands at, if any")] = ""
    s: _Sequence | None = None
    device: Annotated[str, msgspec.Meta(max_length=64, description="the device's own name, for watching over it")] = ""


class Ack(msgspec.Struct, frozen=True, tag_field="t", tag="ack"):
    """What the device has shown; also its sign of life."""

    s: _Sequence


class Resync(msgspec.Struct, frozen=True, tag_field="t", tag="resync"):
    """The client's chain broke: repair it from `ep`, `s`."""

    ep: Annotated[str, msgspec.Meta(max_length=64)]
    s: _Sequence


class Welcome(msgspec.Struct, frozen=True, tag_field="t", tag="welcome"):
    """The client may see the topic. `mode` says what follows: the events it missed, or a snapshot (or state)."""

    ep: _Epoch
    s: Annotated[int, _doc("last event on the topic, 0 if none")]
    mode: Literal["resume", "snapshot"]
    hb_ms: Annotated[int, _doc("how often the server says hb")]
    now_ms: _At


class CallView(msgspec.Struct, frozen=True):
    """One call on the board; `n` says the how-manieth call of the ticket it was."""

    s: int
    ticket: str
    window: str
    service: str
    n: int
    at_ms: _At


class WindowView(msgspec.Struct, frozen=True):
    """One window on the board; `ticket` is the number at it."""

    id: str
    name: str
    state: str
    ticket: str | None


class NoticeView(msgspec.Struct, frozen=True):
    """A notice for the screens."""

    id: str
    text: str
    at_ms: _At


class BoardView(msgspec.Struct, frozen=True):
    """The public state of a hall."""

    hall: str
    calls: Annotated[list[CallView], _doc("the last 20, newest first")]
    windows: list[WindowView]
    waiting: Annotated[dict[str, int], _doc("people waiting per service")]
    notices: list[NoticeView]


class Snapshot(msgspec.Struct, frozen=True, tag_field="t", tag="snapshot"):
    """The whole board at `s`: the client throws away what it has."""

    ep: _Epoch
    s: int
    board: BoardView


class BoardEvent(msgspec.Struct, frozen=True, tag_field="t", tag="event", kw_only=True):
    """One change of the board, public fields only, those that apply."""

    s: Annotated[int, _doc("the hall's sequence number of this event")]
    p: Annotated[int, _doc("that of the event before it on this topic")]
    k: Annotated[Kind, _doc("what happened")]
    at_ms: _At
    ticket: Annotated[str | None, _doc("the ticket's number")] | UnsetType = UNSET
    window: str | UnsetType = UNSET
    state: Annotated[str, _doc("state of the window afterwards")] | UnsetType = UNSET
    service: str | UnsetType = UNSET
    n: Annotated[int, _doc("which call of the ticket this is")] | UnsetType = UNSET
    waiting: Annotated[int, _doc("people waiting for the service afterwards")] | UnsetType = UNSET


class StatsView(msgspec.Struct, frozen=True):
    """Live figures of a hall."""

    day: Annotated[str, _doc("business day")]
    now_ms: _At
    services: Annotated[dict[str, dict[str, int]], _doc("counters and waiting per service")]
    windows: list[Window]
    open_reviews: int


class State(msgspec.Struct, frozen=True, tag_field="t", tag="state", kw_only=True):
    """The whole small state of a topic: one of window, stats or ticket."""

    topic: str
    ep: _Epoch
    s: int
    window: Window | UnsetType = UNSET
    stats: StatsView | UnsetType = UNSET
    ticket: Ticket | UnsetType = UNSET
    ahead: Annotated[int, _doc("waiting tickets that would be called earlier; beside ticket")] | UnsetType = UNSET
    wait_estimate_ms: Annotated[tuple[int, int], _doc("range of the wait; beside ticket")] | UnsetType = UNSET


class Heartbeat(msgspec.Struct, frozen=True, tag_field="t", tag="hb"):
    """The server lives, and this is the last event on the topic."""

    ep: _Epoch
    s: int
    now_ms: _At


class Bye(msgspec.Struct, frozen=True, tag_field="t", tag="bye"):
    """The server is about to close the socket with this code; come back after a random time within `retry_ms`."""

    code: int
    retry_ms: tuple[int, int]


ClientMessage = Hello | Ack | Resync
ServerMessage = Welcome | Snapshot | BoardEvent | State | Heartbeat | Bye
