"""What is dropped from the streams, and what never is. The arithmetic alone, then real servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserver.feed import trim
from qserver.feed.cursor import Shard
from qserver.feed.pull import Feed
from qserver.feed.trim import Trimmer, cut, safe
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests import servers

MOST = 100_000_000
ALL_OLD_MS = -1000
"""Kept for so long, even this moment's entries are old."""
ids = st.tuples(st.integers(1, 200), st.integers(0, 3))
floors = st.dictionaries(st.tuples(st.just(""), st.text(max_size=2)), ids, max_size=6)


@given(floors, ids)
def test_nothing_goes_that_is_young_or_that_a_group_has_not_read(groups: trim.Floors, horizon: trim.Id) -> None:
    to = safe(groups, horizon)
    assert to <= horizon and all(to <= floor for floor in groups.values())


@given(floors, ids)
def test_a_cut_takes_from_the_slowest_group_alone_and_nothing_young(groups: trim.Floors, horizon: trim.Id) -> None:
    to, losers = cut(groups, horizon)
    assert to <= horizon
    assert losers == {name for name, floor in groups.items() if floor < to}
    assert len({groups[name] for name in losers}) <= 1
    assert (to == horizon) or losers


async def fill(store: Store, count: int) -> None:
    for _ in range(count):
        await store.issue(SYSTEM, "h1", "a")


async def read_all(feed: Feed, name: str, *, hall: str = "", most: int = 1000) -> None:
    batch = await feed.pull(hall, name, Shard(), most, 0)
    await feed.ack(SYSTEM, hall, name, batch.cursor)


async def length(store: Store) -> int:
    return (await store.stream_info(store.partition("h1"))).length


async def test_what_is_young_stays_though_all_have_read_it(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=True)
    await fill(store, 5)
    await read_all(feed, "g")
    before = await length(store)
    assert await Trimmer(store).once() == trim.Trimmed(0, frozenset())
    assert await length(store) == before


async def test_what_is_old_and_read_by_all_goes(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=True)
    await fill(store, 5)
    await read_all(feed, "g")
    await fill(store, 2)
    trimmed = await Trimmer(store, keep_ms=ALL_OLD_MS).once()
    assert trimmed.dropped > 5 and not trimmed.cut
    batch = await feed.pull("", "g", Shard(), 1000, 0)
    assert (len(batch.events), batch.truncated) == (2, False)


async def test_what_somebody_has_not_read_stays_however_old_it_is(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "quick", from_start=True)
    await feed.create(SYSTEM, "", "slow", from_start=True)
    await feed.create(SYSTEM, "h1", "halls", from_start=True)
    await fill(store, 8)
    await read_all(feed, "quick")
    await read_all(feed, "slow", most=3)
    await Trimmer(store, keep_ms=ALL_OLD_MS).once()
    rest = await feed.pull("", "slow", Shard(), 1000, 0)
    assert [event.s for event in rest.events if event.hall == "h1"] == list(range(10 - len(rest.events), 10))
    assert not rest.truncated
    whole = await feed.pull("h1", "halls", Shard(), 1000, 0)
    assert [event.s for event in whole.events] == list(range(1, 10)) and not whole.truncated


async def test_each_part_of_a_group_is_waited_for(store: Store, feed: Feed) -> None:
    await feed.create(SYSTEM, "", "g", from_start=False)
    await fill(store, 20)
    one, two = Shard(1, 2), Shard(2, 2)
    batch = await feed.pull("", "g", one, 1000, 0)
    await feed.ack(SYSTEM, "", "g", batch.cursor)
    await Trimmer(store, keep_ms=ALL_OLD_MS).once()
    rest = await feed.pull("", "g", two, 1000, 0)
    assert len(batch.events) + len(rest.events) == 20 and not rest.truncated


async def test_without_groups_what_is_old_goes(store: Store, feed: Feed) -> None:
    await fill(store, 5)
    await Trimmer(store, keep_ms=ALL_OLD_MS).once()
    assert await length(store) == 0
    await feed.create(SYSTEM, "", "g", from_start=False)
    await fill(store, 1)
    assert len((await feed.pull("", "g", Shard(), 1000, 0)).events) == 1


def used(server: servers.DataServer) -> int:
    lines: str = server.ask("INFO", "memory").decode()
    return int(lines.split("used_memory:")[1].split()[0])


async def fill_memory(store: Store) -> None:
    """2 MB of events."""
    for _ in range(200):
        await store.device_event(SYSTEM, "h1", "connected", device="d" * 10_000, role="display", topic="board")


@pytest.fixture
def bounded(data_server: servers.DataServer) -> Iterator[servers.DataServer]:
    """The data server with 100 MB to use."""
    data_server.ask("CONFIG", "SET", "maxmemory", MOST)
    yield data_server
    data_server.ask("CONFIG", "SET", "maxmemory", 0)


async def test_short_of_memory_the_slowest_group_is_cut_and_told_and_the_others_keep_theirs(
    bounded: servers.DataServer, store: Store, feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    await feed.create(SYSTEM, "", "forgotten", from_start=True)
    await feed.create(SYSTEM, "", "slow", from_start=True)
    await fill_memory(store)
    await read_all(feed, "slow")
    await fill(store, 3)
    trimmer = Trimmer(store, keep_ms=ALL_OLD_MS, full=(used(bounded) - 1_000_000) / MOST)
    with caplog.at_level(logging.ERROR):
        trimmed = await trimmer.once()
    assert trimmed.cut == {("", "forgotten")} and trimmed.dropped > 200
    assert "group forgotten of all halls was cut" in caplog.text
    assert 'qserver_feed_group_cut_total{hall="",group="forgotten"} 1' in list(trimmer.metrics())
    assert 'qserver_feed_group_cut_total{hall="",group="slow"} 0' in list(trimmer.metrics())
    for name, lost in (("forgotten", True), ("slow", False)):
        batch = await feed.pull("", name, Shard(), 1000, 0)
        assert ([event.kind for event in batch.events], batch.truncated) == (["ticket.issued"] * 3, lost)


async def test_short_of_memory_the_last_hour_is_never_cut(
    bounded: servers.DataServer, store: Store, feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    await feed.create(SYSTEM, "", "forgotten", from_start=True)
    await fill_memory(store)
    with caplog.at_level(logging.ERROR):
        assert await Trimmer(store, full=1e-6).once() == trim.Trimmed(0, frozenset())
    assert "memory is short" in caplog.text


async def test_short_of_memory_less_is_kept_than_usual_when_streams_are_what_fills_it(
    bounded: servers.DataServer, store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trim, "LEAST_KEPT_MS", 0)
    await fill_memory(store)
    enough = used(bounded) - 1_000_000
    trimmed = await Trimmer(store, full=enough / MOST).once()
    assert trimmed.dropped and not trimmed.cut
    assert await length(store) > 0 and used(bounded) <= enough + 100_000, "no more is dropped than needed"


async def test_short_of_memory_for_other_reasons_the_streams_are_left_alone(
    bounded: servers.DataServer, store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trim, "LEAST_KEPT_MS", 0)
    bounded.ask("SET", "something-else", "x" * 5_000_000)
    await fill(store, 10)
    assert await Trimmer(store, full=1e-6).once() == trim.Trimmed(0, frozenset())


async def test_trimming_goes_on_by_itself_and_shows_how_far_groups_are_behind(
    valkey_store: Store, valkey_feed: Feed
) -> None:
    await fill(valkey_store, 4)
    await valkey_feed.create(SYSTEM, "h1", "g", from_start=True)
    await read_all(valkey_feed, "g", hall="h1", most=2)
    trimmer = Trimmer(valkey_store, keep_ms=ALL_OLD_MS, every_s=0.01)
    trimmer.start()
    try:
        while 'qserver_feed_group_lag{hall="h1",group="g"} 3' not in list(trimmer.metrics()):
            await asyncio.sleep(0.01)
        assert await length(valkey_store) == 3
    finally:
        await trimmer.stop()
