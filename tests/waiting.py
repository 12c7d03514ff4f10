"""Waiting for what happens: for the record where it tells, else by looking again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from qserver.domain.events import Event
from qserver.store.store import Store

_event = msgspec.msgpack.Decoder(Event)


async def until(condition: Callable[[], object]) -> None:
    """Waits for what tells nobody that it has happened."""
    while not condition():
        await asyncio.sleep(0.01)


async def events(store: Store, hall: str, kind: str, count: int) -> list[Event]:
    """The first `count` events of a kind, waited for."""
    partition = store.partition(hall)
    found: list[Event] = []
    after = "0-0"
    reader = store.reader((partition,))
    try:
        while len(found) < count:
            for entry_id, fields in (await reader.read({partition: after})).get(partition, ()):
                after = entry_id.decode()
                if b"e" in fields and (event := _event.decode(fields[b"e"])).kind == kind and event.hall == hall:
                    found.append(event)
    finally:
        await reader.close()
    return found
