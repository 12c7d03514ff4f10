"""Spoken calls: in order, one at a time, only while they are news, in words a voice reads right."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from displays.announce import ESPEAK, Announcement, Announcer
from qserver.wire.board import Board
from qserver.wire.messages import BoardEvent, BoardView, CallView, Snapshot, WindowView

NOW = 1_790_000_000_000


def board(calls: list[CallView] | None = None) -> Board:
    windows = [WindowView("w1", "1 号窗口", "idle", None), WindowView("w12", "w12", "idle", None)]
    return Board(Snapshot("e", 0, BoardView("h1", calls or [], windows, {}, [])))


def called(s: int, ticket: str, at_ms: int = NOW, kind: str = "call", window: str = "w1") -> BoardEvent:
    return BoardEvent(s=s, p=s - 1, k=kind, at_ms=at_ms, ticket=ticket, window=window, state="called", n=1)  # type: ignore[arg-type]


def test_calls_are_spoken_in_order_and_never_two_at_once() -> None:
    announcer = Announcer()
    announcer.event(called(1, "A001"), board())
    announcer.event(called(2, "A002"), board())
    first = announcer.next(NOW)
    assert first is not None
    assert first.ticket == "A001"
    assert announcer.next(NOW) is None  # it is still being said
    announcer.spoken()
    second = announcer.next(NOW)
    assert second is not None
    assert second.ticket == "A002"
    announcer.spoken()
    assert announcer.next(NOW) is None


def test_a_recall_is_spoken_too_and_skips_nothing() -> None:
    announcer = Announcer()
    announcer.event(called(1, "A001"), board())
    announcer.event(called(2, "A001", NOW + 5, "recall"), board())
    said = []
    while (one := announcer.next(NOW + 10)) is not None:
        said.append(one.s)
        announcer.spoken()
    assert said == [1, 2]


def test_old_calls_are_not_news() -> None:
    announcer = Announcer()
    announcer.event(called(1, "A001"), board())
    announcer.event(called(2, "A002", NOW + 20_000), board())
    one = announcer.next(NOW + 30_000)  # A001 is exactly 30 s old
    assert one is not None
    assert one.ticket == "A002"


def test_other_events_are_silent() -> None:
    announcer = Announcer()
    for kind in ("issue", "start", "finish", "miss", "window"):
        announcer.event(called(1, "A001", kind=kind), board())
    assert announcer.next(NOW) is None


def test_calls_missed_while_away_are_spoken_once_oldest_first() -> None:
    announcer = Announcer()
    announcer.event(called(5, "A001"), board())
    calls = [
        CallView(3, "A003", "w1", "a", 1, NOW + 2),  # another epoch counts anew
        CallView(2, "A002", "w1", "a", 1, NOW + 1),
        CallView(1, "A001", "w1", "a", 1, NOW),
    ]
    announcer.snapshot(board(calls))
    announcer.snapshot(board(calls))
    said = []
    while (one := announcer.next(NOW + 10)) is not None:
        said.append(one.ticket)
        announcer.spoken()
    assert said == ["A001", "A002", "A003"]


@given(st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), max_size=40))
def test_whatever_comes_order_is_kept_and_nothing_old_is_spoken(steps: list[tuple[int, bool]]) -> None:
    announcer = Announcer()
    now, said = NOW, []
    for s, (passed, finished) in enumerate(steps, 1):
        announcer.event(called(s, f"A{s:03}", now), board())
        now += passed // 10
        if finished:
            announcer.spoken()
        one = announcer.next(now)
        if one is not None:
            assert now - one.at_ms < 30_000
            assert announcer.next(now) is None
            said.append(one.s)
    assert said == sorted(set(said))


@pytest.mark.parametrize(
    ("window", "chinese", "english", "pinyin"),
    [
        ("1 号窗口", "请A001号到1号窗口", "Ticket A001, please go to window 1", "yi1 hao4 chuang1 kou3"),
        ("w12", "请A001号到12号窗口", "Ticket A001, please go to window 12", "shi2 er4 hao4 chuang1 kou3"),
        ("20", "请A001号到20号窗口", "Ticket A001, please go to window 20", "er4 shi2 hao4 chuang1 kou3"),
        ("综合窗", "请A001号到综合窗", "Ticket A001, please go to 综合窗", "dao4 chuang1 kou3"),
        ("综合", "请A001号到综合窗口", "Ticket A001, please go to 综合", "dao4 chuang1 kou3"),
    ],
)
def test_words(window: str, chinese: str, english: str, pinyin: str) -> None:
    announcement = Announcement(1, "A001", window, NOW)
    assert announcement.chinese == chinese
    assert announcement.english == english
    assert announcement.pinyin.startswith("qing3 ei1 ling2 ling2 yi1 hao4 dao4 ")
    assert announcement.pinyin.endswith(pinyin)


@pytest.mark.skipif(shutil.which(ESPEAK[0]) is None, reason="espeak-ng is not installed")
def test_the_voice_reads_pinyin() -> None:
    pinyin = Announcement(1, "BZ1234567890", "105 号窗口", NOW).pinyin
    done = subprocess.run([*ESPEAK, "-q", "-x", pinyin], capture_output=True, text=True, check=True)
    assert len(done.stdout.split("_|")) > len(pinyin.split()) * 0.8  # a syllable for each word, no spelling out
