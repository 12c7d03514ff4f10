"""What stands on the screen."""

from __future__ import annotations

from displays.board import SHOWN_CALLS, Screen
from qserver.wire.board import Board
from qserver.wire.messages import BoardView, CallView, NoticeView, Snapshot, WindowView


def screen(calls: list[CallView]) -> Screen:
    windows = [WindowView("w1", "1 号窗口", "called", "A003"), WindowView("w2", "2 号窗口", "paused", None)]
    notices = [NoticeView("1", "今天下午停电", 0)]
    made = Screen()
    made.board = Board(Snapshot("e", 9, BoardView("h1", calls, windows, {"a": 2}, notices)))
    return made


def call(ticket: str, n: int = 1, at_ms: int = 0) -> CallView:
    return CallView(1, ticket, "w1", "a", n, at_ms)


def test_each_ticket_stands_once_with_its_newest_call() -> None:
    lines = screen([call("A002", 2), call("A003"), call("A002", 1)]).calls()
    assert [(line.ticket, line.again, line.window) for line in lines] == [
        ("A002", True, "1 号窗口"),
        ("A003", False, "1 号窗口"),
    ]


def test_only_the_last_calls_are_shown() -> None:
    assert len(screen([call(f"A{n:03}") for n in range(20)]).calls()) == SHOWN_CALLS


def test_the_board_as_text_says_states_in_both_languages_and_the_notice() -> None:
    text = "\n".join(screen([call("A003")]).lines())
    for part in ("A003", "请到", "please come", "暂停服务", "等候 Waiting: a 2", "今天下午停电"):
        assert part in text


def test_a_lost_connection_hides_the_numbers() -> None:
    made = screen([call("A003")])
    made.lost(1_790_000_000_000)
    made.lost(1_790_000_600_000)  # still the first time
    (line,) = made.lines()
    assert "连接中断" in line
    assert "Connection lost since" in line
    assert "A003" not in line
    assert made.lost_since_ms == 1_790_000_000_000
    made.found()
    assert "A003" in "\n".join(made.lines())


def test_before_anything_is_known_it_says_so() -> None:
    assert "Connecting" in Screen().lines()[0]
    assert Screen().window_name("w7") == "w7"
