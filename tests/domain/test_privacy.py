"""What each role sees within an answer, by the one table."""

from __future__ import annotations

import msgspec
import pytest

from qserver.domain.lifecycle import Role, State
from qserver.domain.privacy import HOLDER, MASK, SIGHT, Reach, Words, numberless, review, said, ticket
from qserver.domain.ticket import Leg, OvertimeFlags, Rating, Review, Ticket

EVERYBODY = [*Role, HOLDER]
READERS = {Role.CLERK, Role.SUPERVISOR, Role.ASSESSOR, Role.ADMIN, Role.ANALYTICS}


def leg(number: int, window: str, score: int = 1) -> Leg:
    return Leg(
        leg=number, service="a", window=window, staff="s1", queued_ms=1, first_called_ms=2, called_ms=2, started_ms=3,
        finished_ms=4, calls=1, held_ms=0, wait_ms=1, walk_ms=1, service_ms=1, overtime=OvertimeFlags(False, False),
        rating=Rating(score, "active", 5), outcome="done", unreliable=False, signals=["short_service"],
    )  # fmt: skip


def visit(*legs: Leg) -> Ticket:
    """A finished visit of these legs."""
    last = {name: getattr(legs[-1], name) for name in Leg.__struct_fields__ if name in Ticket.__struct_fields__}
    return Ticket(
        **last, id="20261122-A001", no="A001", hall="h1", day="2026-11-22", services=[], priority="normal",
        channel="guide", state=State.FINISHED, issued_ms=1, case=None, returns=0, legs=list(legs),
    )  # fmt: skip


def a_review(*history: dict[str, object]) -> Review:
    return Review(
        id="r000001", state="open", source="overtime", window="w1", service="a", staff=None, ticket="20261124-A001",
        leg=1, opened_ms=1, due_ms=2, late=False, history=list(history),
    )  # fmt: skip


def test_the_table_knows_everybody() -> None:
    assert set(SIGHT) == set(EVERYBODY)


def test_only_the_assessor_and_the_admin_read_a_citizens_words_whole() -> None:
    assert {role for role, sight in SIGHT.items() if sight.comments is Words.WHOLE} == {Role.ASSESSOR, Role.ADMIN}
    assert {role for role, sight in SIGHT.items() if sight.comments is Words.NUMBERLESS} == {Role.SUPERVISOR}


def test_the_clerk_sees_the_own_window_and_the_citizen_the_own_ticket() -> None:
    clerk = SIGHT[Role.CLERK]
    assert {clerk.ratings, clerk.signals, clerk.reviews} == {Reach.OWN}
    assert (SIGHT[HOLDER].ratings, SIGHT[HOLDER].signals, SIGHT[HOLDER].reviews) == ("own", "none", "none")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("电话13800001234快回", "电话***快回"), ("138-0000-1234", MASK), ("138 0000 1234", MASK),
        ("139.1234.5678", MASK),
        ("010) 6552-1234", MASK), ("11010119900307123X 是我", "*** 是我"), ("１３８００００１２３４", MASK),
        ("写信 zhang.san+1@mail.example.cn 。", "写信 *** 。"), ("工号 1024", "工号 1024"), ("a@b", "a@b"), ("", ""),
        ("等了45分钟，A001，10:30", "等了45分钟，A001，10:30"),
    ],
)  # fmt: skip
def test_what_could_name_somebody_goes_and_the_rest_stays(text: str, shown: str) -> None:
    assert numberless(text) == shown


@pytest.mark.parametrize("unit", ["a", "1", "1 ", "a@", "-", "1-", "a.", "@"])
def test_no_text_makes_the_mask_take_more_than_a_pass(unit: str) -> None:
    """A hundred thousand characters would never end if any of these went back and forth."""
    numberless(unit * (100_000 // len(unit)))


def test_words_are_read_by_the_table() -> None:
    step = {
        "step": "verified",
        "comment": "慢 13800001234",
        "note": "已致电 13800001234",
        "reasons": ["我 13800001234"],
    }
    assert said(step, Role.ASSESSOR) == step
    assert said(step, Role.SUPERVISOR) == {
        "step": "verified", "comment": "慢 ***", "note": "已致电 ***", "reasons": ["我 ***"],
    }  # fmt: skip
    assert said(step, Role.CLERK) == {
        "step": "verified", "comment": MASK, "note": "已致电 ***", "reasons": ["我 ***"],
    }  # fmt: skip
    assert said(step, Role.GUIDE)["note"] == MASK


@pytest.mark.parametrize("role", EVERYBODY)
def test_without_words_there_is_nothing_to_hide(role: Role | None) -> None:
    found = a_review({"at_ms": 1, "step": "opened", "actor": "system", "spent_ms": 3}, {"step": "x", "comment": ""})
    assert review(found, role) == found


def test_what_is_shown_leaves_the_record_as_it_is() -> None:
    found = a_review({"comment": "话", "reasons": ["12345"]})
    before = msgspec.json.encode(found)
    review(found, Role.CLERK)
    assert msgspec.json.encode(found) == before


@pytest.mark.parametrize("role", EVERYBODY)
def test_ratings_and_signals_are_seen_as_far_as_the_table_reaches(role: Role | None) -> None:
    found = visit(leg(1, "w1"), leg(2, "w2"))
    shown = ticket(found, role, "w1" if role is Role.CLERK else "")
    ratings = [one.rating is not None for one in shown.legs]
    wanted = {Reach.ALL: [True, True], Reach.NONE: [False, False], Reach.OWN: [True, role is HOLDER]}
    assert ratings == wanted[SIGHT[role].ratings]
    assert shown.rating == shown.legs[-1].rating, "the top of a ticket says what its last leg says"
    marks = [bool(one.signals) for one in shown.legs]
    assert marks == {Reach.ALL: [True, True], Reach.NONE: [False, False], Reach.OWN: [True, False]}[SIGHT[role].signals]


def test_a_clerk_who_logged_in_owns_its_work_at_whichever_window() -> None:
    found = visit(msgspec.structs.replace(leg(1, "w1"), staff="a"))
    assert ticket(found, Role.CLERK, "w9", "a").rating is not None
    assert ticket(found, Role.CLERK, "w1", "b").rating is None


def test_a_clerk_without_a_window_owns_nothing() -> None:
    found = visit(msgspec.structs.replace(leg(1, ""), window=None))
    assert ticket(found, Role.CLERK, "").rating is None


def test_who_may_not_read_reviews_has_no_words_to_read() -> None:
    for role, sight in SIGHT.items():
        assert (sight.reviews is Reach.NONE) == (role not in READERS)
        if role not in READERS:
            assert (sight.comments, sight.notes) == (Words.HIDDEN, Words.HIDDEN)
