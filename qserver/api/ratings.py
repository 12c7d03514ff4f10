"""Ratings 好差评 from the evaluator pads. The window is the token's: a pad speaks for the window it stands at."""

from __future__ import annotations

from msgspec import UNSET

from qserver.store.answers import RatingItem

from .messages import Ratings, RatingsAnswer, Result
from .routing import Call, H, Reply, Route


async def rate(call: Call) -> Reply:
    """Records a batch; every item has a result of its own, so a batch is never refused for one item's sake."""
    body: Ratings = call.body
    answer = await call.store.rate(
        call.op,
        call.hall,
        call.principal.window,
        [RatingItem(i.rid, i.ticket, i.leg, i.score, i.age_ms, i.aspects, i.reasons, i.comment) for i in body.items],
    )
    results, now_ms = answer.value
    return Reply(
        RatingsAnswer([Result(r.rid, r.status, r.code or UNSET) for r in results], now_ms),  # type: ignore[arg-type]
        replayed=answer.replayed,
    )


ROUTES = (
    Route(
        "POST",
        H + "/ratings",
        rate,
        body=Ratings,
        answer=RatingsAnswer,
        summary="Ratings from a pad, those kept for later among them 评价",
        codes=("not_found",),
        bound=2 * 1024 * 1024,
    ),
)
