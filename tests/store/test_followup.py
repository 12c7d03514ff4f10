"""The follow-up of negative reviews: its steps, its terms, its appeal, and that nothing of it is ever lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qserver.domain.errors import Refusal
from qserver.domain.reviews import STEPS, TERMS
from qserver.store import keys
from qserver.store.answers import SYSTEM, Op, RatingItem
from tests.store.clocks import MORNING, TimedStore
from tests.store.follow import ANNE, DAY, WAY, H, complaint, end_of, events, open_reviews, serve, step, take

AT: dict[str, tuple[str, ...]] = {
    "open": (),
    "assigned": ("assign",),
    "verified:valid": ("assign", "verify"),
    "verified:invalid": ("assign", "verify:invalid"),
    "rectified": WAY[:3],
    "revisited": WAY[:4],
    "appealed": ("appeal",),
    "closed": WAY,
    "excluded": ("appeal", "exclude"),
}
"""How each stage is reached."""


async def test_a_review_goes_the_whole_way_and_keeps_every_step(timed: TimedStore) -> None:
    review = await complaint(timed)
    states = []
    for name in WAY:
        await timed.pass_ms(1000)
        states.append((await step(timed, review, name)).state)
    assert states == ["assigned", "verified", "rectified", "revisited", "closed"]
    history = (await timed.review(H, review)).history
    assert [(one["step"], one["actor"]) for one in history] == [
        ("opened", "pad-1"), *((name, "token-anne") for name in states),
    ]  # fmt: skip
    assert [one["at_ms"] for one in history] == [MORNING + n * 1000 for n in range(6)]
    assert history[0] | {"score": 1, "comment": "慢"} == history[0]
    assert history[1]["to"] == "li"
    assert history[2] | {"result": "valid", "note": "查看录像"} == history[2]
    assert history[4]["result"] == "satisfied"


async def test_every_step_is_one_event_of_the_feed_in_the_same_words(timed: TimedStore) -> None:
    review = await complaint(timed)
    found = await take(timed, review, "assign", "verify:invalid", "appeal", "uphold", "close")
    told = await events(timed, "review.")
    assert len({event.id for event in told}) == len(told) == len(found.history)
    for one, event in zip(found.history[1:], told[1:], strict=True):
        assert (event.kind, event.at_ms, event.actor) == (f"review.{one['step']}", one["at_ms"], one["actor"])
        assert event.more() == {"review": review, "source": "rating"} | {
            name: value for name, value in one.items() if name not in ("at_ms", "step", "actor")
        }
        assert (event.ticket, event.leg, event.window, event.staff) == (found.ticket, 1, "w1", "staff-w1")


async def test_no_step_changes_what_stands_in_the_history(timed: TimedStore) -> None:
    review = await complaint(timed)
    before = (await timed.review(H, review)).history
    for name in ("assign", "verify", "rectify", "revisit:reopened", "assign", "verify:invalid", "appeal", "exclude"):
        after = (await step(timed, review, name)).history
        assert after[: len(before)] == before and len(after) == len(before) + 1
        before = after


ALLOWED = [(name, stage) for name, one in STEPS.items() for stage in TERMS if stage in one.sources]
FORBIDDEN = [(name, stage) for name, one in STEPS.items() for stage in TERMS if stage not in one.sources]


@pytest.mark.parametrize(("name", "stage"), FORBIDDEN)
async def test_a_step_out_of_turn_is_refused_and_changes_nothing(timed: TimedStore, name: str, stage: str) -> None:
    review = await complaint(timed)
    before = await take(timed, review, *AT[stage])
    s = (await timed.stats(H)).s
    with pytest.raises(Refusal) as refused:
        await step(timed, review, name)
    assert (refused.value.code, refused.value.data) == ("wrong_state", {"state": before.state})
    assert (await timed.review(H, review), (await timed.stats(H)).s) == (before, s)


@pytest.mark.parametrize(("name", "stage"), ALLOWED)
async def test_a_step_leads_where_the_table_says_and_begins_that_stages_term(
    timed: TimedStore, name: str, stage: str
) -> None:
    review = await complaint(timed)
    before = await take(timed, review, *AT[stage])
    await timed.pass_ms(2 * DAY)
    result = next(iter(STEPS[name].results), "")
    after = await step(timed, review, f"{name}:{result}")
    target = STEPS[name].targets[result]
    if target == "back":
        target = "open"
    term = TERMS[target]
    assert (after.state, after.result or "") == (target.partition(":")[0], target.partition(":")[2])
    assert after.term == (term or None)
    if term == TERMS[stage]:
        assert after.due_ms == before.due_ms, "a term that runs is not begun again"
    else:
        working_days = {"verify": 1, "rectify": 5, "revisit": 15, "decide": 5, "": 0}[term]
        weekends = {1: 0, 5: 2, 15: 6}.get(working_days, 0)  # from that Thursday
        assert after.due_ms == (end_of(2 + working_days + weekends) if term else None)


async def test_a_review_can_be_given_to_somebody_else(timed: TimedStore) -> None:
    review = await complaint(timed)
    await timed.assign_review(ANNE, H, review, "li")
    found = (await timed.assign_review(ANNE, H, review, "wang", note="李休假")).value
    assert found.assignee == "wang"
    assert [one["to"] for one in found.history[1:]] == ["li", "wang"]


async def test_closing_and_excluding_take_a_review_out_of_the_open_ones(timed: TimedStore) -> None:
    first, second = await complaint(timed), await complaint(timed)
    assert await open_reviews(timed) == 2
    await take(timed, first, *WAY[:4])
    await step(timed, second, "appeal")
    assert await open_reviews(timed) == 2
    await step(timed, first, "close")
    assert await open_reviews(timed) == 1
    await step(timed, second, "exclude")
    assert await open_reviews(timed) == 0
    await step(timed, first, "appeal")
    assert await open_reviews(timed) == 1, "an appeal against a closed one waits for its decision"
    await step(timed, first, "uphold")
    assert await open_reviews(timed) == 0, "and upheld it is closed again"


async def test_an_upheld_review_goes_on_from_where_it_was_with_a_new_term(timed: TimedStore) -> None:
    review = await complaint(timed)
    await take(timed, review, "assign", "verify", "appeal")
    await timed.pass_ms(2 * DAY)
    found = await step(timed, review, "uphold")
    assert (found.state, found.result, found.term, found.due_ms) == ("verified", "valid", "rectify", end_of(9))
    assert (await take(timed, review, "rectify", "revisit", "close")).state == "closed"


async def test_an_appeal_is_decided_once(timed: TimedStore) -> None:
    review = await complaint(timed)
    found = await take(timed, review, "appeal", "uphold")
    assert found.appeal_until_ms is None
    with pytest.raises(Refusal) as refused:
        await step(timed, review, "appeal")
    assert (refused.value.code, refused.value.data["state"], refused.value.data["upheld"]) == (
        "wrong_state",
        "open",
        True,
    )


async def test_an_excluded_review_stays_readable_with_all_that_was_said(timed: TimedStore) -> None:
    review = await complaint(timed)
    found = await take(timed, review, "appeal", "exclude")
    assert [one["reason"] for one in found.history[1:]] == ["误评", "误评属实"]
    assert (await timed.reviews(H, state="excluded"))[0] == [found]


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
@pytest.mark.parametrize("latest", [False, True])
async def test_what_is_pending_is_listed_page_by_page_in_both_orders(
    timed: TimedStore, limit: int, latest: bool
) -> None:
    reviews = [await complaint(timed) for _ in range(6)]
    for one in (reviews[0], reviews[2], reviews[5]):
        await take(timed, one, "appeal", "exclude")

    async def listed(**wanted: Any) -> list[str]:
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page, after = await timed.reviews(H, limit=limit, after=after, latest=latest, **wanted)
            found += [one.id for one in page]
        return found

    order = -1 if latest else 1
    assert await listed(pending=True) == [reviews[1], reviews[3], reviews[4]][::order]
    assert await listed(pending=True, state="closed") == []
    assert await listed() == reviews[::order]
    assert await listed(state="excluded") == [reviews[0], reviews[2], reviews[5]][::order]
    for one in (reviews[1], reviews[3], reviews[4]):
        await take(timed, one, "appeal", "exclude")
    assert await listed(pending=True) == []


@pytest.mark.parametrize("latest", [False, True])
async def test_a_long_past_is_looked_through_in_short_calls(timed: TimedStore, latest: bool) -> None:
    """Thousands of reviews that ended, and one at each end that has not."""
    tag = timed.tag(timed.partition(H))
    state, kept = keys.hall_keys(tag, H)[6], keys.hall_keys(tag, H)[11]
    first, ended = await complaint(timed), await complaint(timed)
    await take(timed, ended, "appeal", "exclude")
    packed: Any = await timed._topology.call(tag, "HGET", kept, ended)
    fields = [part for number in range(3, 4501) for part in (f"r{number:06d}", packed)]
    await timed._topology.call(tag, "HSET", kept, *fields)
    await timed._topology.call(tag, "HSET", state, "reviews", "4500")
    newest = await complaint(timed)
    both = [newest, first] if latest else [first, newest]
    assert [one.id for one in (await timed.reviews(H, pending=True, latest=latest))[0]] == both
    assert (await timed.reviews(H, pending=True, latest=latest))[1] is None
    page, after = await timed.reviews(H, latest=latest, state="open", limit=1)
    assert ([one.id for one in page], after is None) == (both[:1], False)
    assert after is not None
    rest, after = await timed.reviews(H, latest=latest, state="open", limit=2, after=after)
    assert ([one.id for one in rest], after) == (both[1:], None)
    assert len((await timed.reviews(H, latest=latest, limit=4501))[0]) == 4501


async def test_pages_go_on_where_they_stopped_while_reviews_open_and_end(timed: TimedStore) -> None:
    reviews = [await complaint(timed) for _ in range(4)]
    first, after = await timed.reviews(H, pending=True, latest=True, limit=2)
    await complaint(timed)
    await take(timed, reviews[1], "appeal", "exclude")
    assert after is not None
    rest, after = await timed.reviews(H, pending=True, latest=True, limit=2, after=after)
    assert ([one.id for one in (*first, *rest)], after) == ([reviews[3], reviews[2], reviews[0]], None)


async def test_a_step_outlives_its_ticket_and_still_has_an_id_of_its_own(timed: TimedStore) -> None:
    review = await complaint(timed)
    await timed.set(MORNING + DAY)
    await timed.sweep_all()
    await timed.set(MORNING + 12 * DAY)
    await timed.sweep_all()
    with pytest.raises(Refusal):
        await timed.ticket(H, (await timed.review(H, review)).ticket)
    await take(timed, review, "assign", "verify", "rectify", "revisit:reopened", "assign")
    ids = [event.id for event in await events(timed)]
    assert len(set(ids)) == len(ids)


async def test_two_reviews_of_one_leg_are_followed_up_apart(timed: TimedStore) -> None:
    await timed.open(SYSTEM, H, "w1")
    await timed.issue(SYSTEM, H, "a")
    await timed.call(SYSTEM, H, "w1")
    await timed.begin_service(SYSTEM, H, "w1")
    await timed.pass_ms(601_000)
    ticket = (await timed.finish(SYSTEM, H, "w1")).value.id
    await timed.rate(Op("pad"), H, "w1", [RatingItem("r", ticket, 1, 2, 0)])
    overtime, rating = (await timed.reviews(H))[0]
    assert (overtime.source, overtime.history[0]["actor"]) == ("overtime", "system")
    assert (rating.source, rating.history[0]["actor"]) == ("rating", "pad")
    await take(timed, overtime.id, "assign", "verify:invalid", "appeal", "exclude")
    assert (await timed.review(H, rating.id)).state == "open"
    assert await open_reviews(timed) == 1
    ids = [event.id for event in await events(timed)]
    assert len(set(ids)) == len(ids)


async def test_a_step_repeated_under_its_key_happens_once(timed: TimedStore) -> None:
    review = await complaint(timed)
    op = Op("t", b"key", b"1" * 16)
    first = await timed.assign_review(op, H, review, "li")
    again = await timed.assign_review(op, H, review, "li")
    assert (again.value, first.replayed, again.replayed) == (first.value, False, True)
    assert len((await timed.review(H, review)).history) == 2


async def test_of_two_who_decide_at_once_one_is_refused(timed: TimedStore) -> None:
    review = await complaint(timed)
    await step(timed, review, "appeal")
    done = await asyncio.gather(step(timed, review, "uphold"), step(timed, review, "exclude"), return_exceptions=True)
    assert sum(isinstance(one, Refusal) for one in done) == 1
    assert len(await events(timed, "review.upheld", "review.excluded")) == 1


@pytest.mark.parametrize("name", ["r000009", "r9", "c:C-1", "", "r00000x", "r" + "1" * 30])
async def test_a_review_that_is_not_there_is_not_found(timed: TimedStore, name: str) -> None:
    await serve(timed, outcome="accepted", case="C-1")
    acts: list[Any] = [timed.review(H, name), timed.assign_review(ANNE, H, name, "li")]
    for act in acts:
        with pytest.raises(Refusal) as refused:
            await act
        assert (refused.value.code, refused.value.data) == ("not_found", {"what": "review"})


@pytest.mark.parametrize("result", ["", "maybe", "satisfied"])
async def test_a_result_that_the_step_does_not_have_is_refused(timed: TimedStore, result: str) -> None:
    review = await complaint(timed)
    await step(timed, review, "assign")
    with pytest.raises(Refusal) as refused:
        await timed.verify_review(ANNE, H, review, result, "x")
    assert (refused.value.code, refused.value.data) == ("validation", {"field": "result"})
