"""Windows 窗口: their sessions, and what their clerks do with the tickets at them.

A handler parses, calls one method of the store, answers. Whether something may happen is decided there; whose window
it is, in the role table.
"""

from __future__ import annotations

from typing import Any

from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import Role
from qserver.domain.ticket import Window
from qserver.store.answers import Answer

from . import shown
from .messages import (
    Because,
    CalledAnswer,
    CallNext,
    Finish,
    Open,
    TicketAnswer,
    Transfer,
    Unhold,
    WindowAnswer,
    WindowsAnswer,
)
from .routing import Call, Empty, H, Handler, Reply, Route

_ONE = H + "/windows/{window}"
_DEVICES = frozenset({Role.PAD, Role.DISPLAY})


async def list_windows(call: Call) -> WindowsAnswer:
    """All windows of the hall; pads and displays see only the one they are bound to."""
    found = await call.store.windows(call.hall)
    if call.principal.role in _DEVICES:
        found = [window for window in found if window.id == call.principal.window]
    return WindowsAnswer(found)


async def look(call: Call) -> WindowAnswer:
    """One window."""
    return WindowAnswer(await call.store.window(call.hall, call.params["window"]))


def _window(answer: Answer[Window]) -> Reply:
    return Reply(WindowAnswer(answer.value), replayed=answer.replayed)


async def open_(call: Call) -> Reply:
    """Opens the window, or takes over an open one. Whoever logged in names nobody but himself; a clerk need not."""
    body: Open = call.body
    own = call.principal.staff
    if own and body.staff not in (None, own):
        raise Refusal("forbidden", "whoever logged in opens a window in the own name", field="staff")
    staff = own if call.principal.seated else body.staff or ""
    return _window(
        await call.store.open(call.op, call.hall, call.params["window"], staff=staff, services=body.services)
    )


async def close(call: Call) -> Reply:
    """Closes the window."""
    return _window(await call.store.close_window(call.op, call.hall, call.params["window"]))


async def pause(call: Call) -> Reply:
    """Pauses the window 暂停服务."""
    body: Because = call.body
    return _window(await call.store.pause(call.op, call.hall, call.params["window"], body.reason))


async def resume(call: Call) -> Reply:
    """Resumes the window."""
    return _window(await call.store.resume(call.op, call.hall, call.params["window"]))


async def call_next(call: Call) -> Reply:
    """Calls whoever is next, or a named ticket 叫号."""
    body: CallNext = call.body
    answer = await call.store.call(
        call.op, call.hall, call.params["window"], ticket=body.ticket or "", finish=body.finish
    )
    called, finished = (one and shown.ticket(call, one) for one in (answer.value.ticket, answer.value.finished))
    return Reply(CalledAnswer(called, finished), replayed=answer.replayed)


async def recall(call: Call) -> Reply:
    """Calls the called ticket again 重呼."""
    return shown.of_ticket(call, await call.store.recall(call.op, call.hall, call.params["window"]))


async def start(call: Call) -> Reply:
    """Service begins."""
    return shown.of_ticket(call, await call.store.begin_service(call.op, call.hall, call.params["window"]))


async def finish(call: Call) -> Reply:
    """Ends the service 办结; the visit may be sent on 受审分离."""
    body: Finish = call.body
    if (body.outcome == "accepted") != bool(body.case):
        detail = "only an accepted case has a number" if body.case else "the number of the accepted case is needed"
        raise Refusal("validation", detail, field="case")
    return shown.of_ticket(
        call,
        await call.store.finish(
            call.op,
            call.hall,
            call.params["window"],
            outcome=body.outcome,
            case=body.case or "",
            then=body.then or "",
            then_window=body.then_window or "",
        ),
    )


async def miss(call: Call) -> Reply:
    """The called citizen did not come 过号."""
    return shown.of_ticket(call, await call.store.miss(call.op, call.hall, call.params["window"]))


async def hold(call: Call) -> Reply:
    """Puts the ticket aside 挂起."""
    body: Because = call.body
    return shown.of_ticket(call, await call.store.hold(call.op, call.hall, call.params["window"], body.reason))


async def unhold(call: Call) -> Reply:
    """Takes a held ticket back into service here."""
    body: Unhold = call.body
    return shown.of_ticket(call, await call.store.unhold(call.op, call.hall, call.params["window"], body.ticket))


async def transfer(call: Call) -> Reply:
    """Lets the ticket wait elsewhere 转窗口."""
    body: Transfer = call.body
    return shown.of_ticket(
        call,
        await call.store.transfer(
            call.op,
            call.hall,
            call.params["window"],
            service=body.service or "",
            to=body.window or "",
            position=body.position,
        ),
    )


async def undo(call: Call) -> Reply:
    """Takes the last finish or miss back, within 15 s, if nothing followed."""
    return shown.of_ticket(call, await call.store.undo(call.op, call.hall, call.params["window"]))


_COMMON = ("not_found", "no_such_window", "window_not_open", "wrong_state", "taken_over")


def _command(name: str, handler: Handler, summary: str, body: Any = Empty, answer: Any = TicketAnswer,
             codes: tuple[str, ...] = ()) -> Route:  # fmt: skip
    return Route("POST", f"{_ONE}/{name}", handler, body=body, answer=answer, summary=summary, codes=(*_COMMON, *codes))


ROUTES = (
    Route("GET", H + "/windows", list_windows, answer=WindowsAnswer, summary="Windows 窗口", codes=("not_found",)),
    Route("GET", _ONE, look, answer=WindowAnswer, summary="One window", codes=("not_found", "no_such_window")),
    _command("open", open_, "Open the window, or take it over 开窗", Open, WindowAnswer, ("no_such_service",)),
    _command("close", close, "Close the window 关窗", Empty, WindowAnswer, ("window_busy",)),
    _command("pause", pause, "Pause the window 暂停服务", Because, WindowAnswer, ("window_busy",)),
    _command("resume", resume, "Resume the window 恢复服务", Empty, WindowAnswer, ("window_busy",)),
    _command("call", call_next, "Call whoever is next, or a named ticket 叫号", CallNext, CalledAnswer,
             ("window_busy",)),
    _command("recall", recall, "Call again 重呼"),
    _command("start", start, "Service begins 开始办理"),
    _command("finish", finish, "Service ends, the visit may be sent on 办结", Finish, codes=("no_such_service",)),
    _command("miss", miss, "Nobody came 过号"),
    _command("hold", hold, "Put the ticket aside 挂起", Because),
    _command("unhold", unhold, "Take a held ticket back into service", Unhold, codes=("window_busy",)),
    _command("transfer", transfer, "Let the ticket wait elsewhere 转窗口", Transfer, codes=("no_such_service",)),
    _command("undo", undo, "Take the last finish or miss back 撤销"),
)  # fmt: skip
