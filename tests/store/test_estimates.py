"""What waits are told from: the mean of a service, which no single press by mistake turns upside down."""

from __future__ import annotations

from qserver.domain.ticket import UNKNOWN_MEAN_MS, wait_estimate
from qserver.store.answers import SYSTEM
from tests.store.clocks import TimedStore
from tests.store.follow import H
from tests.store.test_signals import visit


async def told(store: TimedStore) -> tuple[int, int]:
    """The range told to whoever comes while nobody waits: it shows the mean alone."""
    (queue,) = [one for one in await store.queues(H) if one.service == "a"]
    return queue.wait_estimate_ms


async def next_day(store: TimedStore) -> None:
    """The day turns before its first command."""
    await store.pass_ms(24 * 3_600_000)
    await store.cancel(SYSTEM, H, (await store.issue(SYSTEM, H, "a")).value.ticket.no)


async def test_a_services_first_finish_by_mistake_hardly_moves_the_wait(timed: TimedStore) -> None:
    await visit(timed, 1)
    assert await told(timed) == wait_estimate(0, 1, UNKNOWN_MEAN_MS * 7 // 8 + 125)


async def test_the_wait_comes_to_what_services_take(timed: TimedStore) -> None:
    for _ in range(40):
        await visit(timed, 120)
    low, high = await told(timed)
    assert low == 0
    assert abs(high - 80_000) < 1000


async def test_a_service_marked_short_teaches_nothing(timed: TimedStore) -> None:
    for _ in range(10):
        await visit(timed, 300)
    before = await told(timed)
    await visit(timed, 1)
    assert await told(timed) == before


async def test_services_that_became_quick_are_learnt_from_the_next_day(timed: TimedStore) -> None:
    for _ in range(10):
        await visit(timed, 300)
    await visit(timed, 20)
    before = await told(timed)
    await next_day(timed)
    await visit(timed, 20)
    assert await told(timed) < before


async def test_services_that_take_no_time_do_not_become_unknown_ones(timed: TimedStore) -> None:
    for _ in range(9):
        await visit(timed, 0)
    for _ in range(5):
        await next_day(timed)
        for _ in range(10):
            await visit(timed, 0)
    assert await told(timed) < (0, 10_000)
