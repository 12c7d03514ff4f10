"""What the pad shows and when: the window as the server tells it, touches and the time go in, ratings come out. Pure.

The pad asks once per finished service and counts down; silence is no rating 未评价. A face that was pressed is the
rating: what follows a negative one (reasons, words) is optional, and whoever leaves meanwhile has still rated.

    idle, called, serving ... --question--> ask --3..5--> thanks --> idle
                                            ask --1..2--> why --submit, time, next service--> thanks
                                            ask --time, next service--> idle     why --back--> ask

Instants are ms by the server's clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal, NamedTuple

ASK_MS = 90_000
WHY_MS = 60_000
THANKS_MS = 5_000
NEGATIVE = 2
"""This level and those below are negative 差评."""
REASONS_MAX = 10
COMMENT_MAX = 1000
_REMEMBERED = 200

Screen = Literal["waiting", "closed", "idle", "called", "serving", "paused", "ask", "why", "thanks"]


class Question(NamedTuple):
    """The service the pad may ask about, until when."""

    ticket: str
    leg: int
    until_ms: int


class Rating(NamedTuple):
    """What the citizen pressed. Not `final`: reasons may still follow, or it may be taken back."""

    ticket: str
    leg: int
    score: int
    reasons: tuple[str, ...] = ()
    comment: str = ""
    final: bool = True


class Withdrawn(NamedTuple):
    """The wrong face was pressed; nothing was sent yet."""

    ticket: str
    leg: int


class View(NamedTuple):
    """What to show: `left_ms` of the countdown, the `score` pressed, whether a rating may still be given."""

    screen: Screen
    left_ms: int = 0
    score: int = 0
    may_rate: bool = False


class Prompt:
    """One pad. `answered`: ticket and leg of what was rated at it before, so that nothing is asked twice."""

    def __init__(self, answered: Iterable[tuple[str, int]] = ()) -> None:
        self._answered = OrderedDict.fromkeys(answered)
        self._state: Screen = "waiting"
        self._offered: Question | None = None
        self._asked: Question | None = None
        self._ask_until = 0
        self._score = 0
        self._why_until = 0
        self._thanks_until = 0
        self._dismissed: tuple[str, int] | None = None

    @property
    def asked(self) -> Question | None:
        """What is being asked about now."""
        return self._asked

    def window(self, state: Screen, question: Question | None, now_ms: int) -> Rating | None:
        """The window's state came; the rating of a citizen whom it interrupted."""
        self._state, self._offered = state, question
        rating = None
        if self._asked is not None and (question is None or question[:2] != self._asked[:2]):
            rating = self._end(now_ms)
        if question is not None and self._asked is None and question[:2] != self._dismissed:
            self._ask(question, now_ms)
        return rating

    def again(self, now_ms: int) -> None:
        """Somebody wants to rate after the countdown ran out, while the server still allows it."""
        if self._asked is None and self._offered is not None:
            self._dismissed = None
            self._ask(self._offered, now_ms)

    def press(self, score: int, now_ms: int) -> Rating | None:
        """A face was pressed: a rating, not yet final when it is negative. None when nothing is asked."""
        if not 1 <= score <= 5:
            raise ValueError(f"{score} is not a level 1..5")
        if self._asked is None or self._score:
            return None
        self._score = score
        if score > NEGATIVE:
            return self._given(now_ms)
        self._why_until = now_ms + WHY_MS
        return Rating(self._asked.ticket, self._asked.leg, score, final=False)

    def back(self, now_ms: int) -> Withdrawn | None:
        """The wrong face was pressed: all five again."""
        if self._asked is None or not self._score:
            return None
        self._score = 0
        self._ask_until = max(self._ask_until, min(self._asked.until_ms, now_ms + ASK_MS))
        return Withdrawn(self._asked.ticket, self._asked.leg)

    def submit(self, reasons: Iterable[str], comment: str, now_ms: int) -> Rating | None:
        """What was wrong, in the hall's words and the citizen's own."""
        if self._asked is None or not self._score:
            return None
        return self._given(now_ms, tuple(reasons)[:REASONS_MAX], comment.strip()[:COMMENT_MAX])

    def tick(self, now_ms: int) -> Rating | None:
        """Time passes; the rating of a citizen who left during the reasons."""
        if self._asked is None or now_ms < (self._why_until if self._score else self._ask_until):
            return None
        self._dismissed = self._asked[:2]
        return self._end(now_ms)

    def view(self, now_ms: int) -> View:
        """What to show now."""
        if self._asked is not None:
            if self._score:
                return View("why", max(0, self._why_until - now_ms), self._score)
            return View("ask", max(0, self._ask_until - now_ms))
        if now_ms < self._thanks_until:
            return View("thanks")
        offered = self._offered
        may = offered is not None and now_ms < offered.until_ms and offered[:2] not in self._answered
        return View(self._state, may_rate=may)

    def _ask(self, question: Question, now_ms: int) -> None:
        if now_ms < question.until_ms and question[:2] not in self._answered:
            self._asked, self._score = question, 0
            self._ask_until = min(question.until_ms, now_ms + ASK_MS)

    def _end(self, now_ms: int) -> Rating | None:
        if self._score:
            return self._given(now_ms)
        self._asked = None
        return None

    def _given(self, now_ms: int, reasons: tuple[str, ...] = (), comment: str = "") -> Rating:
        assert self._asked is not None
        rating = Rating(self._asked.ticket, self._asked.leg, self._score, reasons, comment)
        self._answered[self._asked[:2]] = None
        while len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        self._asked, self._score = None, 0
        self._thanks_until = now_ms + THANKS_MS
        return rating
