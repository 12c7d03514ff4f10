"""Promised cases: from the finish that accepts one to its completion, its limit and its review."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from qserver.domain import hall
from qserver.store.answers import SYSTEM, Op
from tests.store.clocks import MORNING, TimedStore
from tests.store.conftest import HALL
from tests.store.follow import ANNE, DAY, HOUR, H, end_of, events, open_reviews, refusal, serve, take

SERVICES: list[dict[str, Any]] = [
    {"id": "a", "prefix": "A", "case_limit": "6h"},
    {"id": "b", "prefix": "B", "case_limit": "10wd"},
    {"id": "c", "prefix": "C"},
]


@pytest.fixture
async def promising(timed: TimedStore) -> AsyncIterator[TimedStore]:
    """The hall with services that promise six hours (a), ten working days (b), nothing (c)."""
    windows = [{"id": "w1", "services": ["a", "b", "c"]}, {"id": "w2", "services": ["b"]}]
    await timed.configure(SYSTEM, hall.parse(HALL | {"services": SERVICES, "windows": windows}))
    yield timed


async def accept(store: TimedStore, case: str = "C-1", service: str = "a", *further: str) -> str:
    """A ticket finished as an accepted case; answers its id."""
    if (await store.window(H, "w1")).state == "closed":
        await store.open(SYSTEM, H, "w1", staff="li")
    issued = (await store.issue(SYSTEM, H, service, services=further)).value.ticket
    await store.call(SYSTEM, H, "w1", ticket=issued.no)
    await store.begin_service(SYSTEM, H, "w1")
    await store.finish(Op("clerk-1"), H, "w1", outcome="accepted", case=case)
    return issued.id


async def test_a_finish_with_accepted_and_a_number_begins_the_promise(promising: TimedStore) -> None:
    ticket = await accept(promising)
    case = await promising.case(H, "C-1")
    assert (case.id, case.state, case.service, case.window, case.staff) == ("C-1", "accepted", "a", "w1", "li")
    assert (case.ticket, case.leg, case.accepted_ms, case.due_ms) == (ticket, 1, MORNING, MORNING + 6 * HOUR)
    assert (case.completed_ms, case.overtime, case.review) == (None, False, None)
    assert case.history == [{"at_ms": MORNING, "step": "accepted", "actor": "clerk-1"}]
    kinds = [event.kind for event in await events(promising)]
    assert kinds[-3:] == ["ticket.finished", "rating.prompted", "case.accepted"]
    [told] = await events(promising, "case.")
    assert (told.ticket, told.window, told.due_ms, told.more()) == (ticket, "w1", MORNING + 6 * HOUR, {"case": "C-1"})


async def test_a_promise_in_working_days_ends_with_its_last_one(promising: TimedStore) -> None:
    await accept(promising, service="b")
    assert (await promising.case(H, "C-1")).due_ms == end_of(14)


async def test_a_case_of_a_service_that_promises_nothing_is_kept_without_a_limit(promising: TimedStore) -> None:
    await accept(promising, service="c")
    assert (await promising.case(H, "C-1")).due_ms is None
    await promising.pass_ms(400 * DAY)
    await promising.sweep_all()
    assert await events(promising, "overtime.case") == []
    assert (await promising.complete_case(ANNE, H, "C-1")).value.state == "completed"


@pytest.mark.parametrize(("outcome", "case"), [("done", "C-1"), ("accepted", "")])
async def test_neither_the_number_nor_the_outcome_alone_is_a_promise(
    promising: TimedStore, outcome: str, case: str
) -> None:
    await serve(promising, outcome=outcome, case=case)
    assert await events(promising, "case.") == []
    assert await refusal(promising.case(H, "C-1")) == ("not_found", {"what": "case"})


async def test_a_case_completed_in_time_is_not_flagged(promising: TimedStore) -> None:
    await accept(promising)
    await promising.pass_ms(6 * HOUR)
    case = (await promising.complete_case(ANNE, H, "C-1", note="已送达")).value
    assert (case.state, case.completed_ms, case.overtime) == ("completed", MORNING + 6 * HOUR, False)
    assert case.history[-1] == {
        "at_ms": MORNING + 6 * HOUR, "step": "completed", "actor": "token-anne", "note": "已送达",
    }  # fmt: skip
    await promising.pass_ms(DAY)
    await promising.sweep_all()
    assert await events(promising, "overtime.", "review.") == []
    [told] = await events(promising, "case.completed")
    assert told.more() == {"case": "C-1", "note": "已送达"}


async def test_a_case_is_warned_of_at_the_share_of_its_limit_and_then_flagged_once(promising: TimedStore) -> None:
    ticket = await accept(promising)
    due = MORNING + 6 * HOUR
    warn = MORNING + int(6 * HOUR * 0.8)
    await promising.set(warn - 1)
    await promising.sweep_all()
    assert await events(promising, "overtime.") == []
    await promising.set(warn)
    await promising.sweep_all()
    [warned] = await events(promising, "overtime.")
    assert (warned.kind, warned.due_ms) == ("overtime.warned", due)
    assert warned.more() == {"case": "C-1", "what": "case"}
    await promising.set(due)
    await promising.sweep_all()
    assert len(await events(promising, "overtime.")) == 1, "at the limit is not over it"
    await promising.set(due + 1)
    members = (await promising.due(promising.partition(H))).members
    await asyncio.gather(*(promising.sweep(H, members) for _ in range(5)))
    [over] = await events(promising, "overtime.case")
    assert (over.ticket, over.window, over.staff, over.actor, over.due_ms) == (ticket, "w1", "li", "system", due)
    [review] = (await promising.reviews(H))[0]
    assert (review.source, review.ticket, review.window, review.staff, review.history[0]["actor"]) == (
        "case", ticket, "w1", "li", "system",
    )  # fmt: skip
    assert review.history[0] | {"case": "C-1", "due_ms": due} == review.history[0]
    case = await promising.case(H, "C-1")
    assert (case.state, case.overtime, case.review) == ("accepted", True, review.id)
    assert [one["step"] for one in case.history] == ["accepted", "overtime"]


async def test_a_case_completed_late_is_flagged_before_it_is_completed(promising: TimedStore) -> None:
    await accept(promising)
    await promising.pass_ms(6 * HOUR + 1)
    case = (await promising.complete_case(ANNE, H, "C-1")).value
    assert (case.state, case.overtime) == ("completed", True)
    assert [one["step"] for one in case.history] == ["accepted", "overtime", "completed"]
    kinds = [event.kind for event in await events(promising)]
    assert kinds[-3:] == ["overtime.case", "review.opened", "case.completed"]
    await promising.sweep_all()
    assert len(await events(promising, "overtime.case")) == 1


async def test_the_review_of_a_case_is_followed_up_like_any_other_long_after_its_ticket(promising: TimedStore) -> None:
    ticket = await accept(promising, service="b")
    for _ in range(20):
        await promising.pass_ms(DAY)
        await promising.sweep_all()
    assert (await refusal(promising.ticket(H, ticket)))[0] == "not_found"
    [review] = (await promising.reviews(H, source="case"))[0]
    assert await open_reviews(promising) == 1
    await take(promising, review.id, "assign", "verify", "appeal", "exclude")
    assert await open_reviews(promising) == 0
    ids = [event.id for event in await events(promising)]
    assert len(set(ids)) == len(ids)


async def test_undoing_the_finish_takes_the_promise_back(promising: TimedStore) -> None:
    ticket = await accept(promising)
    await promising.pass_ms(10_000)
    assert (await promising.undo(SYSTEM, H, "w1")).value.case is None
    case = await promising.case(H, "C-1")
    assert (case.state, [one["step"] for one in case.history]) == ("withdrawn", ["accepted", "withdrawn"])
    assert await refusal(promising.complete_case(ANNE, H, "C-1")) == ("wrong_state", {"state": "withdrawn"})
    await promising.finish(SYSTEM, H, "w1", outcome="accepted", case="C-1")
    case = await promising.case(H, "C-1")
    assert (case.ticket, case.state, case.due_ms) == (ticket, "accepted", MORNING + 6 * HOUR + 10_000)
    assert [one["step"] for one in case.history] == ["accepted", "withdrawn", "accepted"]
    await promising.set(MORNING + 6 * HOUR + 1)
    await promising.sweep_all()
    assert await events(promising, "overtime.case") == [], "the first promise no longer runs"


async def test_undoing_the_finish_of_a_leg_with_another_after_it_takes_the_promise_back_too(
    promising: TimedStore,
) -> None:
    await accept(promising, "C-1", "a", "b")
    assert (await promising.undo(SYSTEM, H, "w1")).value.leg == 1
    assert (await promising.case(H, "C-1")).state == "withdrawn"


async def test_a_finish_whose_case_was_completed_cannot_be_taken_back(promising: TimedStore) -> None:
    await accept(promising)
    await promising.complete_case(ANNE, H, "C-1")
    assert await refusal(promising.undo(SYSTEM, H, "w1")) == ("wrong_state", {"what": "case", "state": "completed"})


async def test_a_number_that_is_known_begins_no_second_promise(promising: TimedStore) -> None:
    await accept(promising)
    again = accept(promising)
    assert await refusal(again) == ("wrong_state", {"what": "case", "state": "accepted"})
    assert (await promising.window(H, "w1")).state == "serving", "the clerk can correct the number"
    await promising.finish(SYSTEM, H, "w1", outcome="accepted", case="C-2")
    await promising.complete_case(ANNE, H, "C-1")
    assert await refusal(accept(promising)) == ("wrong_state", {"what": "case", "state": "completed"})


async def test_a_visit_may_go_on_to_another_window_while_the_case_runs(promising: TimedStore) -> None:
    await accept(promising, "C-1", "a", "b")
    ticket = await promising.ticket(H, "A001")
    assert (ticket.leg, ticket.service, ticket.state, ticket.case) == (2, "b", "waiting", "C-1")
    assert (await promising.case(H, "C-1")).leg == 1


@pytest.mark.parametrize("number", ["2026 年第 7 号", "a b  c", "c:1", "x" * 64, "w1/7?#%"])
async def test_any_number_of_the_business_system_will_do(promising: TimedStore, number: str) -> None:
    await accept(promising, number)
    await promising.pass_ms(6 * HOUR + 1)
    await promising.sweep_all()
    case = await promising.case(H, number)
    assert (case.id, case.overtime) == (number, True)


async def test_a_case_that_is_not_there_is_not_found(promising: TimedStore) -> None:
    for act in (promising.case(H, "C-9"), promising.complete_case(ANNE, H, "C-9")):
        assert await refusal(act) == ("not_found", {"what": "case"})


async def test_a_completion_repeated_under_its_key_happens_once(promising: TimedStore) -> None:
    await accept(promising)
    op = Op("t", b"key", b"1" * 16)
    first, again = [await promising.complete_case(op, H, "C-1") for _ in range(2)]
    assert (again.value, first.replayed, again.replayed) == (first.value, False, True)
    assert await refusal(promising.complete_case(ANNE, H, "C-1")) == ("wrong_state", {"state": "completed"})


async def open_cases(store: TimedStore, **which: Any) -> list[str]:
    """All pages of the list, two a page."""
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = await store.open_cases(H, limit=2, after=after, **which)
        found += [case.id for case in page]
    return found


async def test_cases_that_have_not_ended_are_listed_in_the_order_they_were_accepted(promising: TimedStore) -> None:
    assert await open_cases(promising) == []
    for name in ("C-3", "C-1", "C-2", "C-5", "C-4"):
        await accept(promising, name, "c")
    assert await open_cases(promising) == ["C-3", "C-1", "C-2", "C-5", "C-4"]
    await promising.complete_case(SYSTEM, H, "C-1")
    assert await open_cases(promising) == ["C-3", "C-2", "C-5", "C-4"]
    await promising.undo(SYSTEM, H, "w1")
    assert await open_cases(promising) == ["C-3", "C-2", "C-5"]
    await promising.finish(SYSTEM, H, "w1", outcome="accepted", case="C-1x")
    await accept(promising, "C-4", "c")
    assert await open_cases(promising) == ["C-3", "C-2", "C-5", "C-1x", "C-4"]
    assert await open_cases(promising, staff="li") == await open_cases(promising, window="w1")
    assert await open_cases(promising, window="w2") == []


async def test_a_case_over_its_limit_stays_open_until_it_is_completed(promising: TimedStore) -> None:
    await accept(promising, "C-1")
    await promising.pass_ms(DAY)
    await promising.sweep_all()
    (case,), _ = await promising.open_cases(H)
    assert (case.id, case.overtime) == ("C-1", True)
    await promising.complete_case(SYSTEM, H, "C-1")
    assert await open_cases(promising) == []


async def test_a_place_in_the_list_that_was_none_is_refused(promising: TimedStore) -> None:
    assert (await refusal(promising.open_cases(H, after="x")))[0] == "validation"
