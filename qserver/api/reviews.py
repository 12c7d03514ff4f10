"""Negative reviews 差评: who may read which and how much of them, and the steps of their follow-up.

Who reads which, and how much of the words in them, stands in `domain.privacy`; whether a step may be taken is decided
in the store.
"""

from __future__ import annotations

from typing import Any

from qserver.domain.errors import Refusal
from qserver.domain.ticket import Review

from . import shown
from .messages import ReviewAnswer, ReviewsAnswer, ReviewsQuery
from .review_messages import Assign, Close, Grounds, Rectify, Revisit, Verify
from .routing import Call, H, Handler, Reply, Route

_ONE = H + "/reviews/{id}"


async def list_reviews(call: Call) -> ReviewsAnswer:
    """Reviews in order of opening, or the newest first."""
    query: ReviewsQuery = call.query
    found, after = await call.store.reviews(
        call.hall,
        state=query.state,
        source=query.source,
        pending=query.pending,
        latest=query.latest,
        limit=query.limit,
        after=query.after,
        **shown.own(call),
    )
    return ReviewsAnswer([shown.review(call, review) for review in found], after)


async def _readable(call: Call) -> Review:
    """The review, if it is one that the role may see; whose it is, and of which window, never changes."""
    found = await call.store.review(call.hall, call.params["id"])
    if any(getattr(found, name) != own for name, own in shown.own(call).items()):
        raise Refusal("forbidden", "a clerk reads and appeals the reviews of the own work or window only")
    return found


async def look(call: Call) -> ReviewAnswer:
    """One review with its full history."""
    found = await _readable(call)
    return shown.whole_review(call, found, await shown.actors(call, found))


async def assign(call: Call) -> Reply:
    """Gives the review to somebody 分派."""
    body: Assign = call.body
    return shown.of_review(
        call, await call.store.assign_review(call.op, call.hall, call.params["id"], body.to, note=body.note)
    )


async def verify(call: Call) -> Reply:
    """Puts on record what was found 核实."""
    body: Verify = call.body
    return shown.of_review(
        call, await call.store.verify_review(call.op, call.hall, call.params["id"], body.result, body.note)
    )


async def rectify(call: Call) -> Reply:
    """Puts on record what was put right 整改."""
    body: Rectify = call.body
    return shown.of_review(call, await call.store.rectify_review(call.op, call.hall, call.params["id"], body.note))


async def revisit(call: Call) -> Reply:
    """Puts on record what the citizen says now 回访."""
    body: Revisit = call.body
    answer = await call.store.revisit_review(
        call.op, call.hall, call.params["id"], body.result, note=body.note, comment=body.comment
    )
    return shown.of_review(call, answer)


async def close(call: Call) -> Reply:
    """Ends the follow-up 办结."""
    body: Close = call.body
    return shown.of_review(call, await call.store.close_review(call.op, call.hall, call.params["id"], note=body.note))


async def appeal(call: Call) -> Reply:
    """Appeals 申诉; a clerk those of the own work or window."""
    body: Grounds = call.body
    await _readable(call)
    return shown.of_review(call, await call.store.appeal_review(call.op, call.hall, call.params["id"], body.reason))


async def uphold(call: Call) -> Reply:
    """Decides that the review stands 复核维持."""
    body: Grounds = call.body
    return shown.of_review(call, await call.store.uphold_review(call.op, call.hall, call.params["id"], body.reason))


async def exclude(call: Call) -> Reply:
    """Decides that the review does not count 复核剔除."""
    body: Grounds = call.body
    return shown.of_review(call, await call.store.exclude_review(call.op, call.hall, call.params["id"], body.reason))


def _step(name: str, handler: Handler, body: Any, summary: str) -> Route:
    codes = ("not_found", "wrong_state")
    return Route("POST", f"{_ONE}/{name}", handler, body=body, answer=ReviewAnswer, summary=summary, codes=codes)


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
    Route("GET", _ONE, look, answer=ReviewAnswer, summary="One review 一条差评", codes=("not_found",)),
    _step("assign", assign, Assign, "Give the review to somebody 分派"),
    _step("verify", verify, Verify, "What was found 核实"),
    _step("rectify", rectify, Rectify, "What was put right 整改"),
    _step("revisit", revisit, Revisit, "What the citizen says now 回访"),
    _step("close", close, Close, "End the follow-up 办结"),
    _step("appeal", appeal, Grounds, "Appeal against the review 申诉"),
    _step("uphold", uphold, Grounds, "Decide that it stands 复核维持"),
    _step("exclude", exclude, Grounds, "Decide that it does not count 复核剔除"),
)
