"""Entries of the stream as push reads them, and the public event that screens are given. Only shapes live here."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from qserver.store import records
from qserver.store.streams import Entry
from qserver.wire.messages import BoardEvent

from .frames import Framed


class Head(msgspec.Struct, array_like=True, frozen=True):
    """The beginning of an event: all that push needs of it."""

    s: int
    kind: str
    at_ms: int
    hall: str


board_record = msgspec.msgpack.Decoder(records.BoardRecord).decode
event_head = msgspec.msgpack.Decoder(Head).decode
window_record = msgspec.msgpack.Decoder(records.WindowRecord).decode


def public_event(record: records.BoardRecord) -> BoardEvent:
    """The record as screens get it: only the fields that apply."""
    unset = msgspec.UNSET
    ticket: str | msgspec.UnsetType | None = record.ticket or (None if record.k == "window" else unset)
    return BoardEvent(
        s=record.s,
        p=record.p,
        k=record.k,  # type: ignore[arg-type]  # the function library writes no others
        at_ms=record.at_ms,
        ticket=ticket,
        window=record.window or unset,
        state=record.state or unset,
        service=record.service or unset,
        n=record.n or unset,
        waiting=record.waiting if record.waiting >= 0 else unset,
    )


def seeds(entries: Iterable[Entry], hall: str) -> list[Framed]:
    """A hall's public events among a stream's last entries, those of the present epoch."""
    found: list[Framed] = []
    for _, fields in entries:
        if b"x" in fields:
            found.clear()
        elif b"b" in fields:
            record = board_record(fields[b"b"])
            if record.hall == hall:
                found.append(Framed(public_event(record)))
    return found
