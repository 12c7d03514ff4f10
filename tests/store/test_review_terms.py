"""The terms of the follow-up: when each ends, reminders, lateness, and the calendar they are counted by."""

from __future__ import annotations

import asyncio

import pytest

from qserver.domain import hall, holidays
from qserver.domain.errors import Refusal
from qserver.store.answers import SYSTEM
from tests.store.clocks import MORNING, TimedStore
from tests.store.conftest import HALL
from tests.store.follow import DAY, HOUR, WAY, H, complaint, end_of, events, step, take


async def test_the_verify_term_runs_from_the_opening_over_the_assignment(timed: TimedStore) -> None:
    review = await complaint(timed)
    assert (await timed.review(H, review)).due_ms == end_of(1)
    await timed.pass_ms(6 * HOUR)
    assert (await step(timed, review, "assign")).due_ms == end_of(1)


async def test_a_term_over_the_national_holiday_passes_over_it(timed: TimedStore) -> None:
    await timed.set(MORNING + 309 * DAY)  # Wednesday, 29 September 2027
    days = {f"2027-10-0{day}": False for day in range(1, 8)} | {"2027-09-26": True, "2027-10-09": True}
    await timed.configure(SYSTEM, hall.parse(HALL | {"calendar": {"name": "weekdays", "days": days}}))
    review = await complaint(timed)
    found = await timed.review(H, review)
    assert found.due_ms == end_of(310)
    found = await take(timed, review, "assign", "verify")
    assert found.due_ms == end_of(309 + 13), "30 September, 8 and 9 (a Saturday worked), 11 and 12 October"


async def test_without_a_calendar_of_its_own_a_hall_follows_chinas(timed: TimedStore) -> None:
    await timed.set(MORNING + 36 * DAY)  # Wednesday, 30 December 2026
    review = await complaint(timed)
    assert (await timed.review(H, review)).due_ms == end_of(37)
    found = await take(timed, review, "assign", "verify")
    known = holidays.exceptions("china", "Asia/Shanghai", {})
    assert known["2027-01-01"] is False
    assert found.due_ms == end_of(36 + 8), "31 December, then 4 to 7 January: New Year's Day is off"


async def test_a_review_is_reminded_of_once_and_then_late_once(timed: TimedStore) -> None:
    review = await complaint(timed)
    due = end_of(1)
    remind = MORNING + int((due - MORNING) * 0.8)
    await timed.set(remind - 1)
    await timed.sweep_all()
    assert await events(timed, "review.reminded", "review.late") == []
    await timed.set(remind)
    await timed.sweep_all()
    await timed.set(due)
    await timed.sweep_all()
    assert [event.kind for event in await events(timed, "review.reminded", "review.late")] == ["review.reminded"]
    assert (await timed.review(H, review)).late is False, "on its last instant it is not late"
    await timed.set(due + 1)
    members = (await timed.due(timed.partition(H))).members
    assert f"v h1 {review}" in members
    await asyncio.gather(*(timed.sweep(H, members) for _ in range(5)))
    await timed.pass_ms(30 * DAY)
    await timed.sweep_all()
    told = await events(timed, "review.reminded", "review.late")
    assert [(event.kind, event.actor, event.due_ms) for event in told] == [
        ("review.reminded", "system", due), ("review.late", "system", due),
    ]  # fmt: skip
    found = await timed.review(H, review)
    assert found.late is True
    assert [(one["step"], one["actor"], one["term"]) for one in found.history[1:]] == [
        ("reminded", "system", "verify"), ("late", "system", "verify"),
    ]  # fmt: skip


async def test_a_step_that_comes_late_puts_the_lateness_on_record_before_itself(timed: TimedStore) -> None:
    review = await complaint(timed)
    await timed.set(end_of(1) + 1)
    found = await step(timed, review, "assign")
    assert [(one["step"], one["actor"]) for one in found.history[1:]] == [
        ("late", "system"),
        ("assigned", "token-anne"),
    ]
    await timed.sweep_all()
    assert (await timed.review(H, review)).history == found.history


async def test_lateness_stays_on_the_review_and_the_next_term_can_be_late_again(timed: TimedStore) -> None:
    review = await complaint(timed)
    await timed.set(end_of(1) + 1)
    await take(timed, review, "assign", "verify")
    assert (await timed.review(H, review)).late is True
    await timed.pass_ms(20 * DAY)
    await timed.sweep_all()
    late = [one["term"] for one in (await timed.review(H, review)).history if one["step"] == "late"]
    assert late == ["verify", "rectify"]


async def test_nothing_is_waited_for_in_a_closed_or_excluded_review(timed: TimedStore) -> None:
    closed, excluded = await complaint(timed), await complaint(timed)
    await take(timed, closed, *WAY)
    await take(timed, excluded, "appeal", "exclude")
    await timed.pass_ms(100 * DAY)
    await timed.sweep_all()
    assert await events(timed, "review.reminded", "review.late") == []
    for review in (closed, excluded):
        found = await timed.review(H, review)
        assert (found.due_ms, found.term, found.late) == (None, None, False)


async def test_an_appeal_comes_within_its_term_of_the_opening(timed: TimedStore) -> None:
    first, second = await complaint(timed), await complaint(timed)
    until = (await timed.review(H, first)).appeal_until_ms
    assert until == end_of(21), "fifteen working days"
    await timed.set(until)
    assert (await step(timed, first, "appeal")).state == "appealed"
    await timed.set(until + 1)
    with pytest.raises(Refusal) as refused:
        await step(timed, second, "appeal")
    assert refused.value.code == "wrong_state"
    assert refused.value.data == {"state": "open", "appeal_until_ms": until, "upheld": False}
