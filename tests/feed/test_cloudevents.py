"""From the record to CloudEvents: attributes, what is left out, what is said although it is 0."""

from typing import Any

import msgspec
import pytest

from qserver.domain.events import EXTRA, KINDS, Event
from qserver.feed import cloudevents
from qserver.feed.cloudevents import convert, data


def event(**fields: Any) -> Event:
    base: dict[str, Any] = {
        "s": 7,
        "kind": "ticket.called",
        "at_ms": 1_795_480_000_007,
        "hall": "h1",
        "day": "2026-11-24",
    }
    return Event(**base | fields)


def test_an_event_has_every_attribute_of_cloudevents_and_the_extensions() -> None:
    found = convert(event(ticket="20261124-A001", leg=1, n=2, window="w1", service="a", staff="li", wait_ms=9))
    assert msgspec.to_builtins(found) == {
        "specversion": "1.0",
        "id": "h1:2026-11-24:A001:1:ticket.called:2",
        "source": "/halls/h1",
        "type": "qserver.ticket.called",
        "time": "2026-11-24T00:26:40.007Z",
        "subject": "20261124-A001",
        "sequence": "7",
        "partitionkey": "h1",
        "datacontenttype": "application/json",
        "data": {
            "at_ms": 1_795_480_000_007, "hall": "h1", "day": "2026-11-24", "ticket": "20261124-A001", "leg": 1, "n": 2,
            "window": "w1", "service": "a", "staff": "li", "wait_ms": 9,
        },
    }  # fmt: skip


def test_what_does_not_apply_is_left_out() -> None:
    assert data(event(kind="day.closed")) == {"at_ms": 1_795_480_000_007, "hall": "h1", "day": "2026-11-24"}


@pytest.mark.parametrize(("kind", "known"), sorted(cloudevents.KNOWN.items()))
def test_a_duration_that_is_known_to_be_nothing_is_said(kind: str, known: tuple[str, ...]) -> None:
    assert kind in KINDS
    found = data(event(kind=kind, ticket="20261124-A001", leg=1))
    assert {name: found.get(name) for name in known} == dict.fromkeys(known, 0)


def test_a_wait_that_never_ended_is_not_a_wait_of_nothing() -> None:
    assert "wait_ms" not in data(event(kind="ticket.cancelled", ticket="20261124-A001", leg=1))


def test_further_fields_stand_beside_the_others() -> None:
    found = data(event(kind="ticket.finished", extra=["outcome", "done", "next_service", "b"]))
    assert (found["outcome"], found["next_service"]) == ("done", "b")


def test_no_further_field_hides_one_that_every_event_may_have() -> None:
    assert not set(EXTRA) & set(Event.__struct_fields__)


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({"ticket": "20261124-A001", "window": "w1"}, "20261124-A001"),
        ({"window": "w1", "service": "a"}, "w1"),
        ({"service": "a"}, "a"),
        ({}, "h1"),
    ],
)
def test_the_subject_is_what_it_happened_to(fields: dict[str, str], subject: str) -> None:
    assert convert(event(**fields)).subject == subject


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_480_000_000, "2026-11-24T00:26:40.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
    ],
)
def test_an_instant_is_written_with_its_milliseconds(at_ms: int, text: str) -> None:
    assert cloudevents.rfc3339(at_ms) == text


def test_both_forms_hold_the_same_event() -> None:
    one = event(ticket="20261124-A001", leg=1, n=2, extra=["reasons", ["等候时间长"], "unknown_to_us", 1.5])
    (in_json,), (in_msgpack,) = cloudevents.as_json([one]), cloudevents.as_msgpack([one])
    assert msgspec.json.decode(in_json) == msgspec.msgpack.decode(in_msgpack) == msgspec.to_builtins(convert(one))


@pytest.mark.parametrize("kind", ["rating.recorded", "review.revisited", "review.appealed", "case.completed"])
def test_words_leave_only_as_far_as_the_analytics_system_reads_them(kind: str) -> None:
    """The record itself keeps them; whoever pulls, and every webhook, gets this form."""
    said = [
        "comment",
        "电话 13800001234",
        "note",
        "已致电 13800001234",
        "reason",
        "误评",
        "reasons",
        ["慢 13800001234"],
    ]
    one = event(kind=kind, extra=said)
    found = data(one)
    assert [found[name] for name in ("comment", "note", "reason", "reasons")] == [
        "***", "已致电 ***", "误评", ["慢 ***"],
    ]  # fmt: skip
    assert one.more()["comment"] == "电话 13800001234"
    assert data(event(kind=kind, extra=["comment", ""]))["comment"] == "", "who said nothing said nothing"
