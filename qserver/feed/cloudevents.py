"""From an event as recorded to a CloudEvent 1.0 as consumers get it, and its bytes in each form. Pure.

What a field means stands in `qserver.domain.events`; here is only which attribute it becomes. Absent fields are left
out, but a duration that is known to be nothing is said: who is called at once has waited 0 ms. Words go out as far as
`domain.privacy` lets the analytics system read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from qserver.domain import privacy
from qserver.domain.events import Event
from qserver.domain.lifecycle import Role

PREFIX = "qserver."
"""Stands before every kind in `type`."""
KNOWN: dict[str, tuple[str, ...]] = {
    "ticket.called": ("wait_ms",),
    "ticket.recalled": ("wait_ms",),
    "ticket.missed": ("wait_ms",),
    "ticket.started": ("wait_ms", "walk_ms"),
    "ticket.finished": ("wait_ms", "walk_ms", "service_ms", "held_ms"),
}
"""Durations that are known once this has happened, so 0 is a value and not an absence."""
_DURATIONS = ("wait_ms", "walk_ms", "service_ms", "held_ms")


def _doc(text: str) -> Any:
    return msgspec.Meta(description=text)


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event of the feed in CloudEvents 1.0 form."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, _doc("`hall:day:ticket:leg:kind:n`, the same on every delivery")]
    source: Annotated[str, _doc("`/halls/{hall}`; `/halls/-` for what belongs to no hall")]
    type: Annotated[str, _doc("`qserver.` and the kind")]
    time: Annotated[str, _doc("the instant recorded, RFC 3339 in UTC with milliseconds")]
    subject: Annotated[str, _doc("what it happened to: ticket id, else window, else service, else hall")]
    sequence: Annotated[str, _doc("the hall's sequence number; rises by one per event of the hall")]
    partitionkey: Annotated[str, _doc("the hall: its events are ordered among themselves")]
    datacontenttype: Literal["application/json"] = "application/json"
    data: Annotated[dict[str, Any], _doc("the fields of the data dictionary that apply")]


def rfc3339(at_ms: int) -> str:
    """An instant, ms since the Unix epoch, as RFC 3339 in UTC with milliseconds."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{_to_the_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=1024)  # neighbours in a batch share their second, and formatting it is most of a conversion
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def data(event: Event) -> dict[str, Any]:
    """The `data` of an event: what applies, by the names of the data dictionary."""
    found: dict[str, Any] = {"at_ms": event.at_ms, "hall": event.hall, "day": event.day}
    if event.ticket:
        found["ticket"] = event.ticket
        found["leg"] = event.leg
        found["n"] = event.n
    if event.window:
        found["window"] = event.window
    if event.service:
        found["service"] = event.service
    if event.staff:
        found["staff"] = event.staff
    if event.actor:
        found["actor"] = event.actor
    known = KNOWN.get(event.kind, ())
    for name in _DURATIONS:
        value = getattr(event, name)
        if value or name in known:
            found[name] = value
    if event.due_ms:
        found["due_ms"] = event.due_ms
    if event.unreliable:
        found["unreliable"] = True
    if event.extra:
        found.update(privacy.said(event.more(), Role.ANALYTICS))
    return found


def convert(event: Event) -> CloudEvent:
    """An event in CloudEvents form."""
    return CloudEvent(
        id=event.id,
        source=f"/halls/{event.hall}",
        type=PREFIX + event.kind,
        time=rfc3339(event.at_ms),
        subject=event.ticket or event.window or event.service or event.hall,
        sequence=str(event.s),
        partitionkey=event.hall,
        data=data(event),
    )


_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


def as_json(events: Sequence[Event]) -> list[msgspec.Raw]:
    """Each event's CloudEvent as JSON."""
    return [msgspec.Raw(_json.encode(convert(event))) for event in events]


def as_msgpack(events: Sequence[Event]) -> list[msgspec.Raw]:
    """Each event's CloudEvent as MessagePack."""
    return [msgspec.Raw(_msgpack.encode(convert(event))) for event in events]
