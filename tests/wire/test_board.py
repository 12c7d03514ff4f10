"""The one fold of board events."""

from __future__ import annotations

from qserver.wire.board import CALLS, Board
from qserver.wire.messages import BoardEvent, BoardView, CallView, Snapshot, WindowView


def board() -> Board:
    windows = [WindowView("w1", "1 号窗口", "idle", None), WindowView("w2", "2 号窗口", "closed", None)]
    return Board(Snapshot("e", 3, BoardView("h1", [], windows, {"a": 2, "b": 0}, [])))


def test_a_call_heads_the_calls_takes_the_window_and_the_waiting_count() -> None:
    folded = board()
    folded.apply(
        BoardEvent(s=4, p=3, k="call", at_ms=9, ticket="A001", window="w1", state="called", service="a", n=1, waiting=1)
    )
    assert folded.calls == [CallView(4, "A001", "w1", "a", 1, 9)]
    assert folded.windows["w1"] == WindowView("w1", "1 号窗口", "called", "A001")
    assert folded.waiting == {"a": 1, "b": 0}
    assert folded.s == 4
    assert folded.snapshot().board.windows[0].ticket == "A001"


def test_a_window_shows_a_number_only_while_one_is_there() -> None:
    folded = board()
    for s, state in enumerate(("called", "serving", "idle", "paused", "closed"), 4):
        folded.apply(BoardEvent(s=s, p=s - 1, k="window", at_ms=0, window="w1", state=state, ticket="A001"))
        assert folded.windows["w1"].ticket == ("A001" if state in ("called", "serving") else None)


def test_events_without_a_window_leave_windows_alone() -> None:
    folded = board()
    before = dict(folded.windows)
    folded.apply(BoardEvent(s=4, p=3, k="issue", at_ms=0, ticket="A002", service="b", waiting=1))
    folded.apply(BoardEvent(s=5, p=4, k="overtime", at_ms=0, window="w1", ticket="A001", service="a"))
    assert folded.windows == before
    assert folded.waiting == {"a": 2, "b": 1}
    assert folded.calls == []


def test_only_the_last_calls_are_remembered_newest_first() -> None:
    folded = board()
    for s in range(4, 4 + CALLS + 5):
        folded.apply(BoardEvent(s=s, p=s - 1, k="recall", at_ms=s, ticket=f"A{s:03}", window="w1", state="called", n=2))
    assert len(folded.calls) == CALLS
    assert folded.calls[0].ticket == f"A{3 + CALLS + 5:03}"
    assert all(call.n == 2 for call in folded.calls)


def test_a_window_nobody_told_of_is_shown_by_its_id() -> None:
    folded = board()
    folded.apply(BoardEvent(s=4, p=3, k="window", at_ms=0, window="w9", state="idle", ticket=None))
    assert folded.windows["w9"] == WindowView("w9", "w9", "idle", None)


def test_a_snapshot_is_a_copy() -> None:
    folded = board()
    shot = folded.snapshot()
    folded.apply(BoardEvent(s=4, p=3, k="issue", at_ms=0, ticket="A002", service="b", waiting=1))
    assert shot.board.waiting == {"a": 2, "b": 0}
    assert Board(shot).snapshot() == shot
