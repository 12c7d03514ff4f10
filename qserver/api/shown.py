"""Tickets, reviews and cases on their way out: each as far as whoever asked may see it.

Handlers build their answers here and nowhere else, so that none forgets; what is seen stands in `domain.privacy`.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from qserver.domain import privacy
from qserver.domain.errors import Refusal
from qserver.domain.reviews import next_steps
from qserver.domain.ticket import Case, Review, Ticket
from qserver.store.answers import Actor, Answer

from .messages import ReviewAnswer, TicketAnswer
from .review_messages import CaseAnswer
from .routing import Call, Reply


def ticket(call: Call, found: Ticket) -> Ticket:
    """The ticket as the caller sees it."""
    return privacy.ticket(found, call.principal.role, call.principal.window, call.principal.staff)


def own(call: Call) -> dict[str, str]:
    """Whose reviews and cases are to be listed, by the `staff` who logged in or by a device's `window`; {} for all.

    Refused: forbidden (an own window is needed).
    """
    me = call.principal
    if privacy.SIGHT[me.role].reviews is privacy.Reach.ALL:
        return {}
    if me.staff:
        return {"staff": me.staff}
    if not me.window:
        raise Refusal("forbidden", "who is at no window has nothing of an own one")
    return {"window": me.window}


def review(call: Call, found: Review) -> Review:
    """The review as the caller reads it."""
    return privacy.review(found, call.principal.role)


def of_ticket(call: Call, answer: Answer[Ticket]) -> Reply:
    """What a command on a ticket answers."""
    return Reply(TicketAnswer(ticket(call, answer.value)), replayed=answer.replayed)


async def actors(call: Call, found: Review | Case) -> dict[str, Actor]:
    """Who they are that a review or a case names by their ids."""
    named = {found.staff, getattr(found, "assignee", None)}
    named |= {step.get(name) for step in found.history for name in ("actor", "to")}
    return await call.store.actors(call.hall, {one for one in named if isinstance(one, str) and ":" not in one})


def whole_review(call: Call, found: Review, actors: dict[str, Actor] | UnsetType = UNSET) -> ReviewAnswer:
    """The review as the caller reads it, and the steps that are the caller's to take."""
    stage = f"{found.state}:{found.result}" if found.result else found.state
    steps: list[Any] = next_steps(stage, call.principal.role)
    if found.appeal_until_ms is None and "appeal" in steps:
        steps.remove("appeal")
    return ReviewAnswer(review(call, found), steps, actors)


def of_review(call: Call, answer: Answer[Review]) -> Reply:
    """What a step of the follow-up answers."""
    return Reply(whole_review(call, answer.value), replayed=answer.replayed)


def of_case(call: Call, answer: Answer[Case]) -> Reply:
    """What a command on a promised case answers."""
    return Reply(case(call, answer.value), replayed=answer.replayed)


def case(call: Call, found: Case, actors: dict[str, Actor] | UnsetType = UNSET) -> CaseAnswer:
    """The promised case as the caller reads it."""
    return CaseAnswer(privacy.case(found, call.principal.role), actors)
