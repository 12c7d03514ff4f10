"""Spoken calls 叫号语音: in the order they were made, never two at once, and only while they are news.

Pure: it decides what is said next and in which words; whoever has a loudspeaker says it and reports back. Chinese text
is `请A001号到1号窗口`; for espeak-ng it is spelled in pinyin, whose voice reads 号 right where the plain one does not.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from qserver.wire.board import Board
from qserver.wire.messages import SPEAK_WITHIN_MS, BoardEvent

ESPEAK = ("espeak-ng", "-v", "cmn-latn-pinyin", "-s", "150")
"""The command that speaks pinyin; the text follows as its last argument."""
_DIGITS = ["ling2", "yi1", "er4", "san1", "si4", "wu3", "liu4", "qi1", "ba1", "jiu3"]
_LETTERS = {
    "A": "ei1", "B": "bi4", "C": "xi1", "D": "di4", "E": "yi4", "F": "ai2 fu5", "G": "ji4", "H": "ei1 chi5", "I": "ai4",
    "J": "zhei4", "K": "kei4", "L": "ai2 lou5", "M": "ai2 mu5", "N": "en1", "O": "ou1", "P": "pi1", "Q": "kiu1",
    "R": "a1 er5", "S": "ai2 si5", "T": "ti1", "U": "you1", "V": "wei1", "W": "da2 bu5 liu5", "X": "ai2 ke5 si5",
    "Y": "wai4", "Z": "zei1",
}  # fmt: skip


class Announcement(NamedTuple):
    """One call to be spoken. `s` is its event's number."""

    s: int
    ticket: str
    window: str  # the window's name
    at_ms: int

    @property
    def chinese(self) -> str:
        """What is said."""
        return f"请{self.ticket}号到{_place(self.window)}"

    @property
    def english(self) -> str:
        """The same in English."""
        number = _number(self.window)
        return f"Ticket {self.ticket}, please go to {f'window {number}' if number else self.window}"

    @property
    def pinyin(self) -> str:
        """What is said, spelled for the pinyin voice. A window without a number is just `zhe4 ge5`, this one."""
        number = _number(self.window)
        place = f"{_counted(int(number))} hao4 chuang1 kou3" if number else "chuang1 kou3"
        return f"qing3 {_spelled(self.ticket)} hao4 dao4 {place}"


class Announcer:
    """The queue of calls to speak."""

    __slots__ = ("_known", "_queue", "_speaking")

    def __init__(self) -> None:
        self._queue: deque[Announcement] = deque()
        self._known: deque[tuple[str, int]] = deque(maxlen=64)  # ticket and instant of calls taken; epochs change s
        self._speaking = False

    def event(self, event: BoardEvent, board: Board) -> None:
        """An event was applied; calls and recalls are queued."""
        if event.k in ("call", "recall") and isinstance(event.ticket, str) and isinstance(event.window, str):
            self._take(event.s, event.ticket, event.window, event.at_ms, board)

    def snapshot(self, board: Board) -> None:
        """Everything was replaced; calls that were missed are queued, oldest first."""
        for call in reversed(board.calls):
            self._take(call.s, call.ticket, call.window, call.at_ms, board)

    def next(self, now_ms: int) -> Announcement | None:
        """What to say now; None while something is being said, or nothing is left that is young enough."""
        if self._speaking:
            return None
        while self._queue:
            found = self._queue.popleft()
            if now_ms - found.at_ms < SPEAK_WITHIN_MS:
                self._speaking = True
                return found
        return None

    def spoken(self) -> None:
        """It has been said."""
        self._speaking = False

    def _take(self, s: int, ticket: str, window: str, at_ms: int, board: Board) -> None:
        if (ticket, at_ms) not in self._known:
            self._known.append((ticket, at_ms))
            known = board.windows.get(window)
            self._queue.append(Announcement(s, ticket, known.name if known is not None else window, at_ms))


def _number(window: str) -> str:
    """The number in a window's name or id, "" without one."""
    found = re.search(r"\d{1,4}", window)
    return str(int(found[0])) if found else ""


def _place(window: str) -> str:
    name = "".join(window.split())
    if "窗" in name:
        return name
    number = _number(name)
    return f"{number}号窗口" if number else f"{name}窗口"


def _spelled(ticket: str) -> str:
    """A ticket's number, character by character."""
    return " ".join(_DIGITS[int(one)] if one.isdigit() else _LETTERS.get(one.upper(), one) for one in ticket)


def _counted(number: int) -> str:
    """A number as it is counted: 12 is shi2 er4, 20 er4 shi2, 105 yi1 bai3 ling2 wu3."""
    if number < 10:
        return _DIGITS[number]
    if number < 20:
        return f"shi2 {_DIGITS[number - 10]}" if number > 10 else "shi2"
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{_DIGITS[tens]} shi2" + (f" {_DIGITS[ones]}" if ones else "")
    return " ".join(_DIGITS[int(one)] for one in str(number))
