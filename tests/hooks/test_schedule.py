"""What is tried when, without a loop: the specification's schedule, `Retry-After`, a receiver that is away."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import msgspec
import pytest

from qserver.feed.cursor import Cursor
from qserver.hooks import schedule
from qserver.hooks.tally import DEAD, DELIVERED, Item, Outcome, Tally, expired
from qserver.store.answers import Failed, HookRecord, LetterRecord

NOW = 1_795_480_000_000
HOUR = 3_600_000
HOOK = HookRecord(
    "one", "", "http://x", ["*"], "", NOW, 1, 0, 0, "", "p", NOW, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", 0
)  # fmt: skip
GOOD, BAD = Outcome(204, "", 0, 1), Outcome(500, "answered 500", 0, 1)


def hook(**changes: Any) -> HookRecord:
    return msgspec.structs.replace(HOOK, **changes)


def letter(n: int, due_ms: int, attempts: int = 1) -> LetterRecord:
    return LetterRecord(n, f"h1:d:A:{n}", "ticket.called", "{}", NOW, attempts, due_ms, NOW, "x", 0, False)


def item(n: int = 0, attempts: int = 0, at_ms: int = NOW) -> Item:
    return Item(f"h1:d:A:{n}", "ticket.called", "{}", at_ms, n, attempts)


def test_the_schedule_is_the_specifications() -> None:
    since = [f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in accumulate(schedule.DELAYS_S)]
    assert since == [
        "00:00:05", "00:05:05", "00:35:05", "02:35:05", "07:35:05", "17:35:05", "31:35:05", "51:35:05", "75:35:05"
    ]  # fmt: skip


def test_delays_are_lengthened_by_chance_and_end() -> None:
    for attempts, delay_s in enumerate(schedule.DELAYS_S, 1):
        assert schedule.delay_ms(attempts, 0, 0.0) == delay_s * 1000
        assert delay_s * 1000 < (schedule.delay_ms(attempts, 0, 0.99) or 0) < delay_s * 1100
    assert schedule.delay_ms(len(schedule.DELAYS_S) + 1, 0, 0.0) is None
    assert schedule.delay_ms(1, HOUR, 0.5) == HOUR, "not before the receiver wants it"


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("120", 120_000),
        (" 7 ", 7000),
        ("Tue, 24 Nov 2026 00:27:40 GMT", 60_000),
        ("Tue, 24 Nov 2026 00:00:00 GMT", 0),
        ("99999999999999999999999", schedule.LONGEST_REST_MS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", schedule.LONGEST_REST_MS),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
        ("１２", 0),
        ("Tue, 99 Nov 2026 00:27:40 GMT", 0),
    ],
)
def test_retry_after(header: str, wanted: int) -> None:
    assert schedule.retry_after_ms(header, NOW) == wanted


def test_what_is_due_is_tried_with_what_follows_in_the_feed() -> None:
    due, later = letter(1, NOW), letter(2, NOW + 700)
    plan = schedule.plan(hook(), [due], NOW, 10_000)
    assert (plan.letters, plan.events) == ([due], schedule.BATCH)
    plan = schedule.plan(hook(), [later], NOW, 10_000)
    assert (plan.letters, plan.events, plan.pause_ms, plan.deaf) == ([], schedule.BATCH, 700, False)
    assert schedule.plan(hook(), [], NOW, 10_000).pause_ms == 10_000


def test_older_letters_go_before_later_events() -> None:
    many = [letter(n, NOW) for n in range(schedule.BATCH)]
    assert schedule.plan(hook(), many, NOW, 10_000).events == 0


def test_who_is_away_is_tried_more_and_more_seldom() -> None:
    pauses = [schedule.probe_ms(schedule.AWAY_AFTER + n) // 1000 for n in range(9)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert schedule.probe_ms(10**9) == schedule.PROBE_MS
    away = hook(failures=5, tried_ms=NOW)
    assert schedule.plan(away, [letter(1, NOW)], NOW + 4999, 10_000) == schedule.Plan((), [letter(1, NOW)], 0, 1, True)
    assert schedule.plan(away, [], NOW + 5000, 10_000).events == 1


def test_what_is_tried_for_all_is_in_turn_a_new_event_and_a_letter() -> None:
    turns = []
    for failures in range(5, 9):
        away = hook(failures=failures, tried_ms=NOW)
        found = schedule.plan(away, [letter(1, NOW + HOUR)], NOW + schedule.PROBE_MS, 10_000)
        assert found.either and found.letters == [letter(1, NOW + HOUR)] and found.due == []
        turns.append(found.events)
    assert turns == [1, 0, 1, 0]


def test_a_clock_that_went_back_locks_nobody_out() -> None:
    assert schedule.plan(hook(rest_until_ms=NOW + HOUR), [], NOW, 10_000).deaf
    assert schedule.plan(hook(rest_until_ms=NOW + 48 * HOUR), [], NOW, 10_000).events
    assert schedule.plan(hook(failures=5, tried_ms=NOW + HOUR), [], NOW, 10_000).events == 1


def test_a_round_ends_when_there_is_no_use_in_another_attempt() -> None:
    tally = Tally(hook())
    for n in range(4):
        tally.note(item(n + 1), BAD)
    assert not tally.over
    tally.note(item(5), BAD)
    assert tally.over and tally.away
    for outcome in (Outcome(410, "answered 410", 0, 1), Outcome(429, "answered 429", 1000, 1)):
        tally = Tally(hook())
        tally.note(item(1), outcome)
        assert tally.over and not tally.away
    tally = Tally(hook(failures=4))
    tally.note(item(1), GOOD)
    assert tally.failures == 0


def test_what_was_not_tried_has_lost_nothing() -> None:
    tally = Tally(hook())
    sent, failed, untried = item(0, at_ms=1), item(0, at_ms=2), item(0, at_ms=3)
    old, new = item(7, attempts=9), item(8, attempts=2)
    tally.note(sent, GOOD)
    tally.note(failed, BAD)
    found = tally.settlement([old, new], [sent, failed, untried], Cursor("g", 1, 1, [1, 2, 3, 4]))
    assert found.letters == []
    assert [(one.at_ms, one.attempts, one.error) for one in found.events] == [
        (2, 1, "answered 500"),
        (3, 0, "not tried yet"),
    ]
    assert (found.group, found.positions, found.sent, found.failed) == ("g", [1, 2, 3, 4], 1, 1)
    tally.note(old, BAD)
    tally.note(new, GOOD)
    found = tally.settlement([old, new], [], None)
    assert [(one.n, one.delay_ms) for one in found.letters] == [(8, DELIVERED), (7, DEAD)]
    assert found.group == ""


def test_while_away_one_failure_is_an_attempt_of_all_that_are_due() -> None:
    first, other = item(1, attempts=3), item(2, attempts=9)
    tally = Tally(hook(failures=7))
    tally.note(first, BAD)
    found = tally.settlement([first, other], [], None)
    assert [(one.n, one.delay_ms == DEAD) for one in found.letters] == [(1, False), (2, True)]
    assert not found.back and found.failures == 8
    assert tally.settlement([], [], None).letters == [], "tried before it was due: no attempt of its own"
    tally = Tally(hook(failures=7))
    tally.note(first, GOOD)
    found = tally.settlement([first, other], [], None)
    assert [(one.n, one.delay_ms) for one in found.letters] == [(1, DELIVERED)]
    assert found.back and found.failures == 0


def test_only_what_waited_as_long_as_the_schedule_lasts_dies_unheard() -> None:
    position = Cursor("g", 1, 1, [0, 0, 0, 0])
    old, young = item(at_ms=NOW - schedule.SPAN_MS), item(1, at_ms=NOW - HOUR)
    assert expired(hook(failures=9), [young], NOW, position) is None
    assert expired(hook(failures=9), [], NOW, position) is None
    found = expired(hook(failures=9), [old, young], NOW, position)
    assert found is not None and found.failures == 9

    def dead(one: Failed) -> bool:
        return one.delay_ms == DEAD

    assert [dead(one) for one in found.events] == [True, False]
