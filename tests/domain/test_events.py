"""The data dictionary of the feed, and the ids that stay the same on every delivery."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from qserver.domain import events
from qserver.domain.errors import CODES, Refusal, Unavailable


def event(**fields: object) -> events.Event:
    base: dict[str, object] = {
        "s": 7,
        "kind": "ticket.called",
        "at_ms": 1_795_000_000_000,
        "hall": "main",
        "day": "2026-11-22",
    }
    return events.Event(**(base | fields))  # type: ignore[arg-type]


def test_an_event_of_a_ticket_is_named_by_what_happened_to_it() -> None:
    assert event(ticket="20261122-A001", leg=2, n=4).id == "main:2026-11-22:A001:2:ticket.called:4"


def test_an_event_without_a_ticket_is_named_by_the_halls_number() -> None:
    assert event(kind="window.opened").id == "main:2026-11-22:-:-:window.opened:7"


def test_two_calls_of_the_same_leg_have_different_ids() -> None:
    first = event(ticket="20261122-A001", leg=1, n=2)
    assert first.id != event(ticket="20261122-A001", leg=1, n=3).id


def test_tickets_of_the_same_number_on_two_days_have_different_ids_whenever_their_events_come() -> None:
    late = event(ticket="20261121-A001", leg=1, n=6, kind="rating.unrated")
    assert late.id == "main:2026-11-21:A001:1:rating.unrated:6"
    assert late.id != event(ticket="20261122-A001", leg=1, n=6, kind="rating.unrated").id


def test_an_event_packs_as_a_flat_array_and_comes_back_equal() -> None:
    one = event(ticket="20261122-A001", leg=1, extra=["outcome", "done"])
    packed = msgspec.msgpack.encode(one)
    assert isinstance(msgspec.msgpack.decode(packed), list)
    assert msgspec.msgpack.decode(packed, type=events.Event) == one


def test_a_record_of_an_older_writer_lacks_only_what_was_appended() -> None:
    old = msgspec.msgpack.encode([1, "day.closed", 5, "main", "2026-11-22"])
    assert msgspec.msgpack.decode(old, type=events.Event) == event(s=1, kind="day.closed", at_ms=5)


@given(st.dictionaries(st.sampled_from(sorted(events.EXTRA)), st.integers() | st.text(), max_size=6))
def test_further_fields_come_back_by_name(fields: dict[str, object]) -> None:
    flat = [part for pair in fields.items() for part in pair]
    assert event(extra=flat).more() == fields


def test_every_field_kind_and_further_field_is_explained() -> None:
    described = msgspec.inspect.type_info(events.Event)
    assert isinstance(described, msgspec.inspect.StructType)
    for field in described.fields:
        assert isinstance(field.type, msgspec.inspect.Metadata), field.name
        assert (field.type.extra_json_schema or {}).get("description"), field.name
    assert all(events.KINDS.values())
    assert all(events.EXTRA.values())


def test_the_dictionary_lists_the_kinds_of_the_contract() -> None:
    ticket = "issued called recalled started held unheld finished missed returned transferred cancelled expired"
    others = (
        "window.opened window.closed window.paused window.resumed overtime.warned overtime.wait overtime.service "
        "overtime.case rating.recorded review.opened review.assigned review.verified review.rectified review.revisited "
        "review.appealed review.upheld review.excluded review.closed case.accepted case.completed hall.configured "
        "day.closed notice.posted clock.stepped service.suspended service.resumed window.taken_over token.created "
        "token.revoked device.connected device.lost ticket.reprioritised ticket.postponed ticket.undone "
        "rating.prompted rating.unrated"
    )
    missing = ({f"ticket.{kind}" for kind in ticket.split()} | set(others.split())) - set(events.KINDS)
    assert not missing


def test_a_refusal_says_its_code_in_words_and_carries_its_data() -> None:
    refusal = Refusal("wrong_state", state="held")
    assert (refusal.code, str(refusal), refusal.data) == ("wrong_state", CODES["wrong_state"], {"state": "held"})
    assert not refusal.replayed


def test_an_unknown_outcome_is_told_from_a_command_that_never_ran() -> None:
    assert Unavailable("the answer was lost", unknown=True).unknown
    assert not Unavailable("no connection").unknown
