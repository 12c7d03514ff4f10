"""The trail of one person: the events somebody gave rise to while logged in, and those about the person's right to.

Read from what the streams still keep, the hall's and the control partition's, put in order of time. Each page looks at
a bounded number of entries, so a busy hall's trail comes in many pages rather than in one long one.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

import msgspec

from qserver.domain.errors import Refusal
from qserver.domain.events import CONTROL_HALL, Event
from qserver.store.gate import CONTROL
from qserver.store.store import Store
from qserver.store.streams import Entry

LOOKED_AT: Final = 5000
"""Entries of each stream looked at for one page."""

_event = msgspec.msgpack.Decoder(Event).decode
_CURSOR: Final = re.compile(r"(\d{1,15}-\d{1,19})\.(\d{1,15}-\d{1,19})")
_BEGIN: Final = "0-0"


async def read(store: Store, hall: str, staff: str, *, after: str, limit: int) -> tuple[list[Event], str | None]:
    """At most `limit` events after a page's end ("" = from the oldest kept), and where to go on, None at the end.

    Refused: validation when `after` is none of ours.
    """
    positions = [_BEGIN, _BEGIN]
    if after:
        match = _CURSOR.fullmatch(after)
        if match is None:
            raise Refusal("validation", "after: not the `next` of a page", field="after")
        positions = [match[1], match[2]]
    partitions = (store.partition(hall), CONTROL)
    pages = await asyncio.gather(
        *(store.read_events(p, at, LOOKED_AT) for p, at in zip(partitions, positions, strict=True))
    )
    # Beyond the end of a page that is full, only its own stream's later entries are unknown; the other waits for it.
    ends = [_instant(page[-1]) for page in pages if len(page) == LOOKED_AT]
    until = min(ends, default=None)
    rows = sorted((_instant(entry), n, k) for n, page in enumerate(pages) for k, entry in enumerate(page))
    found: list[Event] = []
    for instant, n, k in rows:
        if len(found) == limit or (until is not None and instant > until):
            return found, ".".join(positions)
        entry = pages[n][k]
        positions[n] = entry[0].decode()
        if (packed := entry[1].get(b"e")) is not None and _concerns(event := _event(packed), hall, staff):
            found.append(event)
    return found, None if until is None else ".".join(positions)


def _concerns(event: Event, hall: str, staff: str) -> bool:
    if event.hall == CONTROL_HALL:
        return staff in (event.actor, event.staff) and event.more().get("of") == hall
    return event.hall == hall and event.actor == staff


def _instant(entry: Entry) -> tuple[int, int]:
    """When an entry was written, ms, and its place within the millisecond."""
    ms, _, n = entry[0].partition(b"-")
    return int(ms), int(n)
