"""The ticket's own link `/t/SECRET`: look, leave, postpone, rate. Whoever holds the secret is the holder.

The frame has read the secret already: a handler here gets the hall and the ticket's id, and no principal's role.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
from aiohttp import web

from qserver.auth import secrets
from qserver.domain import rules, tally, ticket
from qserver.domain.errors import Refusal
from qserver.domain.ticket import Ticket
from qserver.store.answers import Issued, Op, RatingItem

from . import shown
from .messages import HolderAnswer, HolderRating, ServiceName
from .routing import Call, Empty, Reply, Route

T = "/api/v1/t/{secret}"
PUBLIC_URL = web.AppKey("public_url", str)
"""Base of links when the server is reached by another name than the one requests carry: `https://hall.example`."""


def ticket_url(call: Call, of: Ticket) -> str:
    """The link only the ticket's holder gets; the same for the same ticket for ever."""
    base = call.request.app.get(PUBLIC_URL, "") or f"{call.request.origin.scheme}://{call.request.host}"
    return f"{base.rstrip('/')}/t/{secrets.ticket_secret(call.server_key, of.hall, of.id)}"


def estimate(issued: Issued) -> tuple[int, int]:
    """The range of the wait, ms."""
    return ticket.wait_estimate(issued.ahead, issued.open_windows, issued.mean_ms)


def _step(op: Op) -> Op:
    """The key of the store's part of a command whose whole answer the frame keeps."""
    return msgspec.structs.replace(op, key=hashlib.sha256(b"step " + op.key).digest()) if op.key else op


async def _standing(call: Call) -> HolderAnswer:
    issued = await call.store.position(call.hall, call.params["ticket"])
    hall = (await call.store.hall(call.hall)).hall
    known = {one.id: ServiceName(one.id, one.name, one.name_en) for one in hall.services}
    mine = _named(known, issued.ticket.service)
    where = issued.ticket.window or issued.ticket.to_window
    at = next((one for one in hall.windows if one.id == where), None)
    return HolderAnswer(
        shown.ticket(call, issued.ticket),
        issued.ahead,
        estimate(issued),
        service_name=mine.name,
        service_name_en=mine.name_en,
        window_name=at.name if at else "",
        window_name_en=at.name_en if at else "",
        time_zone=hall.time_zone,
        then=[_named(known, service) for service in issued.ticket.services],
        reasons=rules.named(hall.rating),
    )


def _named(known: Mapping[str, ServiceName], service: str) -> ServiceName:
    """A service that the hall's definition has given up since has no name any more."""
    return known.get(service) or ServiceName(service, "", "")


async def look(call: Call) -> HolderAnswer:
    """The ticket and its place in the queue."""
    return await _standing(call)


async def cancel(call: Call) -> Reply:
    """The holder leaves."""
    await call.store.cancel(_step(call.op), call.hall, call.params["ticket"])
    return Reply(await _standing(call), keep=True)


async def postpone(call: Call) -> Reply:
    """The holder lets others go first."""
    await call.store.postpone(_step(call.op), call.hall, call.params["ticket"])
    return Reply(await _standing(call), keep=True)


async def rate(call: Call) -> Reply:
    """The holder rates, after the pad's time or instead of it."""
    body: HolderRating = call.body
    leg = body.leg
    if leg is None:
        of = await call.store.ticket(call.hall, call.params["ticket"])
        finished = [part.leg.leg for part in tally.parts(of) if tally.served(part)]
        if not finished:
            raise Refusal("wrong_state", "there is no finished service to rate", state=of.state)
        leg = finished[-1]
    words = msgspec.json.encode([leg, body.score, body.aspects, body.reasons, body.comment])
    rid = body.rid or f"link-{hashlib.sha256(words).hexdigest()[:24]}"
    item = RatingItem(rid, call.params["ticket"], leg, body.score, 0, body.aspects, body.reasons, body.comment)
    answer = await call.store.rate(_step(call.op), call.hall, "", [item])
    result = answer.value.results[0]
    if result.status == "conflict":
        raise Refusal("wrong_state", "this service has been rated already", state="rated", leg=leg)
    if result.status == "rejected":
        raise Refusal(result.code, "this service cannot be rated by its link (any more)", leg=leg)
    return Reply(await _standing(call), keep=True)


ROUTES = (
    Route("GET", T, look, answer=HolderAnswer, summary="The ticket of a link 号票", codes=("not_found",)),
    Route(
        "POST",
        T + "/cancel",
        cancel,
        body=Empty,
        answer=HolderAnswer,
        summary="Leave the queue 取消",
        codes=("not_found", "wrong_state"),
    ),
    Route(
        "POST",
        T + "/postpone",
        postpone,
        body=Empty,
        answer=HolderAnswer,
        summary="Let others go first 延后",
        codes=("not_found", "wrong_state"),
    ),
    Route(
        "POST",
        T + "/rating",
        rate,
        body=HolderRating,
        answer=HolderAnswer,
        summary="Rate a finished service 评价",
        codes=("not_found", "wrong_state"),
    ),
)
