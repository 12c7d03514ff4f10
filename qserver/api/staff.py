"""Staff 人员: who may log in to a hall. An admin sees to everybody, a supervisor to the clerks and guides of its hall.

A password comes in and never goes out, nor does its hash. Whoever is disabled, given another password or other rights
is logged out everywhere at once.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from qserver.auth import roles
from qserver.domain.errors import Refusal
from qserver.domain.lifecycle import Role
from qserver.domain.rules import Id
from qserver.feed import trail
from qserver.feed.cloudevents import CloudEvent, convert
from qserver.store.answers import Answer, StaffChange, StaffRecord

from .login import DESK, Password, StaffId, slowly
from .routing import Body, Call, Empty, H, Handler, Reply, Route

_ONE: Final = H + "/staff/{staff}"
RESERVED: Final = frozenset({"system", "anonymous", "admin"})
"""Who stands on record under these names is no person."""

Name = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)", description="name 姓名")]
Windows = Annotated[
    list[Id], msgspec.Meta(max_length=200, description="where a clerk may work; none named = at every window")
]


class NewStaff(Body, frozen=True, kw_only=True):
    """Somebody who is to log in."""

    id: StaffId
    role: Role
    password: Password
    name: Name = ""
    windows: Windows = msgspec.field(default_factory=list)


class ChangeStaff(Body, frozen=True, kw_only=True):
    """What is to be otherwise; another role or other windows end the sessions."""

    name: Name | None = None
    role: Role | None = None
    windows: Windows | None = None


class NewPassword(Body, frozen=True, kw_only=True):
    """The new password."""

    password: Password


class StaffInfo(msgspec.Struct, kw_only=True):
    """Somebody who may log in, as it may be shown."""

    id: str
    name: str
    role: Role
    windows: Annotated[list[str], msgspec.Meta(description="where a clerk may work; empty = at every window")]
    created_ms: int
    password_ms: Annotated[int, msgspec.Meta(description="when the password was set")]
    disabled_ms: Annotated[int | None, msgspec.Meta(description="since when this person may not log in; null = may")]
    locked_until_ms: Annotated[
        int | None, msgspec.Meta(description="until when nobody may log in as this person, for wrong passwords")
    ]
    login_ms: Annotated[int | None, msgspec.Meta(description="the last log-in")]


class StaffAnswer(msgspec.Struct):
    """Somebody."""

    staff: StaffInfo


class StaffList(msgspec.Struct):
    """Everybody of the hall, by id."""

    staff: list[StaffInfo]


class TrailQuery(Body, frozen=True, kw_only=True):
    """Where to go on, and how many at most."""

    after: Annotated[str, msgspec.Meta(max_length=100, description="`next` of the page before")] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class Trail(msgspec.Struct):
    """What somebody did and what was done about this person, as far back as the feed keeps events, oldest first.

    A page may hold few or none and still be followed by others.
    """

    events: list[CloudEvent]
    next: str | None


def info(record: StaffRecord, now_ms: int) -> StaffInfo:
    """Somebody as it may be shown; `now_ms` by the data server's clock."""
    return StaffInfo(
        id=record.id,
        name=record.name,
        role=Role(record.role),
        windows=record.windows,
        created_ms=record.created_ms,
        password_ms=record.changed_ms,
        disabled_ms=record.disabled_ms or None,
        locked_until_ms=record.locked_ms if record.locked_ms > now_ms else None,
        login_ms=record.login_ms or None,
    )


def _check_role(call: Call, role: str) -> None:
    """Refused: forbidden (above a supervisor), validation (no person's)."""
    if call.principal.role is not Role.ADMIN and role not in roles.LED_BY_SUPERVISOR:
        raise Refusal("forbidden", f"an admin sees to people of role {role}")
    if role not in roles.PEOPLE:
        raise Refusal("validation", f"role: {role} is a device's or a system's, which log in nowhere", field="role")


async def _check_windows(call: Call, windows: list[str]) -> None:
    hall = (await call.store.hall(call.hall)).hall
    if any(hall.window(window) is None for window in windows):
        raise Refusal("no_such_window")


async def _theirs(call: Call) -> StaffRecord:
    """Who the path names. Refused: not_found, forbidden (above a supervisor)."""
    found = await call.store.person(call.hall, call.params["staff"])
    _check_role(call, found.role)
    return found


def _told(call: Call, answer: Answer[StaffChange], status: int = 200) -> Reply:
    for ended in answer.value.ended:
        call.auth.revoked(ended)
    return Reply(StaffAnswer(info(answer.value.person, call.auth.now_ms())), status=status, replayed=answer.replayed)


async def list_all(call: Call) -> StaffList:
    """Everybody who may log in, or might."""
    await call.store.hall(call.hall)
    return StaffList([info(one, call.auth.now_ms()) for one in await call.store.staff(call.hall)])


async def look(call: Call) -> StaffAnswer:
    """Somebody."""
    return StaffAnswer(info(await call.store.person(call.hall, call.params["staff"]), call.auth.now_ms()))


async def add(call: Call) -> Reply:
    """Lets somebody log in from now on. `in_use`: there is such a person, or a token of that name."""
    wanted: NewStaff = call.body
    _check_role(call, wanted.role)
    if wanted.id in RESERVED:
        raise Refusal("validation", f"id: {wanted.id} stands on record for something else", field="id")
    await _check_windows(call, wanted.windows)
    op = await slowly(call)
    answer = await call.store.add_staff(
        op,
        call.hall,
        wanted.id,
        name=wanted.name,
        role=wanted.role,
        hashed=await call.request.app[DESK].passwords.hash(wanted.password),
        windows=wanted.windows,
    )
    return _told(call, answer, 201)


async def change(call: Call) -> Reply:
    """Changes name, role or windows."""
    wanted: ChangeStaff = call.body
    if wanted == ChangeStaff():
        raise Refusal("validation", "say what is to be otherwise")
    await _theirs(call)
    if wanted.role is not None:
        _check_role(call, wanted.role)
    await _check_windows(call, wanted.windows or [])
    answer = await call.store.change_staff(
        call.op, call.hall, call.params["staff"], name=wanted.name, role=wanted.role, windows=wanted.windows
    )
    return _told(call, answer)


async def set_password(call: Call) -> Reply:
    """Sets somebody's password; a lock is lifted, sessions end."""
    await _theirs(call)
    op = await slowly(call)
    hashed = await call.request.app[DESK].passwords.hash(call.body.password)
    return _told(call, await call.store.set_password(op, call.hall, call.params["staff"], hashed))


async def disable(call: Call) -> Reply:
    """Lets somebody log in no more; sessions end. What stands on record stays."""
    await _theirs(call)
    return _told(call, await call.store.disable_staff(call.op, call.hall, call.params["staff"]))


async def enable(call: Call) -> Reply:
    """Lets somebody log in again, who was disabled or locked out."""
    await _theirs(call)
    return _told(call, await call.store.enable_staff(call.op, call.hall, call.params["staff"]))


async def events(call: Call) -> Trail:
    """The trail of one person: what this person did while logged in, and log-ins, passwords and rights."""
    query: TrailQuery = call.query
    found, after = await trail.read(call.store, call.hall, call.params["staff"], after=query.after, limit=query.limit)
    return Trail([convert(event) for event in found], after)


def _command(name: str, handler: Handler, summary: str, body: Any = Empty, **more: Any) -> Route:
    return Route("POST", f"{_ONE}/{name}", handler, body=body, answer=StaffAnswer, summary=summary, **more)


ROUTES = (
    Route("GET", H + "/staff", list_all, answer=StaffList, summary="Staff 人员", codes=("not_found",)),
    Route("POST", H + "/staff", add, body=NewStaff, answer=StaffAnswer, status=201, secret=True,
          summary="Let somebody log in 新增人员", codes=("not_found", "no_such_window", "in_use")),
    Route("GET", _ONE, look, answer=StaffAnswer, summary="One person"),
    _command("change", change, "Change name, role or windows 修改人员", ChangeStaff, codes=("no_such_window",)),
    _command("password", set_password, "Set a password 重设密码", NewPassword, secret=True),
    _command("disable", disable, "Let somebody log in no more 停用"),
    _command("enable", enable, "Let somebody log in again 启用"),
    Route("GET", _ONE + "/events", events, query=TrailQuery, answer=Trail, summary="What one person did 操作记录"),
)  # fmt: skip
