"""Groups on real data servers: at least once, until acknowledged, to whoever asks; parts, halls, what was dropped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
import pytest

from qserver.domain.errors import Refusal, Unavailable
from qserver.domain.events import Event
from qserver.feed import cursor, pull
from qserver.feed.cursor import Shard
from qserver.feed.pull import Batch, Feed
from qserver.store import keys
from qserver.store.answers import SYSTEM
from qserver.store.groups import Groups, Position, flat
from qserver.store.store import Store
from tests import servers
from tests.halls import small_hall

WHOLE = Shard()


async def issue(store: Store, count: int, hall: str = "h1") -> None:
    for _ in range(count):
        await store.issue(SYSTEM, hall, "a")


async def pulled(feed: Feed, name: str = "g", *, hall: str = "", shard: Shard = WHOLE, most: int = 1000) -> Batch:
    return await feed.pull(hall, name, shard, most, 0)


async def drained(
    feed: Feed, name: str = "g", *, hall: str = "", shard: Shard = WHOLE, most: int = 1000
) -> list[Event]:
    """Everything up to the end, acknowledged batch by batch."""
    found: list[Event] = []
    while (batch := await pulled(feed, name, hall=hall, shard=shard, most=most)).events:
        found += batch.events
        await feed.ack(SYSTEM, hall, name, batch.cursor)
    assert batch.lag == 0
    return found


def of_hall(events: Sequence[Event], hall: str = "h1") -> list[int]:
    return [event.s for event in events if event.hall == hall]


async def test_a_group_from_now_on_gets_what_happens_from_now_on(store: Store, feed: Feed) -> None:
    await issue(store, 3)
    await feed.create(SYSTEM, "", "g", from_start=False)
    assert (await pulled(feed)).events == []
    await issue(store, 2)
    assert [event.kind for event in (await pulled(feed)).events] == ["ticket.issued"] * 2


async def test_a_group_from_the_start_gets_everything_that_is_kept(store: Store, feed: Feed) -> None:
    await issue(store, 3)
    await feed.create(SYSTEM, "", "g", from_start=True)
    assert of_hall((await pulled(feed)).events) == [1, 2, 3, 4]


async def test_the_same_comes_again_until_it_is_acknowledged(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 3)
    first = await pulled(feed)
    assert await pulled(feed) == first
    await issue(store, 1)
    more = await pulled(feed)
    assert more.events[:3] == first.events and len(more.events) == 4
    await feed.ack(SYSTEM, "", "g", first.cursor)
    assert (await pulled(feed)).events == more.events[3:]


async def test_another_process_goes_on_where_the_first_one_stood(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 4)
    half = await pulled(feed, most=2)
    await feed.ack(SYSTEM, "", "g", half.cursor)
    assert of_hall((await pulled(Feed(store))).events) == [4, 5]


async def test_an_older_cursor_changes_nothing(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 4)
    older, newer = await pulled(feed, most=2), await pulled(feed, most=3)
    stands, _ = await feed.ack(SYSTEM, "", "g", newer.cursor)
    assert stands == newer.cursor
    assert await feed.ack(SYSTEM, "", "g", older.cursor) == (newer.cursor, False)
    assert of_hall((await pulled(feed)).events) == [5]


async def test_an_empty_batch_carries_the_unchanged_cursor_and_no_lag(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    before = await pulled(feed)
    assert before == await pulled(feed)
    await issue(store, 1)
    batch = await pulled(feed)
    await feed.ack(SYSTEM, "", "g", batch.cursor)
    assert await pulled(feed) == Batch([], batch.cursor, 0, False)


async def test_registering_again_moves_nothing(store: Store, feed: Feed) -> None:
    first, created = await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 2)
    again, created_again = await feed.create(SYSTEM, "", "g", from_start=True)
    assert (first, created, created_again) == (again, True, False)
    assert of_hall((await pulled(feed)).events) == [2, 3]


async def test_a_removed_group_is_gone_and_its_cursors_are_of_no_use_to_the_next(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=True)
    old = await pulled(feed)
    await feed.remove(SYSTEM, "", "g")
    for gone in (pulled(feed), feed.ack(SYSTEM, "", "g", old.cursor), feed.remove(SYSTEM, "", "g")):
        with pytest.raises(Refusal) as refused:
            await gone
        assert refused.value.code == "not_found"
    await feed.create(SYSTEM, "", "g", from_start=True)
    with pytest.raises(Refusal) as refused:
        await feed.ack(SYSTEM, "", "g", old.cursor)
    assert refused.value.code == "validation"


@pytest.mark.parametrize("most", [1, 7, 50])
async def test_batches_of_any_size_hold_each_event_once_and_rise_in_sequence(
    store: Store, feed: Feed, most: int
) -> None:
    halls = ["h1", "h2", "h3", "h4"]
    for hall in halls[1:]:
        await store.configure(SYSTEM, small_hall(hall))
    await feed.create(SYSTEM, "", "g", from_start=True)
    await asyncio.gather(*(issue(store, 15, hall) for hall in halls))
    found = await drained(feed, most=most)
    assert [of_hall(found, hall) for hall in halls] == [list(range(1, 17))] * 4


async def test_a_batch_is_as_full_as_it_may_be(store: Store, feed: Feed) -> None:
    await store.configure(SYSTEM, small_hall("h2"))
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 30)
    await issue(store, 2, "h2")
    assert len((await pulled(feed, most=20)).events) == 20


async def test_the_lag_counts_down_to_nothing(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 10)
    lags = []
    while (batch := await pulled(feed, most=4)).events:
        lags.append(batch.lag)
        await feed.ack(SYSTEM, "", "g", batch.cursor)
    assert (lags, batch.lag) == ([10, 6, 2], 0)


async def test_parts_are_disjoint_and_complete_and_each_has_its_own_position(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=True)
    await issue(store, 40)
    await store.open(SYSTEM, "h1", "w1", staff="li")
    for _ in range(10):
        await store.call(SYSTEM, "h1", "w1")
        await store.begin_service(SYSTEM, "h1", "w1")
        await store.finish(SYSTEM, "h1", "w1")
    parts = [Shard(k, 4) for k in range(1, 5)]
    first = await pulled(feed, shard=parts[0])
    found = [await drained(feed, shard=part, most=5) for part in parts]
    assert found[0][: len(first.events)] == first.events, "another part's acknowledgements move nothing here"
    assert all(found)
    ids = [event.id for part in found for event in part if event.hall == "h1"]
    assert len(ids) == len(set(ids))
    assert sorted(event.s for part in found for event in part if event.hall == "h1") == list(range(1, len(ids) + 1))
    assert [of_hall(part) == sorted(of_hall(part)) for part in found] == [True] * 4
    by_ticket = [{event.ticket for event in part if event.ticket} for part in found]
    assert sum(map(len, by_ticket)) == len(set().union(*by_ticket)) == 40, "a ticket is always the same part's"


async def test_a_group_divided_otherwise_loses_nothing(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 20)
    done = await drained(feed, shard=Shard(1, 2))
    assert 0 < len(done) < 20
    assert len(await drained(feed)) == 20, "what part 2 of 2 has not read is not lost"
    await issue(store, 5)
    assert sum([len(await drained(feed, shard=Shard(k, 3))) for k in (1, 2, 3)]) == 5


async def test_a_group_of_a_hall_sees_that_hall_only(store: Store, feed: Feed) -> None:
    neighbour = next(name for name in map("x{}".format, range(1000)) if store.partition(name) == store.partition("h1"))
    for hall in (neighbour, "h2"):
        await store.configure(SYSTEM, small_hall(hall))
        await issue(store, 3, hall)
    await issue(store, 2)
    await feed.create(SYSTEM, "h1", "g", from_start=True)
    batch = await pulled(feed, hall="h1")
    assert {event.hall for event in batch.events} == {"h1"}
    assert (of_hall(batch.events), batch.lag) == ([1, 2, 3], 3)
    with pytest.raises(Refusal, match="no such group"):
        await pulled(feed, hall="h2")


async def test_a_group_of_all_halls_sees_tokens_too(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await store.create_token(SYSTEM, token_id="t1", role="guide", hall="h1", digest="d" * 64)
    (event,) = (await pulled(feed)).events
    assert (event.kind, event.hall, event.more()["token"]) == ("token.created", "-", "t1")


async def test_what_is_not_its_own_is_read_once_and_then_passed(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "PASS_AFTER", 10)
    await feed.create(SYSTEM, "h1", "g", from_start=False)
    neighbour = next(name for name in map("x{}".format, range(1000)) if store.partition(name) == store.partition("h1"))
    await store.configure(SYSTEM, small_hall(neighbour))
    await issue(store, 20, neighbour)
    before = await pulled(feed, hall="h1")
    (group,) = (await Groups(store).all()).values()
    stand = await Groups(store).stand(store.partition("h1"))
    assert group.done() == [stand.end], "the trimmer need not keep the neighbour's events for this group"
    assert await pulled(feed, hall="h1") == before == Batch([], before.cursor, 0, False)
    await issue(store, 1)
    after = await pulled(feed, hall="h1")
    assert (len(after.events), after.truncated) == (1, False)


async def test_whoever_missed_something_is_told_until_it_has_moved_on(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 10)
    partition = store.partition("h1")
    kept = (await store.last_events(partition, 4))[0][0].decode()
    await store.trim(partition, kept)
    batch = await pulled(feed, most=3)
    assert (of_hall(batch.events), batch.truncated, batch.lag) == ([8, 9, 10], True, 4)
    await feed.ack(SYSTEM, "", "g", batch.cursor)
    batch = await pulled(feed)
    assert (of_hall(batch.events), batch.truncated, batch.lag) == ([11], False, 1)


async def test_dropping_what_was_acknowledged_is_no_loss(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await issue(store, 5)
    await feed.ack(SYSTEM, "", "g", (await pulled(feed, most=3)).cursor)
    partition = store.partition("h1")
    await store.trim(partition, (await store.last_events(partition, 2))[0][0].decode())
    batch = await pulled(feed)
    assert (of_hall(batch.events), batch.truncated) == ([5, 6], False)


async def test_a_group_from_the_start_of_what_is_left_misses_nothing(store: Store, feed: Feed) -> None:
    await issue(store, 5)
    partition = store.partition("h1")
    await store.trim(partition, (await store.last_events(partition, 2))[0][0].decode())
    await feed.create(SYSTEM, "", "g", from_start=True)
    batch = await pulled(feed)
    assert (of_hall(batch.events), batch.truncated) == ([5, 6], False)


async def test_a_crash_of_the_data_server_neither_loses_nor_repeats(
    valkey: servers.DataServer, valkey_store: Store, valkey_feed: Feed
) -> None:
    await valkey_feed.create(SYSTEM, "", "g", from_start=False)
    await issue(valkey_store, 3)
    await valkey_feed.ack(SYSTEM, "", "g", (await pulled(valkey_feed, most=2)).cursor)
    valkey.kill9()
    valkey.restart()
    with contextlib.suppress(Unavailable):
        await valkey_store.ping()  # finds that the connection is broken
    await issue(valkey_store, 2)
    assert of_hall(await drained(valkey_feed)) == [4, 5, 6]


async def test_what_a_lost_tail_is_followed_by_is_given_though_its_ids_are_smaller(
    valkey: servers.DataServer, valkey_store: Store, valkey_feed: Feed
) -> None:
    """A primary dies with its last entries; the replica that goes on has a clock that is behind."""
    groups = Groups(valkey_store)
    partition = (valkey_store.partition("h1") + 1) % valkey_store.partitions
    stream, part = (keys.shared(valkey_store.tag(partition))[i] for i in (1, 0))

    def add(at: int, s: int) -> None:
        packed = msgspec.msgpack.encode(Event(s=s, kind="day.closed", at_ms=at, hall="lost", day="2026-11-24"))
        valkey.ask("XADD", stream, f"{at}-0", "e", packed)

    group, _ = await valkey_feed.create(SYSTEM, "", "g", from_start=True)
    valkey.ask("HSET", part, "gen", 1, "run", "x" * 40)
    add(100_000, 1)
    # 2 and 3, up to 120 000, were read and acknowledged, and then lost with the primary.
    acked = [group.stand(1, 1)[0][p] if p != partition else Position(1, 120_000, 0, 3) for p in range(17)]
    await groups.ack(SYSTEM, "", "g", group.id, 1, 1, flat(acked))
    valkey.ask("HSET", part, "gen", 2)
    valkey.ask("XADD", stream, "105000-0", "x", "2-aaaaaaaa")
    add(110_000, 2)
    assert of_hall((await pulled(valkey_feed)).events, "lost") == [2], "also while all is still before the position"
    add(130_000, 3)
    batch = await pulled(valkey_feed)
    assert (of_hall(batch.events, "lost"), batch.truncated) == ([2, 3], False)
    await valkey_feed.ack(SYSTEM, "", "g", batch.cursor)
    assert of_hall((await pulled(valkey_feed)).events, "lost") == []


async def test_a_group_may_not_be_registered_beyond_the_number_of_groups(valkey_feed: Feed) -> None:
    made = (valkey_feed.create(SYSTEM, "h1", f"g{n}", from_start=False) for n in range(1000))
    await asyncio.gather(*made)
    with pytest.raises(Refusal, match="too many groups"):
        await valkey_feed.create(SYSTEM, "h1", "one-more", from_start=False)


async def test_a_cursor_of_another_scope_is_refused(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=True)
    group, _ = await feed.create(SYSTEM, "h1", "g", from_start=True)
    foreign = (await pulled(feed)).cursor
    with pytest.raises(Refusal) as refused:
        await feed.ack(SYSTEM, "h1", "g", foreign)
    assert refused.value.code == "validation"
    forged = cursor.Cursor(group.id, 1, 1, [0] * 68).text()
    with pytest.raises(Refusal):
        await feed.ack(SYSTEM, "h1", "g", forged)
