"""Each check on a record in which all is well, and on one for every way in which a promise can break."""

import itertools
from collections.abc import Callable

import pytest

from qserver.domain import hall as halls
from qserver.simulate import checks
from qserver.simulate.record import Ack, Board, Facts, FeedEvent, Record

HALL = halls.parse(
    {
        "id": "north",
        "services": [{"id": "a", "prefix": "A", "wait_limit_s": 10, "service_limit_s": 20}],
        "windows": [{"id": "w1", "services": ["a"]}, {"id": "w2", "services": ["a"]}],
    }
)
T1, T2 = "20261123-A001", "20261123-A002"
STORY: list[tuple[str, str, int, dict[str, object]]] = [
    ("window.opened", "", 1, {"window": "w1"}),
    ("ticket.issued", T1, 10, {}),
    ("ticket.issued", T2, 11, {}),
    ("overtime.wait", T1, 12, {}),
    ("ticket.called", T1, 12, {"window": "w1", "wait_ms": 10_001}),
    ("ticket.started", T1, 13, {"window": "w1"}),
    ("overtime.service", T1, 14, {"window": "w1", "actor": "system"}),
    ("ticket.finished", T1, 14, {"window": "w1", "service_ms": 20_001, "outcome": "done"}),
    ("rating.prompted", T1, 14, {"window": "w1"}),
    ("ticket.called", T2, 14, {"window": "w1", "wait_ms": 10_000}),
    ("rating.recorded", T1, 15, {"window": "w1", "score": 5, "rid": "sim-1"}),
    ("ticket.recalled", T2, 16, {"window": "w1"}),
    ("ticket.missed", T2, 17, {"window": "w1"}),
    ("ticket.returned", T2, 18, {}),
    ("ticket.called", T2, 19, {"window": "w1", "wait_ms": 10_000}),
    ("ticket.started", T2, 20, {"window": "w1"}),
    ("ticket.finished", T2, 21, {"window": "w1", "service_ms": 20_000}),
    ("window.closed", "", 22, {"window": "w1"}),
]


def event(s: int, kind: str, ticket: str, at: int, more: dict[str, object]) -> FeedEvent:
    facts = Facts(ticket=ticket, leg=1 if ticket else 0, service="a", at_ms=at, **more)  # type: ignore[arg-type]
    return FeedEvent(f"north:{s}", "/halls/north", f"qserver.{kind}", str(s), facts)


def good() -> Record:
    record = Record(feed=[event(s, *one) for s, one in enumerate(STORY, 7)])
    calls: dict[str, int] = {}
    for kind, ticket, at, more in STORY:
        if kind.startswith("overtime") or kind == "rating.prompted":
            continue
        n = 0
        if kind in checks.CALLS:
            n = calls[ticket] = calls.get(ticket, 0) + 1
        no = ticket.rpartition("-")[2]
        at = 0 if kind in ("ticket.missed", "ticket.returned") else at
        record.acks.append(Ack("north", kind, ticket, no, str(more.get("window", "")), n, at))
    shown = {("A001", 1): (1.0, 2.0), ("A002", 1): (1.0, 2.0), ("A002", 2): (1.0, 2.0)}
    state = {"calls": [1], "windows": [], "waiting": {"a": 0}}
    record.boards = [
        Board("north", "b1", shown | {("A002", 3): (1.0, 2.0)}, last=state, truth=dict(state)),
        Board("north", "b2", dict(shown), {("A002", 3)}, last=state, truth=dict(state)),
    ]
    figures = (2, 2, 2, 0, 0, 1, 1, 1)
    record.counted = {"north": dict(zip(checks.FIGURES, figures, strict=True))}
    record.commands = 15
    return record


def test_a_good_day_holds_every_promise_and_says_what_was_compared() -> None:
    found = checks.run(good(), [HALL])
    assert [check.broken for check in found] == [[]] * len(found)
    compared = {check.name.rpartition(" ")[2]: check.compared for check in found}
    assert compared["twice"] == "4 calls, 18 events followed"
    assert compared["board"] == "8 showings on 2 boards, 1 through a snapshot"
    assert compared["feed"] == "15 acknowledged changes with 18 events"


def drop_event(kind: str) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record.feed.remove(next(e for e in record.feed if e.kind == kind))

    return change


def insert(kind: str, ticket: str, before: str, **more: object) -> Callable[[Record], None]:
    """Puts an event into the feed before the first one of a kind and numbers everything anew."""

    def change(record: Record) -> None:
        place = next(n for n, e in enumerate(record.feed) if e.kind == before)
        record.feed.insert(place, event(0, kind, ticket, 5, more))
        renumber(record)

    return change


def renumber(record: Record) -> None:
    record.feed = [
        FeedEvent(e.id, e.source, e.type, str(s), e.data) for s, e in zip(itertools.count(7), record.feed, strict=False)
    ]


def twin_slip(record: Record) -> None:
    record.acks.append(next(a for a in record.acks if a.kind == "ticket.issued"))


def call_to_two_clerks(record: Record) -> None:
    record.acks.append(next(a for a in record.acks if a.kind == "ticket.called")._replace(window="w2"))


def forget_showing(record: Record) -> None:
    del record.boards[0].shown["A002", 2]


def show_twice(record: Record) -> None:
    record.boards[1].twice["A001", 1] += 1


def no_boards(record: Record) -> None:
    record.boards.clear()


def stale_board(record: Record) -> None:
    record.boards[0].last = {"calls": [1], "windows": [], "waiting": {"a": 3}}


def blind_board(record: Record) -> None:
    record.boards[0].last = None


def other_instant(record: Record) -> None:
    place = next(n for n, a in enumerate(record.acks) if a.kind == "ticket.started")
    record.acks[place] = record.acks[place]._replace(at_ms=99)


def forget_ack(record: Record) -> None:
    record.acks.remove(next(a for a in record.acks if a.kind == "ticket.started"))


def cut(record: Record) -> None:
    record.truncated = True


def report_differs(record: Record) -> None:
    record.counted["north"]["served"] = 3


def no_report(record: Record) -> None:
    record.counted.clear()


def refusal(record: Record) -> None:
    record.refused.append("w1 start: 409 wrong_state")


def nobody(record: Record) -> None:
    record.acks.clear()


@pytest.mark.parametrize(
    ("change", "check", "finding"),
    [
        (twin_slip, "number twice", "A001: issued 2 times"),
        (nobody, "number twice", "no ticket was issued"),
        (insert("ticket.issued", T1, "ticket.called"), "number twice", f"{T1}: issued 2 times in the feed"),
        (insert("ticket.issued", T1, "ticket.called"), "called twice", "issued again"),
        (call_to_two_clerks, "called twice", f"{T1}: call 1 was given 2 times"),
        (insert("ticket.called", T1, "ticket.finished", window="w2"), "called twice", "called while serving"),
        (insert("ticket.called", T2, "ticket.finished", window="w1"), "called twice", f"called to w1 where {T1} is"),
        (forget_showing, "every board", "b1: never showed A002 (call 2)"),
        (show_twice, "every board", "A001 (call 1) came 2 times"),
        (no_boards, "every board", "north: no board"),
        (stale_board, "as the server's", "waiting differ: a 3 instead of 0"),
        (blind_board, "as the server's", "nothing to compare"),
        (drop_event("ticket.started"), "in the feed", "ticket.started"),
        (drop_event("rating.prompted"), "in the feed", "after s=14 comes s=16"),
        (other_instant, "in the feed", "acknowledged for 99"),
        (insert("window.taken_over", "", "ticket.recalled", window="w1"), "in the feed", "taken_over w1: 1"),
        (forget_ack, "in the feed", "never acknowledged"),
        (cut, "in the feed", "events were lost"),
        (report_differs, "counts equal", "served: acknowledged 2, feed 2, report 3"),
        (no_report, "counts equal", "no day report"),
        (drop_event("overtime.service"), "flagged once", "overtime.service not flagged at 20001 of 20000 ms"),
        (insert("overtime.wait", T2, "ticket.recalled"), "flagged once", "overtime.wait flagged at 10000 of 10000 ms"),
        (insert("overtime.wait", T1, "ticket.started"), "flagged once", "overtime.wait 2 times"),
        (insert("rating.recorded", T1, "ticket.recalled", rid="sim-2"), "one rating", "rated 2 times"),
        (refusal, "ended as played", "w1 start: 409"),
    ],
)
def test_every_broken_promise_is_found(change: Callable[[Record], None], check: str, finding: str) -> None:
    record = good()
    change(record)
    found = next(one for one in checks.run(record, [HALL]) if check in one.name)
    assert any(finding in one for one in found.broken), found.broken


def test_what_time_itself_does_needs_no_command() -> None:
    record = good()
    record.feed = [e for e in record.feed if e.kind not in ("ticket.missed", "ticket.returned")]
    record.feed = [e for e in record.feed if not (e.kind == "ticket.called" and e.data.at_ms == 19)]
    record.acks = [a for a in record.acks if a.kind not in ("ticket.missed", "ticket.returned") and a.n != 3]
    place = next(n for n, e in enumerate(record.feed) if e.kind == "ticket.recalled")
    record.feed[place + 1 :] = [event(0, "ticket.missed", T2, 17, {"window": "w1", "actor": "system"})]
    record.acks = [a for a in record.acks if a.at_ms < 20]
    record.acks.append(Ack("north", "ticket.missed", "20261123-A003", "A003", "w2"))
    record.feed.append(event(0, "ticket.missed", "20261123-A003", 30, {"window": "w2"}))
    renumber(record)
    assert checks.feed(record, {"north": record.feed}).held
    assert checks.feed(record, {"north": record.feed}).compared.endswith("1 by time itself")


def test_legs_and_undone_steps_follow_the_table() -> None:
    story: list[tuple[str, str, int, dict[str, object]]] = [
        ("ticket.issued", T1, 1, {}),
        ("ticket.called", T1, 2, {"window": "w1"}),
        ("ticket.missed", T1, 3, {"window": "w1"}),
        ("ticket.undone", T1, 4, {"window": "w1", "undid": "miss"}),
        ("ticket.started", T1, 5, {"window": "w1"}),
        ("ticket.finished", T1, 6, {"window": "w1", "next_service": "b"}),
        ("ticket.called", T1, 7, {"window": "w2"}),
        ("ticket.held", T1, 8, {"window": "w2"}),
        ("ticket.unheld", T1, 9, {"window": "w1"}),
        ("ticket.finished", T1, 10, {"window": "w1"}),
    ]
    record = Record(feed=[event(s, *one) for s, one in enumerate(story, 1)])
    assert checks.calls(record, {"north": record.feed}).held
