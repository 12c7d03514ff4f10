"""What time decides: limits, misses, the end of rating, the day's turn, a clock that goes back, another server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest

from qserver.domain import hall
from qserver.domain.errors import Unavailable
from qserver.domain.events import Event
from qserver.domain.lifecycle import State
from qserver.store import keys
from qserver.store.answers import SYSTEM, Op, RatingItem
from qserver.store.connection import ReplyError
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests.servers import DataServer
from tests.store.clocks import MORNING, TimedStore
from tests.store.conftest import HALL

H = "h1"
MINUTE = 60_000


async def events(store: Store, *kinds: str) -> list[Event]:
    """The hall's events of these kinds (all without any), in order."""
    found = await store.read_events(store.partition(H), "-", 10_000)
    decoded = [msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in found if b"e" in fields]
    return [event for event in decoded if event.hall == H and (not kinds or event.kind in kinds)]


async def serve(store: TimedStore, service: str = "a", window: str = "w1") -> str:
    """A ticket in service at the window; answers its id."""
    if (await store.window(H, window)).state == "closed":
        await store.open(SYSTEM, H, window, staff="li")
    issued = (await store.issue(SYSTEM, H, service)).value.ticket
    await store.call(SYSTEM, H, window, ticket=issued.no)
    await store.begin_service(SYSTEM, H, window)
    return issued.id


async def test_a_service_is_warned_then_flagged_once_with_one_review(timed: TimedStore) -> None:
    ticket = await serve(timed)
    await timed.pass_ms(8 * MINUTE - 1)
    assert await timed.sweep_all() == 0
    await timed.pass_ms(1)
    assert await timed.sweep_all() == 1
    [warned] = await events(timed, "overtime.warned")
    assert (warned.ticket, warned.more(), warned.due_ms) == (ticket, {"what": "service"}, MORNING + 10 * MINUTE)
    await timed.pass_ms(2 * MINUTE)
    assert await timed.sweep_all() == 0, "at the limit is not over it"
    await timed.pass_ms(1)
    members = (await timed.due(timed.partition(H))).members
    assert sum(await asyncio.gather(*(timed.sweep(H, members) for _ in range(5)))) == 1
    [over] = await events(timed, "overtime.service")
    assert (over.window, over.staff, over.actor, over.service_ms) == ("w1", "li", "system", 10 * MINUTE + 1)
    await timed.pass_ms(MINUTE)
    await timed.finish(SYSTEM, H, "w1")
    assert len(await events(timed, "overtime.service")) == 1
    [review] = (await timed.reviews(H))[0]
    assert (review.source, review.ticket, review.leg, review.staff, review.state) == (
        "overtime",
        ticket,
        1,
        "li",
        "open",
    )
    assert (await timed.ticket(H, ticket)).overtime.service is True


async def test_a_finish_that_comes_before_the_sweep_flags_the_overtime_itself(timed: TimedStore) -> None:
    await serve(timed)
    await timed.pass_ms(10 * MINUTE + 1)
    finished = (await timed.finish(SYSTEM, H, "w1")).value
    assert finished.overtime.service
    assert [event.kind for event in await events(timed)][-4:] == [
        "overtime.service",
        "review.opened",
        "ticket.finished",
        "rating.prompted",
    ]
    assert (await events(timed, "review.opened"))[0].actor == "system"


async def test_a_service_within_its_limit_is_never_flagged(timed: TimedStore) -> None:
    await serve(timed)
    await timed.pass_ms(10 * MINUTE)
    await timed.finish(SYSTEM, H, "w1")
    await timed.pass_ms(60 * MINUTE)
    await timed.sweep_all()
    assert await events(timed, "overtime.service", "review.opened") == []


async def test_a_hold_stops_the_clock_of_the_service(timed: TimedStore) -> None:
    ticket = await serve(timed)
    await timed.pass_ms(5 * MINUTE)
    await timed.hold(SYSTEM, H, "w1", "papers")
    await timed.pass_ms(30 * MINUTE)
    assert await timed.sweep_all() == 0
    await timed.unhold(SYSTEM, H, "w1", ticket)
    await timed.pass_ms(5 * MINUTE)
    finished = (await timed.finish(SYSTEM, H, "w1")).value
    assert (finished.service_ms, finished.held_ms, finished.overtime.service) == (10 * MINUTE, 30 * MINUTE, False)


async def counting_holds(store: TimedStore) -> str:
    """The hall whose rule is that holds count; answers a ticket in service there."""
    await store.configure(SYSTEM, hall.parse(HALL | {"overtime": {"count_holds": True}}))
    return await serve(store)


async def test_where_holds_count_a_service_runs_over_its_limit_while_it_is_held(timed: TimedStore) -> None:
    ticket = await counting_holds(timed)
    await timed.pass_ms(5 * MINUTE)
    await timed.hold(SYSTEM, H, "w1", "papers")
    await timed.pass_ms(3 * MINUTE)
    await timed.sweep_all()
    [warned] = await events(timed, "overtime.warned")
    assert (warned.kind, warned.due_ms) == ("overtime.warned", MORNING + 10 * MINUTE)
    await timed.pass_ms(2 * MINUTE)
    await timed.sweep_all()
    assert await events(timed, "overtime.service") == [], "at the limit is not over it"
    await timed.pass_ms(1)
    await timed.sweep_all()
    [over] = await events(timed, "overtime.service")
    assert (over.due_ms, over.window, over.staff, over.service_ms) == (MORNING + 10 * MINUTE, "w1", "li", 5 * MINUTE)
    [opened] = await events(timed, "review.opened")
    said = opened.more()
    assert (said["spent_ms"], said["limit_ms"], opened.service_ms) == (10 * MINUTE + 1, 10 * MINUTE, 5 * MINUTE)
    await timed.unhold(SYSTEM, H, "w1", ticket)
    await timed.pass_ms(MINUTE)
    finished = (await timed.finish(SYSTEM, H, "w1")).value
    assert (finished.service_ms, finished.held_ms, finished.overtime.service) == (6 * MINUTE, 5 * MINUTE + 1, True)
    assert len((await timed.reviews(H))[0]) == 1, "once, however long it goes on"


async def test_where_holds_count_a_finish_after_one_flags_the_overtime_and_timers_leave_nothing_out(
    timed: TimedStore,
) -> None:
    ticket = await counting_holds(timed)
    await timed.hold(SYSTEM, H, "w1", "papers")
    await timed.pass_ms(8 * MINUTE)
    await timed.unhold(SYSTEM, H, "w1", ticket)
    window = await timed.window(H, "w1")
    assert (window.since_ms, window.held_ms, window.limit_ms) == (MORNING, 0, 10 * MINUTE)
    await timed.pass_ms(2 * MINUTE + 1)
    assert (await timed.finish(SYSTEM, H, "w1")).value.overtime.service


async def test_where_holds_count_one_before_the_service_began_does_not(timed: TimedStore) -> None:
    await timed.configure(SYSTEM, hall.parse(HALL | {"overtime": {"count_holds": True}}))
    await timed.open(SYSTEM, H, "w1")
    await timed.issue(SYSTEM, H, "a")
    await timed.call(SYSTEM, H, "w1")
    await timed.hold(SYSTEM, H, "w1", "papers")
    await timed.pass_ms(30 * MINUTE)
    await timed.sweep_all()
    await timed.unhold(SYSTEM, H, "w1", "A001")
    await timed.pass_ms(10 * MINUTE)
    assert not (await timed.finish(SYSTEM, H, "w1")).value.overtime.service


async def test_a_rating_given_in_time_does_not_take_the_overtime_review_away(timed: TimedStore) -> None:
    ticket = await serve(timed)
    await timed.pass_ms(10 * MINUTE + 1)
    await timed.finish(SYSTEM, H, "w1")
    [before] = (await timed.reviews(H))[0]
    results = (await timed.rate(Op("pad-1"), H, "w1", [RatingItem("r1", ticket, 1, 5, 0)])).value.results
    assert results[0].status == "recorded"
    assert (await timed.reviews(H))[0] == [before], "that the citizen was content is another fact"
    leg = (await timed.ticket(H, ticket)).legs[0]
    assert (leg.overtime.service, leg.rating and leg.rating.score) == (True, 5)


async def test_a_wait_is_warned_and_flagged_and_reviewed_only_if_the_hall_says_so(timed: TimedStore) -> None:
    await timed.issue(SYSTEM, H, "a")
    await timed.pass_ms(12 * MINUTE)
    await timed.sweep_all()
    await timed.pass_ms(3 * MINUTE + 1)
    await timed.sweep_all()
    assert [event.kind for event in await events(timed)][-2:] == ["overtime.warned", "overtime.wait"]
    assert (await timed.reviews(H))[0] == []
    await timed.configure(SYSTEM, hall.parse(HALL | {"overtime": {"wait_review": True}}))
    await timed.issue(SYSTEM, H, "a")
    await timed.pass_ms(16 * MINUTE)
    await timed.sweep_all()
    opened = [(review.source, review.window, review.staff) for review in (await timed.reviews(H))[0]]
    assert opened == [("wait", None, None)], "no window had anything to do with it"


async def test_a_called_ticket_is_missed_by_itself_after_miss_after(timed: TimedStore) -> None:
    await timed.configure(SYSTEM, hall.parse(HALL | {"calls": {"miss_after_s": 30}}))
    await timed.open(SYSTEM, H, "w1")
    await timed.issue(SYSTEM, H, "a")
    await timed.call(SYSTEM, H, "w1")
    await timed.pass_ms(20_000)
    await timed.recall(SYSTEM, H, "w1")
    await timed.pass_ms(29_999)
    await timed.sweep_all()
    assert (await timed.ticket(H, "A001")).state == State.CALLED
    await timed.pass_ms(1)
    await timed.sweep_all()
    assert (await timed.ticket(H, "A001")).state == State.MISSED
    assert (await timed.window(H, "w1")).state == "idle"
    assert (await timed.undo(SYSTEM, H, "w1")).value.state == State.CALLED


async def test_silence_is_unrated_and_ends_the_prompt(timed: TimedStore) -> None:
    await serve(timed)
    await timed.finish(SYSTEM, H, "w1")
    assert (await timed.window(H, "w1")).rate is not None
    await timed.pass_ms(30 * MINUTE)
    await timed.sweep_all()
    assert [event.kind for event in await events(timed, "rating.unrated", "rating.recorded")] == ["rating.unrated"]
    assert (await timed.window(H, "w1")).rate is None


async def test_a_rating_leaves_nothing_for_the_end_of_rating_time(timed: TimedStore) -> None:
    ticket = await serve(timed)
    await timed.finish(SYSTEM, H, "w1")
    await timed.rate(SYSTEM, H, "w1", [RatingItem("r", ticket, 1, 5, 0)])
    await timed.pass_ms(30 * MINUTE)
    await timed.sweep_all()
    assert await events(timed, "rating.unrated") == []


NEXT_DAY = MORNING + 24 * 3_600_000


async def full_hall(timed: TimedStore) -> None:
    """One ticket in every live state, and a finished one."""
    await serve(timed)
    await timed.finish(SYSTEM, H, "w1")  # A001
    held = await serve(timed)  # A002
    await timed.hold(SYSTEM, H, "w1", "papers")
    assert held.endswith("A002")
    await timed.issue(SYSTEM, H, "a")
    await timed.call(SYSTEM, H, "w1")
    await timed.miss(SYSTEM, H, "w1")  # A003
    await serve(timed)  # A004
    await timed.open(SYSTEM, H, "w2")
    await timed.issue(SYSTEM, H, "a")
    await timed.call(SYSTEM, H, "w2")  # A005
    await timed.issue(SYSTEM, H, "a", person="p")  # A006


async def check_turned(timed: TimedStore) -> None:
    old = {ticket.no: ticket for ticket in await timed.day_tickets(H, "2026-11-24")}
    assert {no: ticket.state for no, ticket in old.items()} == {
        "A001": "finished",
        "A002": "expired",
        "A003": "expired",
        "A004": "expired",
        "A005": "expired",
        "A006": "expired",
    }
    assert [no for no, ticket in old.items() if ticket.unreliable] == ["A002", "A003", "A004", "A005", "A006"]
    assert {window.state for window in await timed.windows(H)} == {"closed"}
    stats = await timed.stats(H)
    assert (stats.day, stats.services["a"]["finished"], stats.services["a"]["open_windows"]) == ("2026-11-25", 0, 0)
    assert len(await events(timed, "day.closed")) == 1
    assert len(await events(timed, "ticket.expired")) == 5


async def test_the_day_turns_when_swept_and_only_once(timed: TimedStore) -> None:
    await full_hall(timed)
    await timed.set(MORNING + 20 * 3_600_000)
    await asyncio.gather(timed.sweep_all(), timed.sweep_all())
    await check_turned(timed)


async def test_a_box_switched_on_late_turns_the_day_before_its_first_ticket(timed: TimedStore) -> None:
    await full_hall(timed)
    await timed.set(NEXT_DAY)
    issued = (await timed.issue(SYSTEM, H, "a", person="p")).value
    assert (issued.ticket.id, issued.ahead) == ("20261125-A001", 0)
    await timed.cancel(SYSTEM, H, "A001")
    await check_turned(timed)


async def test_a_finished_leg_stays_rateable_by_id_after_the_day(timed: TimedStore) -> None:
    ticket = await serve(timed)
    await timed.finish(SYSTEM, H, "w1")
    await timed.set(NEXT_DAY)
    results = (await timed.rate(SYSTEM, H, "", [RatingItem("r", ticket, 1, 4, 0)])).value.results
    assert results[0].status == "recorded"
    assert (await timed.ticket(H, ticket)).rating.source == "active_late"  # type: ignore[union-attr]


async def test_tickets_leave_once_past_their_rating_time(timed: TimedStore) -> None:
    await full_hall(timed)
    await timed.set(NEXT_DAY)
    await timed.issue(SYSTEM, H, "a")
    await timed.set(NEXT_DAY + 10 * 24 * 3_600_000)
    await timed.sweep_all()
    assert await timed.day_tickets(H, "2026-11-24") == []
    assert len(await timed.day_tickets(H, "2026-11-25")) == 1


async def test_a_small_step_back_is_clamped(timed: TimedStore) -> None:
    await serve(timed)
    await timed.pass_ms(-5000)
    finished = (await timed.finish(SYSTEM, H, "w1")).value
    assert (finished.service_ms, finished.finished_ms, finished.unreliable) == (0, MORNING, False)
    assert await events(timed, "clock.stepped") == []


async def test_a_large_step_back_is_recorded_and_flags_what_it_touches(timed: TimedStore) -> None:
    await serve(timed)
    await timed.pass_ms(-60_000)
    finished = (await timed.finish(SYSTEM, H, "w1")).value
    assert finished.unreliable
    [stepped] = await events(timed, "clock.stepped")
    assert (stepped.more(), stepped.at_ms) == ({"stepped_ms": 60_000}, MORNING - 60_000)
    await serve(timed)
    assert not (await timed.finish(SYSTEM, H, "w1")).value.unreliable


async def test_no_day_begins_twice_when_the_zone_changes(timed: TimedStore) -> None:
    await timed.issue(SYSTEM, H, "a")
    await timed.configure(SYSTEM, hall.parse(HALL | {"time_zone": "America/Los_Angeles"}))  # there it is still the 23rd
    await timed.pass_ms(4 * 3_600_000)
    assert (await timed.issue(SYSTEM, H, "a")).value.ticket.id == "20261124-A002"
    await timed.pass_ms(32 * 3_600_000)
    assert (await timed.issue(SYSTEM, H, "a")).value.ticket.id == "20261125-A001"


async def test_every_number_of_a_hall_is_exactly_one_event_and_the_public_chain_holds(timed: TimedStore) -> None:
    await full_hall(timed)
    await timed.set(NEXT_DAY)
    await timed.sweep_all()
    assert [event.s for event in await events(timed)] == list(range(1, (await timed.stats(H)).s + 1))
    ids = [event.id for event in await events(timed)]
    assert len(set(ids)) == len(ids)
    last = 0
    for _, fields in await timed.read_events(timed.partition(H), "-", 10_000):
        if b"b" in fields:
            frame: list[Any] = msgspec.msgpack.decode(fields[b"b"])
            assert (frame[0], frame[2]) == (H, last)
            last = frame[1]
    assert (await timed.board(H)).s == last


async def test_another_server_raises_the_epoch_and_kept_answers_survive_it(data_server: DataServer) -> None:
    topology = Topology.from_url(data_server.url)
    await topology.open()
    store = Store(topology)
    await store.start()
    await store.configure(SYSTEM, hall.parse(HALL))
    op = Op("t", b"key", b"1" * 16)
    issued = await store.issue(op, H, "a")
    before = await store.touch(store.partition(H))
    data_server.kill9()
    data_server.restart()
    again = None
    while again is None:  # what may have been lost with the connection is repeated with the same key
        with contextlib.suppress(Unavailable):
            again = await store.issue(op, H, "a")
    assert (again.value, again.replayed) == (issued.value, True)
    after = await store.touch(store.partition(H))
    assert after.ep != before.ep
    assert (await store.board(H)).ep == after.ep
    marks = [f[b"x"].decode() for _, f in await store.read_events(store.partition(H)) if b"x" in f]
    assert marks == [before.ep, after.ep]
    await store.close()


async def test_kept_answers_live_two_hours_and_not_for_ever(timed: TimedStore) -> None:
    op = Op("t", b"key", b"1" * 16)
    await timed.issue(op, H, "a")
    await timed.pass_ms(2 * 3_600_000 - 1)
    assert (await timed.issue(op, H, "a")).replayed
    await timed.pass_ms(2 * 3_600_000 + 1)
    await timed.issue(Op("t", b"other", b"1" * 16), H, "a")
    assert not (await timed.issue(op, H, "a")).replayed


async def test_a_deadline_that_cannot_be_acted_on_stays_due_and_the_others_are_done(timed: TimedStore) -> None:
    broken = await serve(timed)
    await timed.open(SYSTEM, H, "w2")
    await serve(timed, window="w2")
    tag = timed.tag(timed.partition(H))
    tickets = keys.hall_keys(tag, H)[7]
    whole = await timed._topology.call(tag, "HGET", tickets, broken)
    await timed._topology.call(tag, "HSET", tickets, broken, b"\x93")
    await timed.pass_ms(8 * MINUTE)
    first, second = (await timed.due(timed.partition(H))).members
    with pytest.raises(ReplyError):
        await timed.sweep(H, [first])
    assert await timed.sweep(H, [second]) == 1
    assert (await timed.due(timed.partition(H))).members == [first]
    await timed._topology.call(tag, "HSET", tickets, broken, whole)  # type: ignore[arg-type]
    assert await timed.sweep(H, [first]) == 1
