"""Cursors and shards: what reads back, what is refused, and that parts are disjoint and complete."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserver.domain.errors import Refusal
from qserver.feed import cursor
from qserver.feed.cursor import Cursor, Shard

numbers = st.integers(0, 2**53)


@given(st.lists(numbers, min_size=4, max_size=68).map(lambda n: n[: len(n) // 4 * 4]), st.integers(1, 32))
def test_a_cursor_reads_back(positions: list[int], of: int) -> None:
    given_out = Cursor("0a1b2c3d", of, of, positions)
    text = given_out.text()
    assert cursor.read(text) == given_out
    assert text.isascii() and not set(text) & set("+/=&?# ")


def test_a_cursor_over_the_most_partitions_there_may_be_reads_back() -> None:
    usual = Cursor("0a1b2c3d", 1, 1, [3, 1_795_480_000_000, 2, 100_000] * 1025)
    assert cursor.read(usual.text()) == usual


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_what_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="none of ours"):
        cursor.read(text)


@given(st.data())
def test_a_changed_cursor_is_refused(data: st.DataObject) -> None:
    text = Cursor("0a1b2c3d", 1, 1, [1, 2, 3, 4]).text()
    at = data.draw(st.integers(0, len(text) - 2))  # the last letter may hold bits that mean nothing
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda letter: letter != text[at]))
    with pytest.raises(Refusal):
        cursor.read(text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1/33", "x", "1", "1/", "/4", "1/4/4", "-1/4", "01/4", " 1/4"])
def test_a_part_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="write 1/4"):
        cursor.shard(text)


def test_no_part_is_the_whole() -> None:
    assert cursor.shard("") == Shard(1, 1) == cursor.shard("1/1")
    assert cursor.shard("3/4") == Shard(3, 4)


@given(st.integers(1, 32), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_every_event_falls_to_one_part(of: int, hall: str, ticket: str, window: str) -> None:
    assert sum(Shard(k, of).has(hall, ticket, window) for k in range(1, of + 1)) == 1


def test_the_tickets_of_one_hall_spread_over_the_parts() -> None:
    tickets = [f"20261124-A{n:03}" for n in range(1, 1001)]
    sizes = Counter(next(k for k in range(1, 5) if Shard(k, 4).has("h1", ticket, "")) for ticket in tickets)
    assert min(sizes.values()) > 200


def test_where_a_ticket_was_does_not_matter() -> None:
    assert len({Shard(1, 2).has("h1", "20261124-A001", window) for window in ("", "w1", "w2")}) == 1
