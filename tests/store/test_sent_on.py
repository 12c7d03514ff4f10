"""Visits sent on 受审分离: a finish that adds a leg which nobody asked for when the ticket was issued."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from qserver.domain import hall
from qserver.domain.errors import Refusal
from qserver.domain.ticket import Ticket
from qserver.store import keys
from qserver.store.answers import SYSTEM, Op, RatingItem, RatingResult
from tests.store.clocks import TimedStore
from tests.store.conftest import HALL
from tests.store.follow import ANNE, HOUR, H, events, refusal

SERVICES: list[dict[str, Any]] = [
    {"id": "a", "prefix": "A", "service_limit_s": 600, "case_limit": "6h"},
    {"id": "back", "prefix": "B", "service_limit_s": 60, "wait_limit_s": 900},
    {"id": "licence", "prefix": "C"},
]
WINDOWS = [
    {"id": "w1", "services": ["a"]},
    {"id": "w2", "services": ["back"]},
    {"id": "w3", "services": ["licence"]},
    {"id": "w4", "services": ["licence", "back"]},
]


@pytest.fixture
async def divided(timed: TimedStore) -> AsyncIterator[TimedStore]:
    """A hall where w1 accepts, w2 and w4 decide, w3 and w4 hand out licences; all are open."""
    definition = HALL | {"services": SERVICES, "windows": WINDOWS, "overtime": {"wait_review": True}}
    await timed.configure(SYSTEM, hall.parse(definition))
    for window in WINDOWS:
        await timed.open(SYSTEM, H, str(window["id"]), staff=f"staff-{window['id']}")
    yield timed


async def begin(store: TimedStore, *further: str, window: str = "w1") -> str:
    """A ticket of service a in service at the window; answers its id."""
    issued = (await store.issue(SYSTEM, H, "a", services=further)).value.ticket
    await store.call(SYSTEM, H, window, ticket=issued.no)
    await store.begin_service(SYSTEM, H, window)
    return issued.id


async def serve_next(store: TimedStore, window: str, **finish: str) -> Ticket:
    """Whoever is next at the window, called, served and finished."""
    assert (await store.call(SYSTEM, H, window)).value.ticket
    await store.begin_service(SYSTEM, H, window)
    return (await store.finish(SYSTEM, H, window, **finish)).value


async def rate(store: TimedStore, window: str, ticket: str, leg: int, score: int) -> RatingResult:
    item = RatingItem(f"r{leg}-{ticket}", ticket, leg, score, 0)
    results = (await store.rate(Op(f"pad-{window}"), H, window, [item])).value.results
    return results[0]


async def test_a_finish_sends_the_visit_on_to_a_service_it_was_not_issued_with(divided: TimedStore) -> None:
    ticket = await begin(divided)
    await divided.pass_ms(1000)
    sent = (await divided.finish(SYSTEM, H, "w1", then="back")).value
    assert (sent.id, sent.state, sent.service, sent.leg, sent.to_window) == (ticket, "waiting", "back", 2, None)
    assert [(leg.service, leg.window, leg.outcome) for leg in sent.legs] == [("a", "w1", "done"), ("back", None, None)]
    [told] = await events(divided, "ticket.finished")
    assert (told.leg, told.service, told.service_ms) == (1, "a", 1000)
    assert told.more() == {"outcome": "done", "next_service": "back", "sent_on": True}
    assert (await divided.board(H)).waiting["back"] == 1
    called = (await divided.call(SYSTEM, H, "w2")).value.ticket
    assert called and (called.id, called.wait_ms) == (ticket, 0), "its wait runs from the finish"


async def test_a_visit_sent_on_to_a_window_waits_for_that_window_only(divided: TimedStore) -> None:
    ticket = await begin(divided)
    sent = (await divided.finish(SYSTEM, H, "w1", then="licence", then_window="w4")).value
    assert (sent.service, sent.to_window, sent.window) == ("licence", "w4", None)
    [told] = await events(divided, "ticket.finished")
    assert told.more() == {"outcome": "done", "next_service": "licence", "sent_on": True, "to_window": "w4"}
    assert (await divided.call(SYSTEM, H, "w3")).value.ticket is None
    called = (await divided.call(SYSTEM, H, "w4")).value.ticket
    assert called and (called.id, called.window, called.to_window) == (ticket, "w4", None)


async def test_the_window_alone_means_the_same_service_there(divided: TimedStore) -> None:
    ticket = await begin(divided)
    sent = (await divided.finish(SYSTEM, H, "w1", then_window="w3")).value
    assert (sent.service, sent.to_window) == ("a", "w3")
    called = (await divided.call(SYSTEM, H, "w3")).value.ticket
    assert called and called.id == ticket, "also at a window that does not serve it otherwise"


async def test_the_leg_sent_on_to_comes_before_those_still_to_come(divided: TimedStore) -> None:
    await begin(divided, "licence")
    sent = (await divided.finish(SYSTEM, H, "w1", then="back")).value
    assert (sent.service, sent.services) == ("back", ["licence"])
    decided = await serve_next(divided, "w2")
    assert (decided.service, decided.services, decided.leg) == ("licence", [], 3)
    told = [one.more() for one in await events(divided, "ticket.finished")]
    assert [one.get("sent_on") for one in told] == [True, None]
    done = await serve_next(divided, "w3")
    assert (done.state, [leg.service for leg in done.legs]) == ("finished", ["a", "back", "licence"])


async def test_a_visit_is_sent_on_from_leg_to_leg(divided: TimedStore) -> None:
    await begin(divided)
    await divided.finish(SYSTEM, H, "w1", then="back")
    await serve_next(divided, "w2", then="licence", then_window="w4")
    done = await serve_next(divided, "w4")
    assert [(leg.service, leg.window, leg.staff) for leg in done.legs] == [
        ("a", "w1", "staff-w1"), ("back", "w2", "staff-w2"), ("licence", "w4", "staff-w4"),
    ]  # fmt: skip


async def test_a_visit_sent_on_queues_behind_who_came_before_the_finish(divided: TimedStore) -> None:
    await begin(divided)
    await divided.pass_ms(1000)
    earlier = (await divided.issue(SYSTEM, H, "back")).value.ticket
    await divided.pass_ms(1000)
    await divided.finish(SYSTEM, H, "w1", then="back")
    await divided.pass_ms(1000)
    later = (await divided.issue(SYSTEM, H, "back")).value.ticket
    order = [(await serve_next(divided, "w2")).no for _ in range(3)]
    assert order == [earlier.no, "A001", later.no]


@pytest.mark.parametrize("outcome", ["done", "advised", "not_done"])
async def test_any_outcome_may_be_sent_on(divided: TimedStore, outcome: str) -> None:
    await begin(divided)
    sent = (await divided.finish(SYSTEM, H, "w1", outcome=outcome, then="back")).value
    assert (sent.state, sent.legs[0].outcome) == ("waiting", outcome)


async def test_an_accepted_case_runs_while_its_visit_goes_on_elsewhere(divided: TimedStore) -> None:
    ticket = await begin(divided)
    at = divided.at
    sent = (
        await divided.finish(SYSTEM, H, "w1", outcome="accepted", case="C-1", then="licence", then_window="w4")
    ).value
    assert (sent.service, sent.case) == ("licence", "C-1")
    case = await divided.case(H, "C-1")
    assert (case.leg, case.service, case.window, case.due_ms) == (1, "a", "w1", at + 6 * HOUR)
    kinds = [event.kind for event in await events(divided)]
    assert kinds[-3:] == ["ticket.finished", "rating.prompted", "case.accepted"]
    done = await serve_next(divided, "w4")
    assert done.case == "C-1", "the case stays the visit's"
    await divided.pass_ms(6 * HOUR + 1)
    await divided.sweep_all()
    [review] = (await divided.reviews(H, source="case"))[0]
    assert (review.ticket, review.leg, review.window, review.staff) == (ticket, 1, "w1", "staff-w1")


async def test_undo_takes_the_leg_back_as_if_it_had_never_been(divided: TimedStore) -> None:
    ticket = await begin(divided, "licence")
    await divided.pass_ms(700_000)
    await divided.sweep_all()
    before, board = await divided.ticket(H, ticket), (await divided.board(H)).waiting
    for number, sent in enumerate(({"then": "back"}, {"then": "back", "then_window": "w4"}, {"then_window": "w3"})):
        await divided.finish(SYSTEM, H, "w1", outcome="accepted", case=f"C-{number}", **sent)
        await divided.pass_ms(15_000)
        undone = (await divided.undo(SYSTEM, H, "w1")).value
        assert (undone.services, undone.leg, undone.legs, undone.case) == (["licence"], 1, undone.legs[:1], None)
        assert undone.legs[0].signals == ["undone_before_rating"]
        assert (undone.started_ms, undone.overtime) == (before.started_ms, before.overtime)
        assert (await divided.board(H)).waiting == board
        assert (await divided.case(H, f"C-{number}")).state == "withdrawn"
        for window in ("w2", "w3", "w4"):
            assert (await divided.call(SYSTEM, H, window)).value.ticket is None, "nothing is left in any queue"
    finished = (await divided.finish(SYSTEM, H, "w1")).value
    assert (finished.service, finished.services) == ("licence", [])
    assert len((await divided.reviews(H))[0]) == 1, "what ran over its limit stays flagged, once"


async def test_taking_a_leg_back_leaves_the_case_of_the_leg_before_alone(divided: TimedStore) -> None:
    await begin(divided)
    await divided.finish(SYSTEM, H, "w1", outcome="accepted", case="C-1", then="back", then_window="w4")
    assert (await serve_next(divided, "w4")).state == "finished", "in the very same instant"
    undone = (await divided.undo(SYSTEM, H, "w4")).value
    assert (undone.leg, undone.state, undone.case) == (2, "serving", "C-1")
    assert (await divided.case(H, "C-1")).state == "accepted"
    await divided.finish(SYSTEM, H, "w4", outcome="accepted", case="C-2")
    assert (await divided.undo(SYSTEM, H, "w4")).value.case == "C-1"
    assert [(await divided.case(H, case)).state for case in ("C-1", "C-2")] == ["accepted", "withdrawn"]


async def test_undo_is_too_late_once_the_visit_was_called_where_it_was_sent(divided: TimedStore) -> None:
    await begin(divided)
    await divided.finish(SYSTEM, H, "w1", then="back")
    await divided.call(SYSTEM, H, "w2")
    assert await refusal(divided.undo(SYSTEM, H, "w1")) == ("wrong_state", {"state": "idle"})


@pytest.mark.parametrize("sent", [{"then": "x"}, {"then": "back", "then_window": "w9"}, {"then_window": "w9"}])
async def test_a_refused_finish_changes_nothing(divided: TimedStore, sent: dict[str, str]) -> None:
    ticket = await begin(divided)
    before, told = await divided.ticket(H, ticket), await events(divided)
    with pytest.raises(Refusal):
        await divided.finish(SYSTEM, H, "w1", outcome="accepted", case="C-1", **sent)
    assert (await divided.ticket(H, ticket), await events(divided)) == (before, told)
    assert (await divided.window(H, "w1")).state == "serving", "the clerk can correct it"
    assert await refusal(divided.case(H, "C-1")) == ("not_found", {"what": "case"})


async def test_a_known_case_number_refuses_before_anything_is_sent_on(divided: TimedStore) -> None:
    await begin(divided)
    await divided.finish(SYSTEM, H, "w1", outcome="accepted", case="C-1")
    ticket = await begin(divided)
    again = divided.finish(SYSTEM, H, "w1", outcome="accepted", case="C-1", then="back")
    assert await refusal(again) == ("wrong_state", {"what": "case", "state": "accepted"})
    assert (await divided.ticket(H, ticket)).leg == 1


async def test_a_finish_repeated_under_its_key_sends_on_once(divided: TimedStore) -> None:
    ticket = await begin(divided)
    op = Op("t", b"key", b"1" * 16)
    answers = await asyncio.gather(*(divided.finish(op, H, "w1", then="back", then_window="w2") for _ in range(5)))
    assert sorted(one.replayed for one in answers) == [False, True, True, True, True]
    assert all(one.value == answers[0].value for one in answers)
    assert len((await divided.ticket(H, ticket)).legs) == 2
    assert (await divided.board(H)).waiting["back"] == 1
    other = divided.finish(Op("t", b"key", b"2" * 16), H, "w1", then="licence")
    assert (await refusal(other))[0] == "idempotency_mismatch"


async def test_two_finishes_at_once_send_the_visit_on_once(divided: TimedStore) -> None:
    ticket = await begin(divided)
    told = await asyncio.gather(
        divided.finish(SYSTEM, H, "w1", then="back"),
        divided.finish(SYSTEM, H, "w1", then="licence"),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in told) == ["Answer", "Refusal"]
    assert len((await divided.ticket(H, ticket)).legs) == 2
    assert sum((await divided.board(H)).waiting.values()) == 1


async def test_each_leg_of_a_visit_sent_on_is_rated_at_its_own_window(divided: TimedStore) -> None:
    ticket = await begin(divided)
    await divided.finish(SYSTEM, H, "w1", then="back")
    prompt = (await divided.window(H, "w1")).rate
    assert prompt and (prompt.ticket, prompt.leg) == (ticket, 1)
    assert (await rate(divided, "w1", ticket, 2, 1)).code == "wrong_state", "the second leg is not over"
    await serve_next(divided, "w2")
    assert (await rate(divided, "w2", ticket, 1, 1)).code == "forbidden"
    assert (await rate(divided, "w1", ticket, 2, 1)).code == "forbidden"
    assert (await rate(divided, "w1", ticket, 1, 5)).status == "recorded"
    assert (await rate(divided, "w2", ticket, 2, 1)).status == "recorded"
    legs = (await divided.ticket(H, ticket)).legs
    assert [leg.rating and leg.rating.score for leg in legs] == [5, 1]
    [review] = (await divided.reviews(H))[0]
    assert (review.source, review.leg, review.window, review.service, review.staff) == (
        "rating", 2, "w2", "back", "staff-w2",
    )  # fmt: skip


async def test_each_leg_of_a_visit_sent_on_has_the_limits_of_its_own_service(divided: TimedStore) -> None:
    ticket = await begin(divided)
    await divided.pass_ms(600_000)  # at the limit of a
    await divided.finish(SYSTEM, H, "w1", then="back", then_window="w4")
    await divided.pass_ms(900_001)  # over the limit of waiting for back
    await divided.call(SYSTEM, H, "w4")
    await divided.begin_service(SYSTEM, H, "w4")
    await divided.pass_ms(60_001)  # over the limit of back
    await divided.sweep_all()
    await divided.finish(SYSTEM, H, "w4")
    legs = (await divided.ticket(H, ticket)).legs
    assert [(leg.overtime.wait, leg.overtime.service) for leg in legs] == [(False, False), (True, True)]
    found = [(one.source, one.leg, one.service, one.window) for one in (await divided.reviews(H))[0]]
    assert found == [("wait", 2, "back", None), ("overtime", 2, "back", "w4")]


async def test_a_visit_sent_on_may_be_cancelled_missed_returned_or_expire_like_any(divided: TimedStore) -> None:
    ticket = await begin(divided)
    await divided.finish(SYSTEM, H, "w1", then="back", then_window="w4")
    await divided.call(SYSTEM, H, "w4")
    await divided.miss(SYSTEM, H, "w4")
    assert (await divided.return_(SYSTEM, H, ticket)).value.leg == 2
    assert (await divided.cancel(SYSTEM, H, ticket)).value.state == "cancelled"
    legs = (await divided.ticket(H, ticket)).legs
    assert [leg.outcome for leg in legs] == ["done", "cancelled"], "the leg that was served stays served"
    other = await begin(divided)
    await divided.finish(SYSTEM, H, "w1", then="back")
    await divided.pass_ms(24 * HOUR)
    await divided.sweep_all()
    assert [leg.outcome for leg in (await divided.ticket(H, other)).legs] == ["done", "expired"]


async def test_whoever_is_in_the_hall_is_sent_on_whatever_hours_quota_or_suspension_say(divided: TimedStore) -> None:
    closed = {"daily_quota": 0, "opens": "00:00", "closes": "00:01"}
    services = [SERVICES[0], SERVICES[1] | closed, SERVICES[2]]
    await divided.configure(SYSTEM, hall.parse(HALL | {"services": services, "windows": WINDOWS}))
    await divided.suspend(SYSTEM, H, "back", "系统维护")
    ticket = await begin(divided)
    assert (await divided.finish(SYSTEM, H, "w1", then="back")).value.service == "back"
    assert (await serve_next(divided, "w2")).id == ticket


async def test_a_window_somebody_waits_for_cannot_be_removed(divided: TimedStore) -> None:
    await begin(divided)
    await divided.finish(SYSTEM, H, "w1", then="licence", then_window="w3")
    await divided.close_window(SYSTEM, H, "w3")
    fewer = HALL | {"services": SERVICES, "windows": [one for one in WINDOWS if one["id"] != "w3"]}
    assert await refusal(divided.configure(SYSTEM, hall.parse(fewer))) == ("in_use", {"what": "window w3"})


async def test_a_visit_has_at_most_a_hundred_legs(divided: TimedStore) -> None:
    ticket = await begin(divided, "licence")
    for _ in range(98):
        await divided.finish(SYSTEM, H, "w1", then_window="w1")
        await divided.call(SYSTEM, H, "w1")
        await divided.begin_service(SYSTEM, H, "w1")
    full = ("wrong_state", {"state": "serving", "legs": 100})
    assert await refusal(divided.finish(SYSTEM, H, "w1", then="back")) == full
    assert await refusal(divided.transfer(SYSTEM, H, "w1", service="back")) == full
    last = (await divided.finish(SYSTEM, H, "w1")).value
    assert (last.id, last.leg, last.service, last.services) == (ticket, 100, "licence", [])


async def test_who_sent_a_visit_on_stands_on_record(divided: TimedStore) -> None:
    await begin(divided)
    await divided.finish(ANNE, H, "w1", then="back")
    [told] = await events(divided, "ticket.finished")
    assert (told.actor, told.staff) == ("token-anne", "staff-w1")


async def test_the_longest_visit_with_the_longest_names_is_still_served_and_undone(timed: TimedStore) -> None:
    """Its record is longer than 65,535 bytes: beyond what the shorter heads of a text can say."""
    name = "x" * 32
    services = [{"id": name, "prefix": "A"}]
    definition = HALL | {"services": services, "windows": [{"id": name, "services": [name]}]}
    await timed.configure(SYSTEM, hall.parse(definition))
    await timed.open(SYSTEM, H, name, staff="😀" * 64)
    ticket = (await timed.issue(SYSTEM, H, name)).value.ticket.id
    for leg in range(1, 101):
        assert (await timed.call(SYSTEM, H, name)).value.ticket
        await timed.begin_service(SYSTEM, H, name)
        then = {} if leg == 100 else {"then_window": name}
        await timed.finish(SYSTEM, H, name, outcome=name, **then)
        if leg < 100:
            item = RatingItem("😀" * 62 + str(leg), ticket, leg, 5, 0)
            assert (await timed.rate(Op("pad"), H, name, [item])).value.results[0].status == "recorded"
    undone = (await timed.undo(SYSTEM, H, name)).value
    assert (undone.state, undone.leg, len(undone.legs)) == ("serving", 100, 100)
    done = (await timed.finish(SYSTEM, H, name)).value
    assert (done.state, done.legs[98].rating and done.legs[98].rating.score) == ("finished", 5)
    packed: Any = await timed._topology.call("x", "HGET", keys.hall_keys(timed.tag(timed.partition(H)), H)[7], ticket)
    assert len(packed) > 65_535
