"""Negative reviews 差评: who may read which, and how much of them.

The citizen's own words are for the assessor. A supervisor reads them without numbers that could name somebody
(telephones, papers); a clerk reads the reviews of the own window only, and of the words just that there are some.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import Role
from qserver.domain.ticket import Review

from .messages import ReviewAnswer, ReviewsAnswer, ReviewsQuery
from .routing import Call, H, Route

MASK = "***"
_NUMBERS = re.compile(r"\d(?:[ -]?\d){4,}[Xx]?")


def masked(review: Review, role: Role | None) -> Review:
    """The review as that role may read it."""
    if role in (Role.ASSESSOR, Role.ADMIN):
        return review

    def seen(step: dict[str, Any]) -> dict[str, Any]:
        words = str(step.get("comment") or "")
        if not words:
            return step
        return step | {"comment": _NUMBERS.sub(MASK, words) if role is Role.SUPERVISOR else MASK}

    return msgspec.structs.replace(review, history=[seen(step) for step in review.history])


def _own_window(call: Call) -> str:
    """The window whose reviews are to be seen, "" for all."""
    return call.principal.window if call.principal.role is Role.CLERK else ""


async def list_reviews(call: Call) -> ReviewsAnswer:
    """Reviews in order of opening."""
    query: ReviewsQuery = call.query
    found, after = await call.store.reviews(
        call.hall,
        state=query.state,
        source=query.source,
        window=_own_window(call),
        limit=query.limit,
        after=query.after,
    )
    return ReviewsAnswer([masked(review, call.principal.role) for review in found], after)


async def look(call: Call) -> ReviewAnswer:
    """One review with its full history."""
    found = await call.store.review(call.hall, call.params["id"])
    window = _own_window(call)
    if window and found.window != window:
        raise Refusal("forbidden", "a clerk reads the reviews of the own window only")
    return ReviewAnswer(masked(found, call.principal.role))


ROUTES = (
    Route(
        "GET",
        H + "/reviews",
        list_reviews,
        query=ReviewsQuery,
        answer=ReviewsAnswer,
        summary="Negative reviews 差评",
        codes=("not_found",),
    ),
    Route("GET", H + "/reviews/{id}", look, answer=ReviewAnswer, summary="One review", codes=("not_found",)),
)
