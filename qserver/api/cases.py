"""Promised cases 承诺件: what became of one, and the business system's word that it is done.

A case begins with a window's finish (`outcome: accepted` and its number); nothing else makes one.
"""

from __future__ import annotations

from . import shown
from .review_messages import CaseAnswer, CasesAnswer, CasesQuery, Complete
from .routing import Call, H, Reply, Route

_ONE = H + "/cases/{case}"


async def list_open(call: Call) -> CasesAnswer:
    """Cases that have not ended; a clerk's own, or those of a device's window."""
    query: CasesQuery = call.query
    found, after = await call.store.open_cases(call.hall, limit=query.limit, after=query.after, **shown.own(call))
    return CasesAnswer([shown.case(call, one).case for one in found], after)


async def look(call: Call) -> CaseAnswer:
    """One case with its history."""
    found = await call.store.case(call.hall, call.params["case"])
    return shown.case(call, found, await shown.actors(call, found))


async def complete(call: Call) -> Reply:
    """Ends the case 办结."""
    body: Complete = call.body
    answer = await call.store.complete_case(call.op, call.hall, call.params["case"], note=body.note)
    return shown.of_case(call, answer)


ROUTES = (
    Route(
        "GET",
        H + "/cases",
        list_open,
        query=CasesQuery,
        answer=CasesAnswer,
        summary="Promised cases that have not ended 未办结的承诺件",
        codes=("not_found",),
    ),
    Route("GET", _ONE, look, answer=CaseAnswer, summary="A promised case 承诺件", codes=("not_found",)),
    Route(
        "POST",
        _ONE + "/complete",
        complete,
        body=Complete,
        answer=CaseAnswer,
        summary="The case is done 办结",
        codes=("not_found", "wrong_state"),
    ),
)
