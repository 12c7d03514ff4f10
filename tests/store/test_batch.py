"""Commands given together: one batch on the way, each a command of its own."""

from __future__ import annotations

import asyncio

import pytest

from qserver.domain.errors import Refusal
from qserver.store.answers import SYSTEM, Op
from qserver.store.batch import LARGEST
from qserver.store.connection import ReplyError
from tests.store.clocks import TimedStore

H = "h1"


async def test_commands_of_one_batch_are_done_in_the_order_they_were_given(timed: TimedStore) -> None:
    await timed.open(SYSTEM, H, "w1")
    issued, called, started, finished = await asyncio.gather(
        timed.issue(SYSTEM, H, "a"),
        timed.call(SYSTEM, H, "w1"),
        timed.begin_service(SYSTEM, H, "w1"),
        timed.finish(SYSTEM, H, "w1"),
    )
    assert issued.value.ticket.no == "A001"
    assert called.value.ticket is not None
    assert [called.value.ticket.state, started.value.state, finished.value.state] == ["called", "serving", "finished"]


async def test_numbers_and_the_sequence_have_no_gap_over_more_than_a_batch(timed: TimedStore) -> None:
    before = (await timed.stats(H)).s
    many = LARGEST * 2 + 7
    answers = await asyncio.gather(*(timed.issue(SYSTEM, H, "b") for _ in range(many)))
    assert [answer.value.ticket.no for answer in answers] == [f"B{n:03d}" for n in range(1, many + 1)]
    assert [answer.value.ahead for answer in answers] == list(range(many))
    stats = await timed.stats(H)
    assert (stats.s, stats.services["b"]["issued"], stats.services["b"]["waiting"]) == (before + many, many, many)


async def test_twins_in_one_batch_are_one_command(timed: TimedStore) -> None:
    op = Op("t", b"k" * 32, b"b" * 16)
    first, second = await asyncio.gather(timed.issue(op, H, "a"), timed.issue(op, H, "a"))
    assert (first.value, first.replayed, second.replayed) == (second.value, False, True)
    other = Op("t", b"k" * 32, b"c" * 16)
    with pytest.raises(Refusal) as refused:
        await timed.issue(other, H, "a")
    assert refused.value.code == "idempotency_mismatch"


async def test_a_refusal_concerns_only_the_command_that_got_it(timed: TimedStore) -> None:
    results = await asyncio.gather(
        timed.issue(SYSTEM, H, "a"),
        timed.issue(SYSTEM, H, "nothing"),
        timed.call(SYSTEM, H, "w1"),
        timed.issue(SYSTEM, "nowhere", "a"),
        timed.issue(SYSTEM, H, "a"),
        return_exceptions=True,
    )
    codes = [getattr(result, "code", "") for result in results]
    assert codes == ["", "no_such_service", "window_not_open", "not_found", ""]
    assert len(await timed.day_tickets(H)) == 2


async def test_a_command_that_fails_takes_no_other_with_it(timed: TimedStore) -> None:
    results = await asyncio.gather(
        timed.issue(SYSTEM, H, "a"),
        timed._command(H, "rate", SYSTEM, "w1", b"\xc1"),  # no handler is ready for items that are no MessagePack
        timed.issue(SYSTEM, H, "a"),
        return_exceptions=True,
    )
    assert isinstance(results[1], ReplyError)
    assert [ticket.no for ticket in await timed.day_tickets(H)] == ["A001", "A002"]


async def test_who_goes_away_before_the_answer_disturbs_nobody(timed: TimedStore) -> None:
    gone = asyncio.ensure_future(timed.issue(SYSTEM, H, "a"))
    here = asyncio.ensure_future(timed.issue(SYSTEM, H, "a"))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await here).value.ticket.no == "A002"


async def test_suspending_and_resuming_in_one_batch_leaves_the_service_open(timed: TimedStore) -> None:
    _, _, issued = await asyncio.gather(
        timed.suspend(SYSTEM, H, "a", "printer"), timed.resume_service(SYSTEM, H, "a"), timed.issue(SYSTEM, H, "a")
    )
    assert issued.value.ticket.no == "A001"
    assert (await timed.issue(SYSTEM, H, "a")).value.ticket.no == "A002"
