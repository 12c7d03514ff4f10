"""What the pad shows and when: once per service, counted down, never a rating that nobody gave."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evaluator.prompt import ASK_MS, THANKS_MS, WHY_MS, Prompt, Question, Rating, View, Withdrawn

NOW = 1_795_480_000_000
FIRST = Question("20261124-A001", 1, NOW + 1_800_000)
SECOND = Question("20261124-A002", 1, NOW + 1_900_000)


def asking(question: Question = FIRST) -> Prompt:
    prompt = Prompt()
    assert prompt.window("idle", question, NOW) is None
    return prompt


@pytest.mark.parametrize("state", ["closed", "idle", "called", "serving", "paused"])
def test_without_a_question_the_pad_shows_what_the_window_does(state: str) -> None:
    prompt = Prompt()
    assert prompt.view(NOW) == View("waiting")
    prompt.window(state, None, NOW)  # type: ignore[arg-type]
    assert prompt.view(NOW) == View(state)  # type: ignore[arg-type]


def test_a_finished_service_is_asked_about_and_the_time_counts_down() -> None:
    prompt = asking()
    assert prompt.view(NOW) == View("ask", ASK_MS)
    assert prompt.view(NOW + 30_000) == View("ask", ASK_MS - 30_000)


def test_the_question_never_outlives_the_servers() -> None:
    assert asking(FIRST._replace(until_ms=NOW + 4000)).view(NOW) == View("ask", 4000)
    assert asking(FIRST._replace(until_ms=NOW)).view(NOW).screen == "idle"


@pytest.mark.parametrize("score", [5, 4, 3])
def test_a_good_face_is_the_whole_rating(score: int) -> None:
    prompt = asking()
    assert prompt.press(score, NOW) == Rating(FIRST.ticket, 1, score)
    assert prompt.view(NOW) == View("thanks")
    assert prompt.view(NOW + THANKS_MS) == View("idle"), "and not asked again"


@pytest.mark.parametrize("score", [2, 1])
def test_a_negative_face_counts_at_once_and_may_be_explained(score: int) -> None:
    prompt = asking()
    assert prompt.press(score, NOW) == Rating(FIRST.ticket, 1, score, final=False)
    assert prompt.view(NOW) == View("why", WHY_MS, score)
    given = prompt.submit(["服务态度"], "  等太久 ", NOW + 10_000)
    assert given == Rating(FIRST.ticket, 1, score, ("服务态度",), "等太久")
    assert prompt.view(NOW + 10_000) == View("thanks")


def test_who_walks_away_from_the_reasons_has_still_rated() -> None:
    prompt = asking()
    prompt.press(1, NOW)
    assert prompt.tick(NOW + WHY_MS - 1) is None
    assert prompt.tick(NOW + WHY_MS) == Rating(FIRST.ticket, 1, 1)


def test_the_next_service_ends_the_reasons_and_the_rating_counts() -> None:
    prompt = asking()
    prompt.press(2, NOW)
    assert prompt.window("serving", None, NOW + 5000) == Rating(FIRST.ticket, 1, 2)


def test_the_next_question_does_not_wait_for_the_last_one() -> None:
    prompt = asking()
    assert prompt.window("idle", SECOND, NOW + 5000) is None
    assert prompt.asked == SECOND


def test_the_wrong_face_can_be_taken_back() -> None:
    prompt = asking()
    prompt.press(1, NOW)
    assert prompt.back(NOW + 1000) == Withdrawn(FIRST.ticket, 1)
    assert prompt.view(NOW + 1000).screen == "ask"
    assert prompt.press(5, NOW + 2000) == Rating(FIRST.ticket, 1, 5)


def test_silence_is_no_rating() -> None:
    prompt = asking()
    assert prompt.tick(NOW + ASK_MS) is None
    assert prompt.view(NOW + ASK_MS) == View("idle", may_rate=True)
    assert prompt.window("idle", FIRST, NOW + ASK_MS + 1) is None
    assert prompt.view(NOW + ASK_MS + 1).screen == "idle", "asked once"
    assert prompt.press(5, NOW + ASK_MS + 2) is None


def test_who_wants_to_rate_after_all_may_while_the_server_allows_it() -> None:
    prompt = asking()
    prompt.tick(NOW + ASK_MS)
    prompt.again(NOW + ASK_MS + 1)
    assert prompt.view(NOW + ASK_MS + 1) == View("ask", ASK_MS)
    prompt.tick(FIRST.until_ms)
    prompt.again(FIRST.until_ms)
    assert prompt.view(FIRST.until_ms) == View("idle")


def test_the_same_state_again_does_not_ask_again() -> None:
    prompt = asking()
    prompt.press(4, NOW)
    for later in (1, THANKS_MS, ASK_MS, ASK_MS * 2):
        assert prompt.window("idle", FIRST, NOW + later) is None
        prompt.again(NOW + later)
        assert prompt.asked is None
    assert not prompt.view(NOW + ASK_MS).may_rate


def test_what_was_answered_before_a_restart_is_not_asked_again() -> None:
    prompt = Prompt(answered=[FIRST[:2]])
    prompt.window("idle", FIRST, NOW)
    assert prompt.view(NOW) == View("idle")


def test_another_leg_of_the_same_ticket_is_another_question() -> None:
    prompt = asking()
    prompt.press(4, NOW)
    prompt.window("idle", FIRST._replace(leg=2), NOW + THANKS_MS)
    assert prompt.view(NOW + THANKS_MS).screen == "ask"


def test_a_question_that_the_server_takes_back_is_not_asked_any_more() -> None:
    prompt = asking()
    assert prompt.window("idle", None, NOW + 1) is None
    assert prompt.press(5, NOW + 2) is None


def test_reasons_and_words_are_bounded() -> None:
    prompt = asking()
    prompt.press(1, NOW)
    given = prompt.submit([f"r{n}" for n in range(30)], "字" * 5000, NOW)
    assert given is not None and (len(given.reasons), len(given.comment)) == (10, 1000)


def test_there_are_five_levels() -> None:
    for score in (0, 6, -1):
        with pytest.raises(ValueError, match="not a level"):
            asking().press(score, NOW)


class AnyAfternoon(RuleBasedStateMachine):
    """Any order of touches, states and waits: one rating per service at most, and only of what was pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.prompt = Prompt()
        self.now = NOW
        self.number = 0
        self.pressed: dict[tuple[str, int], int] = {}
        self.final: dict[tuple[str, int], Rating] = {}

    def take(self, outcome: Rating | Withdrawn | None) -> None:
        if isinstance(outcome, Withdrawn):
            assert self.pressed.pop(outcome[:2])
        elif outcome is not None:
            key = outcome[:2]
            assert key not in self.final, "rated twice"
            self.pressed.setdefault(key, outcome.score)
            assert self.pressed[key] == outcome.score
            if outcome.final:
                self.final[key] = outcome

    @rule(state=st.sampled_from(["idle", "called", "serving", "paused", "closed"]), keep=st.booleans())
    def state(self, state: str, keep: bool) -> None:
        question = Question(f"A{self.number:03}", 1, NOW + self.number * 300_000 + 600_000) if keep else None
        self.take(self.prompt.window(state, question, self.now))  # type: ignore[arg-type]

    @rule()
    def next_service(self) -> None:
        self.number += 1
        self.take(self.prompt.window("idle", Question(f"A{self.number:03}", 1, self.now + 600_000), self.now))

    @rule(score=st.integers(1, 5))
    def press(self, score: int) -> None:
        asked, view = self.prompt.asked, self.prompt.view(self.now)
        outcome = self.prompt.press(score, self.now)
        if view.screen == "ask":
            assert asked is not None and outcome is not None and (*asked[:2], score) == outcome[:3]
        else:
            assert outcome is None
        self.take(outcome)

    @rule()
    def back(self) -> None:
        self.take(self.prompt.back(self.now))

    @rule()
    def submit(self) -> None:
        self.take(self.prompt.submit(["x"], "", self.now))

    @rule()
    def again(self) -> None:
        self.prompt.again(self.now)

    @rule(ms=st.integers(0, 120_000))
    def wait(self, ms: int) -> None:
        self.now += ms
        self.take(self.prompt.tick(self.now))

    @precondition(lambda self: self.prompt.asked is None)
    @rule()
    def nothing_is_left_open(self) -> None:
        assert set(self.pressed) == set(self.final), "a face that was pressed is a rating"

    @invariant()
    def the_countdown_never_runs_below_nothing(self) -> None:
        assert self.prompt.view(self.now).left_ms >= 0


TestAnyAfternoon = AnyAfternoon.TestCase
