"""Deliveries on a real socket, round by round, by a clock that tests set: order, retries, ends, and what is kept."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from qserver.domain.errors import Refusal
from qserver.feed.cloudevents import as_json
from qserver.feed.pull import WHOLE
from qserver.feed.trim import Trimmer
from qserver.hooks import schedule
from qserver.store.answers import SYSTEM
from qserver.store.hooks import group_name
from tests.halls import small_hall
from tests.hooks.desk import Desk
from tests.hooks.receivers import Came, Receiver, answering, receiving, taken
from tests.store.clocks import TimedStore

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
LONGEST = [int(delay * 1000 * (1 + schedule.JITTER)) + 1 for delay in schedule.DELAYS_S]
"""Before each attempt after the first, ms: then it is certainly due."""


async def test_what_was_chosen_comes_in_order_and_once(timed_desk: Desk, receiver: Receiver) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url, "ticket.*", "window.opened"))
    await desk.store.open(SYSTEM, "h1", "w1", staff="s-1")
    await desk.issue(40)
    await desk.store.post_notice(SYSTEM, "h1", "not chosen")
    await desk.deliver(courier)
    assert [one.kind for one in receiver.came] == ["window.opened"] + ["ticket.issued"] * 40
    numbers = [int(one.event["sequence"]) for one in receiver.came]
    assert numbers == sorted(numbers)
    first = receiver.came[1]
    assert first.id == first.event["id"] == "h1:2026-11-24:A001:1:ticket.issued:1"
    assert first.headers["Content-Type"] == "application/cloudevents+json"
    assert first.headers["webhook-timestamp"] == "1795480000"
    await desk.feed.create(SYSTEM, "", "analytics", from_start=True)
    batch = await desk.feed.pull("", "analytics", WHOLE, 1000, 0)
    assert set(map(bytes, as_json(batch.events))) > {one.body for one in receiver.came}, "what analytics sees"
    await desk.deliver(courier)
    assert len(receiver.came) == 41
    assert (await desk.store.hook("hook-1")).sent == desk.meters["hook-1"].sent == 41


async def test_what_was_not_sent_yet_follows_a_change_of_address_and_kinds(
    timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    hook = await desk.hook(receiver.url)
    courier = desk.courier(hook)
    receiver.answer = answering(500)
    await desk.issue(1)
    await desk.deliver(courier)
    for _ in range(4):
        await desk.issue(1)
        await desk.deliver(courier)
    failed = await desk.store.hook(hook.id)
    assert schedule.is_away(failed.failures) and failed.waiting == 5
    async with receiving() as other:
        changed = (await desk.store.change_hook(SYSTEM, hook.id, url=other.url, kinds=["window.opened"])).value
        assert (changed.failures, changed.waiting) == (0, 5), "another receiver has not failed"
        await desk.issue(1)
        await desk.store.open(SYSTEM, "h1", "w1", staff="s-1")
        came = len(receiver.came)
        await desk.deliver(courier)
        assert [one.kind for one in other.came].count("window.opened") == 1
        late = [one.event["data"]["ticket"][-4:] for one in other.came if one.kind == "ticket.issued"]
        assert sorted(late) == [f"A{n:03d}" for n in range(1, 6)], "what was put aside, and no later ticket"
        assert len(receiver.came) == came, "the one before gets nothing"


async def test_a_webhook_of_a_hall_gets_that_halls_events_only(timed_desk: Desk, receiver: Receiver) -> None:
    desk = timed_desk
    await desk.store.configure(SYSTEM, small_hall("h2"))
    courier = desk.courier(await desk.hook(receiver.url, "*", hall="h2"))
    await desk.issue(1, "h1")
    await desk.issue(1, "h2")
    await desk.deliver(courier)
    assert [one.event["source"] for one in receiver.came] == ["/halls/h2"]


async def test_a_failed_event_is_tried_on_the_schedule_and_the_later_ones_go_on(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url))
    await desk.issue()
    poison = "h1:2026-11-24:A001:1:ticket.issued:1"

    async def answer(came: Came) -> object:
        return await (answering(500) if came.id == poison else taken)(came)

    receiver.answer = answer  # type: ignore[assignment]
    await desk.deliver(courier)
    for attempt, delay_s in enumerate(schedule.DELAYS_S, 1):
        assert receiver.ids.count(poison) == attempt
        await clock.pass_ms(int(delay_s * 1000) - 1)
        await desk.issue()
        await desk.deliver(courier)
        assert receiver.ids.count(poison) == attempt, "before its time"
        await clock.pass_ms(LONGEST[attempt - 1])
        await desk.deliver(courier)
    assert receiver.ids.count(poison) == len(schedule.DELAYS_S) + 1 == 10
    assert len(set(receiver.ids)) == len(receiver.ids) - 9 == 10, "the others came once each"
    bodies = {one.body for one in receiver.came if one.id == poison}
    assert len(bodies) == 1
    stamps = [int(one.headers["webhook-timestamp"]) for one in receiver.came if one.id == poison]
    assert stamps == sorted(set(stamps)), "each attempt has its own time"
    hook = await desk.store.hook("hook-1")
    assert (hook.waiting, hook.dead, hook.failed, hook.sent, desk.meters["hook-1"].dead) == (0, 1, 10, 9, 1)


async def test_dead_letters_are_kept_listed_and_sent_again(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url))
    receiver.answer = answering(500)
    await desk.issue(3)
    for delay in [0, *LONGEST, LONGEST[-1]]:
        await clock.pass_ms(delay)
        await desk.deliver(courier)
    letters, more = await desk.store.dead_letters("hook-1", limit=2)
    assert [letter.n for letter in letters] == [1, 2] and more == 2
    assert (letters[0].attempts, letters[0].error, letters[0].kind) == (10, "answered 500", "ticket.issued")
    assert [letter.n for letter in (await desk.store.dead_letters("hook-1", after=2))[0]] == [3]
    came = len(receiver.came)
    receiver.answer = taken
    assert (await desk.store.redeliver(SYSTEM, "hook-1", [2, 99])).value == 1
    await clock.pass_ms(schedule.PROBE_MS)
    await desk.deliver(courier)
    assert receiver.came[came:] and receiver.ids[came:] == [letters[1].id]
    assert receiver.came[came].body == letters[1].body.encode()
    assert (await desk.store.redeliver(SYSTEM, "hook-1")).value == 2
    await desk.deliver(courier)
    assert len(receiver.came) == came + 3
    hook = await desk.store.hook("hook-1")
    assert (hook.waiting, hook.dead, hook.died) == (0, 0, 3)


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_who_asks_to_wait_is_left_alone_that_long(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver, form: str
) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url))
    wanted = "1800" if form == "seconds" else formatdate((clock.at + 1_800_000) / 1000, usegmt=True)
    receiver.answer = answering(429, Retry_After=wanted)
    await desk.issue(3)
    assert (await desk.deliver(courier)).deaf
    assert len(receiver.came) == 1, "the others were not tried"
    receiver.answer = taken
    await clock.pass_ms(1_700_000)
    await desk.deliver(courier)
    assert len(receiver.came) == 1
    await clock.pass_ms(100_000 + LONGEST[0])
    await desk.deliver(courier)
    assert len(receiver.came) == 4 and len(set(receiver.ids)) == 3


async def test_who_is_gone_gets_nothing_more_and_the_feed_is_not_kept_for_it(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url))
    receiver.answer = answering(410)
    await desk.issue(3)
    await courier.round()
    hook = await desk.store.hook("hook-1")
    assert hook.disabled_ms and hook.why == "gone" and hook.dead == 3 and hook.waiting == 0
    assert ("", group_name("hook-1")) not in await desk.feed.groups.all()
    assert len(receiver.came) == 1
    with pytest.raises(Refusal) as refused:
        await courier.round()
    assert refused.value.data == {"state": "disabled"}
    with pytest.raises(Refusal):
        await desk.store.redeliver(SYSTEM, "hook-1")
    await courier.run()  # ends by itself

    receiver.answer = taken
    await desk.issue(1)
    await desk.store.enable_hook(SYSTEM, "hook-1", "")
    with pytest.raises(Refusal):
        await desk.store.enable_hook(SYSTEM, "hook-1", "")
    await desk.issue(1)
    await desk.deliver(courier)
    assert receiver.ids[1:] == ["h1:2026-11-24:A005:1:ticket.issued:1"], "from then on"
    assert (await desk.store.redeliver(SYSTEM, "hook-1")).value == 3
    await desk.deliver(courier)
    assert len(receiver.came) == 5


async def test_who_is_away_is_tried_with_one_event_every_five_minutes_and_gets_all_when_back(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url))
    receiver.answer = answering(503)
    await desk.issue(40)
    assert (await desk.deliver(courier)).deaf
    assert len(receiver.came) == schedule.AWAY_AFTER
    await desk.issue(10)
    pauses = [5, 10, 20, 40, 80, 160, *[300] * 20]
    for tried, pause in enumerate(pauses, schedule.AWAY_AFTER):
        await clock.pass_ms(pause * SECOND - 1)
        await desk.deliver(courier)
        assert len(receiver.came) == tried
        await clock.pass_ms(1)
        await desk.deliver(courier)
        assert len(receiver.came) == tried + 1
    hook = await desk.store.hook("hook-1")
    assert (hook.waiting, hook.dead) == (schedule.BATCH + 13, 0), "what was begun; the rest waits in the feed"
    tried_before = set(receiver.ids)
    receiver.answer = taken
    receiver.came.clear()
    await clock.pass_ms(schedule.PROBE_MS)
    await desk.deliver(courier)
    assert len(receiver.came) == len(set(receiver.ids)) == 50
    numbers = [int(one.event["sequence"]) for one in receiver.came[1:] if one.id not in tried_before]
    assert numbers == sorted(numbers) and len(numbers) > 20, "but for those that failed, and the one it was tried with"
    hook = await desk.store.hook("hook-1")
    assert (hook.failures, hook.waiting, hook.dead, hook.sent) == (0, 0, 0, 50)


@pytest.mark.parametrize("status", [400, 500])
async def test_events_that_a_receiver_cannot_digest_do_not_keep_the_others_from_it(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver, status: int
) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url, "ticket.issued", "notice.posted"))
    bad: list[str] = []

    async def picky(came: Came) -> object:
        if came.kind == "notice.posted":
            bad.append(came.id)
            return await answering(status)(came)
        return await taken(came)

    receiver.answer = picky  # type: ignore[assignment]
    for n in range(12):
        await desk.store.post_notice(SYSTEM, "h1", f"notice {n}")
    await desk.issue(3)
    await desk.deliver(courier)
    await desk.issue(1)
    if status == 500:
        await clock.pass_ms(6 * SECOND)
    await desk.deliver(courier)
    good = set(receiver.ids) - set(bad)
    assert len(good) == 4 or status == 500, "at once"
    assert "h1:2026-11-24:A004:1:ticket.issued:1" in good, "or with the first one that is tried for all"
    if status == 500:
        return  # the rest come on the schedule
    for n in range(5, 15):  # and so it stays, whenever the others are tried again
        await clock.pass_ms(20 * MINUTE)
        await desk.issue(1)
        for _ in range(3):
            await desk.deliver(courier)
            await clock.pass_ms(schedule.PROBE_MS)
        assert f"h1:2026-11-24:A{n:03}:1:ticket.issued:1" in receiver.ids
    hook = await desk.store.hook("hook-1")
    assert (hook.sent, hook.waiting, hook.dead) == (14, 12, 0)
    assert max(bad.count(one) for one in bad) <= 7, "on the schedule, and once when the receiver seemed back"
    for _ in range(25):
        await clock.pass_ms(int(schedule.DELAYS_S[-1] * 1100))
        await desk.deliver(courier)
    assert (await desk.store.hook("hook-1")).dead == 12


async def test_who_stays_away_does_not_hold_the_feed_for_ever(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    courier = desk.courier(await desk.hook(receiver.url))
    receiver.answer = answering(503)
    await desk.issue(100)
    await desk.deliver(courier)
    await clock.pass_ms(schedule.SPAN_MS - 10 * HOUR)
    await desk.issue(5)
    await desk.deliver(courier)
    partition = desk.store.partition("h1")
    trimmer = Trimmer(desk.store, keep_ms=0, full=2)
    await trimmer.once()
    assert (await desk.store.stream_info(partition)).length > 70, "they wait in the feed"
    await clock.pass_ms(11 * HOUR)
    await desk.deliver(courier)
    hook = await desk.store.hook("hook-1")
    assert hook.dead + hook.waiting == 105 and hook.waiting <= 10 + schedule.BATCH
    letters, _ = await desk.store.dead_letters("hook-1", limit=1000)
    assert {letter.error for letter in letters} <= {
        "waited too long for a receiver that is away", "answered 503", "not tried yet"
    }  # fmt: skip
    await trimmer.once()
    assert (await desk.store.stream_info(partition)).length < 20
    receiver.answer = taken
    receiver.came.clear()
    await clock.pass_ms(schedule.PROBE_MS)
    await desk.deliver(courier)
    assert (await desk.store.redeliver(SYSTEM, "hook-1")).value == hook.dead
    await desk.deliver(courier)
    assert len(set(receiver.ids)) == 105


async def test_letters_are_bounded_and_what_is_lost_is_counted(
    clock: TimedStore, timed_desk: Desk, receiver: Receiver
) -> None:
    desk = timed_desk
    hook = await desk.hook(receiver.url)
    store = desk.store
    taken_ = await store.take_hook(SYSTEM, hook.id, "p1", 30_000, 1)
    assert taken_.ours
    from qserver.store.answers import Failed, Settlement

    def failed(first: int, count: int) -> Settlement:
        events = [Failed(f"e{n}", "ticket.issued", "{}", 1, 1, n, "x") for n in range(first, first + count)]
        return Settlement([], events, "", [], 0, count, 0, False, 0, False, "x", 1 + first // count)

    for first in range(0, 2500, 250):
        hook = await store.settle_hook(SYSTEM, hook.id, "p1", failed(first, 250))
        assert await store.settle_hook(SYSTEM, hook.id, "p1", failed(first, 250)) == hook, "once"
    assert (hook.waiting, hook.dead, hook.died, hook.dropped) == (1000, 1000, 1500, 500)
    found, _ = await store.dead_letters(hook.id, limit=2000)
    assert len(found) == 1000
    assert (await store.redeliver(SYSTEM, hook.id)).value == 0, "there is no room"
    await store.remove_hook(SYSTEM, hook.id)
    assert await store._topology.call("ctl", "KEYS", "q:{ctl}:hook:*") == []
