"""Halls' definitions and the notices on their screens."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from qserver.domain import hall as halls
from qserver.domain.errors import Refusal
from qserver.store.answers import Configured
from qserver.wire.messages import NoticeView

from .routing import Body, Call, H, Reply, Route

DEFINITION_MAX: Final = 1024 * 1024
"""A definition with hundreds of windows is larger than other bodies, bytes."""


class Halls(msgspec.Struct):
    """All halls the token may see."""

    halls: list[halls.Hall]


class NewNotice(Body, frozen=True, kw_only=True):
    """A line for the screens; the empty text takes all notices down."""

    text: Annotated[str, msgspec.Meta(max_length=300)]


class NoticePosted(msgspec.Struct):
    """The notice as it was posted."""

    notice: NoticeView


def _tag(configured: Configured) -> str:
    return f'"{configured.revision}"'


async def _must_match(call: Call) -> str:
    """The revision that must stand, from If-Match; "" when any may. Refused: precondition_failed."""
    header = call.request.headers.get("if-match")
    if header is None:
        return ""
    given = [tag.strip() for tag in header.split(",")]
    if len(given) == 1 and given[0] != "*":
        revision = given[0].removeprefix('"').removesuffix('"')
        return revision if given[0] == f'"{revision}"' and revision else "never"
    try:
        stands = _tag(await call.store.hall(call.hall))
    except Refusal as error:
        raise Refusal("precondition_failed", "the hall does not exist") from error
    if stands not in given and "*" not in given:
        raise Refusal("precondition_failed")
    return stands.strip('"')


async def put(call: Call) -> Any:
    """Makes a hall or changes it as a whole; with If-Match only if it still is what was read."""
    try:
        hall = halls.parse(msgspec.to_builtins(call.body))
    except halls.HallError as error:
        mistakes = [{"path": path, "what": what} for path, what in error.mistakes]
        raise Refusal("validation", str(error), mistakes=mistakes) from error
    if hall.id != call.hall:
        raise Refusal("validation", "id: the body names another hall than the path", field="id")
    answer = await call.store.configure(call.op, hall, if_match=await _must_match(call))
    return Reply(answer.value.hall, status=201 if answer.value.created else 200, headers={"ETag": _tag(answer.value)})


async def get(call: Call) -> Any:
    """The definition as it stands, with its ETag."""
    configured = await call.store.hall(call.hall)
    tag = _tag(configured)
    given = call.request.headers.get("if-none-match", "")
    if given == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(",")):
        return Reply(None, status=304, headers={"ETag": tag})
    return Reply(configured.hall, headers={"ETag": tag})


async def list_all(call: Call) -> Any:
    """All halls, or the one the token is bound to."""
    mine = call.principal.hall
    if mine:
        return Halls([(await call.store.hall(mine)).hall])
    return Halls(await call.store.halls())


async def post_notice(call: Call) -> Any:
    """Puts a line on the hall's screens; the newest few stand at once, and the empty text takes all down."""
    answer = await call.store.post_notice(call.op, call.hall, call.body.text)
    return Reply(NoticePosted(NoticeView(*answer.value)), replayed=answer.replayed)


ROUTES = (
    Route(
        "PUT",
        H,
        put,
        body=halls.Hall,
        answer=halls.Hall,
        summary="Make or change a hall 设置大厅",
        bound=DEFINITION_MAX,
        codes=("in_use", "precondition_failed"),
        also=(201,),
    ),
    Route("GET", H, get, answer=halls.Hall, summary="A hall's definition 大厅设置", codes=("not_found",), also=(304,)),
    Route("GET", "/api/v1/halls", list_all, answer=Halls, summary="All halls the token may see 大厅列表"),
    Route(
        "POST",
        H + "/notices",
        post_notice,
        body=NewNotice,
        answer=NoticePosted,
        summary="Put a notice on the screens 发布通知",
        codes=("not_found",),
    ),
)
