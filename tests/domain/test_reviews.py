"""The follow-up's tables: what they allow, whom, and that they hang together."""

from __future__ import annotations

from pathlib import Path

import pytest

from qserver.domain.events import KINDS
from qserver.domain.lifecycle import Role
from qserver.domain.reviews import BACK, ENDED, STEPS, TERMS, ReviewState, picture, state_of
from qserver.domain.rules import Reviews

ALWAYS = {Role.SUPERVISOR, Role.ASSESSOR}


def follow(*steps: str) -> str:
    """The stage after these steps, each `name` or `name:result`; KeyError or AssertionError when one may not be."""
    stage = "open"
    for step in steps:
        name, _, result = step.partition(":")
        assert stage in STEPS[name].sources, (stage, step)
        stage = STEPS[name].targets[result]
    return stage


def test_the_whole_way_leads_from_open_to_closed() -> None:
    assert follow("assign", "verify:valid", "rectify", "revisit:satisfied", "close") == "closed"


def test_what_was_found_invalid_is_closed_without_rectifying() -> None:
    assert follow("assign", "verify:invalid", "close") == "closed"
    assert "verified:invalid" not in STEPS["rectify"].sources


def test_what_was_found_valid_cannot_be_closed_before_the_citizen_was_asked_again() -> None:
    assert not {"verified:valid", "rectified", "assigned", "open"} & STEPS["close"].sources


def test_a_citizen_who_is_not_satisfied_opens_it_again() -> None:
    assert follow("assign", "verify:valid", "rectify", "revisit:reopened") == "open"


def test_an_appeal_may_come_from_every_stage_that_counts() -> None:
    assert STEPS["appeal"].sources == set(TERMS) - {"appealed", "excluded"}


def test_only_an_appeal_can_be_upheld_or_excluded() -> None:
    assert STEPS["uphold"].sources == STEPS["exclude"].sources == {"appealed"}
    assert STEPS["uphold"].targets == {"": BACK}


def test_only_the_assessor_decides_an_appeal() -> None:
    assert STEPS["uphold"].by == STEPS["exclude"].by == {Role.ASSESSOR}


def test_a_clerk_may_appeal_and_nothing_else() -> None:
    assert [name for name, step in STEPS.items() if Role.CLERK in step.by] == ["appeal"]
    assert all(step.by - {Role.CLERK} == ALWAYS for name, step in STEPS.items() if name not in ("uphold", "exclude"))


def test_every_stage_can_be_reached_and_every_state_has_one() -> None:
    reached = {target for step in STEPS.values() for target in step.targets.values()} - {BACK} | {"open"}
    assert reached == set(TERMS)
    assert {state_of(stage) for stage in TERMS} == set(ReviewState)
    assert {source for step in STEPS.values() for source in step.sources} == set(TERMS) - {"excluded"}


def test_every_step_is_an_event_of_the_feed() -> None:
    assert {f"review.{step.event}" for step in STEPS.values()} <= set(KINDS)


def test_every_term_is_set_in_the_hall_and_what_ended_has_none() -> None:
    assert {f"{term}_within" for term in TERMS.values() if term} < set(Reviews.__struct_fields__)
    assert not any(TERMS[stage] for stage in ENDED)


def test_only_verifying_and_revisiting_have_results() -> None:
    assert {name: step.results for name, step in STEPS.items() if step.results} == {
        "verify": ("valid", "invalid"),
        "revisit": ("satisfied", "reopened"),
    }


@pytest.mark.parametrize("line", ["open --> assigned: assign", "rectified --> open: revisit (reopened)",
                                  "closed --> appealed: appeal", "appealed --> excluded: exclude"])  # fmt: skip
def test_the_picture_is_drawn_from_the_table(line: str) -> None:
    assert f"    {line}" in picture().splitlines()


def test_the_page_about_evaluation_shows_the_picture() -> None:
    page = Path(__file__).parents[2] / "docs" / "evaluation.md"
    assert picture() in page.read_text(encoding="utf-8")
