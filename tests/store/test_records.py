"""Public forms are made of records by position: every field comes out under the name it has in the record."""

from __future__ import annotations

from typing import Any

import msgspec

from qserver.domain.lifecycle import State
from qserver.domain.ticket import Leg, Ticket
from qserver.store import records
from qserver.store.records import LegRecord, TicketRecord

FLAGS = records.WAIT_OVER | records.UNRELIABLE | records.SIGNALS["many_recalls"]
DERIVED = {"wait_ms", "walk_ms", "service_ms", "overtime", "unreliable", "signals"}
"""What stands in no record; the test says what each comes to."""


def filled(kind: Any, start: int, **told: Any) -> Any:
    """A record in which no two fields are the same."""
    made: dict[str, Any] = {}
    for number, field in enumerate(msgspec.structs.fields(kind), start):
        made[field.name] = 1 << number if field.type in (int, float) else f"{field.name} {start}"
    return kind(**made | told)


def shared(public: Ticket | Leg, record: TicketRecord | LegRecord) -> set[str]:
    """The names that both have; their values are the same."""
    names = {*public.__struct_fields__} & {*record.__struct_fields__} - {"legs", "rating"}
    for name in names:
        assert getattr(public, name) == getattr(record, name), name
    return names


def derived(leg: Ticket | Leg, record: TicketRecord | LegRecord, score: int) -> None:
    assert leg.wait_ms == record.first_called_ms - record.queued_ms
    assert leg.walk_ms == record.started_ms - record.called_ms
    assert leg.service_ms == record.finished_ms - record.started_ms - record.held_ms
    assert (leg.overtime.wait, leg.overtime.service, leg.unreliable) == (True, False, True)
    assert leg.rating is not None
    assert (leg.rating.score, leg.rating.source, leg.rating.at_ms) == (score, "active", 7)


def test_every_field_of_a_ticket_and_of_its_legs_stands_under_its_name() -> None:
    before: LegRecord = filled(LegRecord, 1, flags=FLAGS, rating=[4, "active", 7, "rid"])
    record: TicketRecord = filled(
        TicketRecord, 2, state=str(State.FINISHED), flags=FLAGS, rest=["b"], legs=[before], rating=[2, "active", 7, "r"]
    )
    made = records.ticket("h1", record)
    first, current = made.legs

    assert (made.hall, made.services, made.to_window) == ("h1", record.rest, record.bound)
    other = {"hall", "services", "to_window", "legs", "rating"}
    assert shared(made, record) == {*Ticket.__struct_fields__} - DERIVED - other
    derived(made, record, 2)

    assert (first.leg, current.leg) == (1, record.leg)
    for leg, of, score in ((first, before, 4), (current, record, 2)):
        assert shared(leg, of) | {"leg"} == {*Leg.__struct_fields__} - DERIVED - {"rating"}
        assert leg.signals == ["many_recalls"]
        derived(leg, of, score)
