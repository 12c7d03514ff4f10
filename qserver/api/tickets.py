"""Tickets away from the windows: issue, look, cancel, return, reprioritise, reprint; queues; suspended services.

A handler parses, calls one method of the store, answers. Whether something may happen is decided there.
"""

from __future__ import annotations

from qserver.auth import secrets
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import Role
from qserver.store.answers import Answer, Suspension

from . import shown
from .links import estimate, ticket_url
from .messages import (
    Because,
    Issue,
    IssueAnswer,
    QueuesAnswer,
    ReprintAnswer,
    Reprioritise,
    SuspensionAnswer,
    TicketAnswer,
    TicketsAnswer,
    TicketsQuery,
)
from .routing import Call, Empty, H, Reply, Route

_ONE = H + "/tickets/{no}"
_SERVICE = H + "/services/{service}"


async def issue(call: Call) -> Reply:
    """Takes a ticket 取号. The person's id leaves this function only hashed."""
    body: Issue = call.body
    channel = body.channel or ("kiosk" if call.principal.role is Role.KIOSK else "guide")
    answer = await call.store.issue(
        call.op,
        call.hall,
        body.service,
        services=body.services or (),
        priority=body.priority,
        channel=channel,
        window=body.window or "",
        person=secrets.person_hash(call.server_key, call.hall, body.person or ""),
        phone=body.phone or "",
    )
    issued = answer.value
    url = ticket_url(call, issued.ticket)
    return Reply(
        IssueAnswer(shown.ticket(call, issued.ticket), issued.ahead, estimate(issued), url), replayed=answer.replayed
    )


async def list_tickets(call: Call) -> TicketsAnswer:
    """Tickets of the business day in order of issue."""
    query: TicketsQuery = call.query
    if query.service and (await call.store.hall(call.hall)).hall.service(query.service) is None:
        raise Refusal("no_such_service", service=query.service)
    found, after = await call.store.tickets(
        call.hall, state=query.state, service=query.service, limit=query.limit, after=query.after
    )
    return TicketsAnswer([shown.ticket(call, one) for one in found], after)


async def look(call: Call) -> TicketAnswer:
    """One ticket, by its number of today or its id."""
    return TicketAnswer(shown.ticket(call, await call.store.ticket(call.hall, call.params["no"])))


async def cancel(call: Call) -> Reply:
    """Ends a ticket that was not served."""
    return shown.of_ticket(call, await call.store.cancel(call.op, call.hall, call.params["no"]))


async def return_(call: Call) -> Reply:
    """Puts a missed ticket back 过号恢复."""
    return shown.of_ticket(call, await call.store.return_(call.op, call.hall, call.params["no"]))


async def reprioritise(call: Call) -> Reply:
    """Gives a waiting ticket another priority class."""
    body: Reprioritise = call.body
    return shown.of_ticket(
        call, await call.store.reprioritise(call.op, call.hall, call.params["no"], body.priority, body.reason)
    )


async def reprint(call: Call) -> Reply:
    """Gives the ticket and its link again, for another slip. Changes nothing."""
    found = await call.store.ticket(call.hall, call.params["no"])
    return Reply(ReprintAnswer(shown.ticket(call, found), ticket_url(call, found)), keep=True)


async def queues(call: Call) -> QueuesAnswer:
    """What a citizen may know of each service before taking a ticket."""
    return QueuesAnswer(await call.store.queues(call.hall))


def _suspension(answer: Answer[Suspension]) -> Reply:
    service, suspended, reason = answer.value
    return Reply(SuspensionAnswer(service, suspended, reason or None), replayed=answer.replayed)


async def suspend(call: Call) -> Reply:
    """Stops issuing for a service; who waits is still served."""
    body: Because = call.body
    return _suspension(await call.store.suspend(call.op, call.hall, call.params["service"], body.reason))


async def resume(call: Call) -> Reply:
    """Starts issuing again."""
    return _suspension(await call.store.resume_service(call.op, call.hall, call.params["service"]))


ROUTES = (
    Route(
        "POST",
        H + "/tickets",
        issue,
        body=Issue,
        answer=IssueAnswer,
        status=201,
        summary="Take a ticket 取号",
        codes=(
            "not_found",
            "no_such_service",
            "no_such_window",
            "service_closed",
            "quota_reached",
            "already_waiting",
        ),
    ),
    Route(
        "GET",
        H + "/tickets",
        list_tickets,
        query=TicketsQuery,
        answer=TicketsAnswer,
        summary="Tickets of the business day, in order of issue",
        codes=("not_found", "no_such_service"),
    ),
    Route("GET", _ONE, look, answer=TicketAnswer, summary="One ticket 号票", codes=("not_found",)),
    Route(
        "POST",
        _ONE + "/cancel",
        cancel,
        body=Empty,
        answer=TicketAnswer,
        summary="Cancel a ticket 取消",
        codes=("not_found", "wrong_state"),
    ),
    Route(
        "POST",
        _ONE + "/return",
        return_,
        body=Empty,
        answer=TicketAnswer,
        summary="Put a missed ticket back 过号恢复",
        codes=("not_found", "wrong_state"),
    ),
    Route(
        "POST",
        _ONE + "/reprioritise",
        reprioritise,
        body=Reprioritise,
        answer=TicketAnswer,
        summary="Give a waiting ticket another priority class 优先",
        codes=("not_found", "wrong_state"),
    ),
    Route(
        "POST",
        _ONE + "/reprint",
        reprint,
        body=Empty,
        answer=ReprintAnswer,
        summary="The ticket and its link again, for another slip 补打",
        codes=("not_found",),
    ),
    Route("GET", H + "/queues", queues, answer=QueuesAnswer, summary="Queues 等候", codes=("not_found",)),
    Route(
        "POST",
        _SERVICE + "/suspend",
        suspend,
        body=Because,
        answer=SuspensionAnswer,
        summary="Stop issuing for a service 停止取号",
        codes=("not_found", "no_such_service", "wrong_state"),
    ),
    Route(
        "POST",
        _SERVICE + "/resume",
        resume,
        body=Empty,
        answer=SuspensionAnswer,
        summary="Start issuing again 恢复取号",
        codes=("not_found", "no_such_service", "wrong_state"),
    ),
)
