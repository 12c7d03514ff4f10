"""Each role x each row of the role table x own, other and no window x own, other and no hall, over real connections.

The walk is the table's: a route that stands not in it, or one that this file cannot ask for, fails. What must come out
is computed here from the row's roles and `own`, for devices' tokens and for people who logged in alike; whether the
rows themselves say what was promised is `test_frame`'s.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from qserver.api import app
from qserver.auth import roles
from qserver.auth.roles import ACCESS, OPEN, SECRET
from qserver.domain.lifecycle import Role
from qserver.push import Push
from qserver.store.answers import SYSTEM
from qserver.wire.messages import Close
from tests.api.edge import Api, StartApi
from tests.api.people import PASSWORD, hire, log_in
from tests.halls import small_hall

PARTS = {
    # What stands in a path for each of its parts; nothing of it exists, so that no request changes anything.
    "no": "Z999", "id": "none", "secret": "none", "service": "none", "case": "none", "group": "none", "staff": "none",
    "day": "2026-11-24", "month": "2026-11",
}  # fmt: skip
OTHER_WINDOW, OTHER_HALL = "w2", "h2"
JSON = {"Content-Type": "application/json"}
UNKNOWN = b'{"no field of any route": 1}'
"""Refused by every route that takes a body, after it was seen who asks: so nothing happens."""

ROUTES = sorted(route.key for route in app.routes())
"""Those about the process itself are open to all, and `test_frame`'s."""
TOPICS = sorted(key.removeprefix("topic ") for key in ACCESS if key.startswith("topic "))


class Asker(NamedTuple):
    """Somebody with a token, and what it is bound to."""

    role: Role
    hall: str
    window: str
    token: str


class Asked(NamedTuple):
    """One row at one place, "" where the path names none."""

    key: str
    hall: str
    window: str

    @property
    def request(self) -> tuple[str, str]:
        """Method and path."""
        method, path = self.key.split(" ")
        parts = {**PARTS, "hall": self.hall, "window": self.window}
        return method, re.sub(r"{(\w+)}", lambda match: parts[match[1]], path)


def places(key: str) -> Iterator[Asked]:
    """A row in the own and another hall, at the own and another window, as far as its path names them."""
    for hall in ("h1", OTHER_HALL) if "{hall}" in key else ("",):
        for window in ("w1", OTHER_WINDOW) if "{window}" in key else ("",):
            yield Asked(key, hall, window)


def may(asker: Asker, asked: Asked) -> bool:
    """What the row says, read here anew."""
    row = ACCESS[asked.key]
    if not isinstance(row.roles, frozenset):
        return row.roles is OPEN
    in_hall = not asked.hall or not asker.hall or asked.hall == asker.hall
    at_window = asker.role not in row.own or (asker.window != "" and asker.window == asked.window)
    return asker.role in row.roles and in_hall and at_window


async def tokens_of(api: Api, role: Role) -> list[Asker]:
    """A role's tokens: of a device bound to hall and window as far as it may be, and of whoever logged in."""
    found = []
    bindings = [("h1", "w1"), ("h1", ""), ("", "")]
    for hall, window in bindings:
        if (not hall and role not in roles.SPANNING) or (not window and role in roles.AT_WINDOW):
            continue
        found.append(Asker(role, hall, window, await api.token(role, hall, window, f"m-{role}-{hall}-{window}")))
    if role in roles.PEOPLE:
        await hire(api, f"p-{role}", role)
        window = "w1" if role in roles.AT_WINDOW else ""
        session = (await log_in(api, f"p-{role}", PASSWORD, window or None)).json
        found.append(Asker(role, "h1", window, session["token"]))
    return found


@pytest.fixture
async def whole(start_api: StartApi) -> AsyncIterator[Api]:
    """An interface with its sockets and a second hall."""
    pushes: list[Push] = []

    async def socket(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        return await pushes[0].handler(request)

    api = await start_api(websocket=socket)
    await api.store.configure(SYSTEM, small_hall(OTHER_HALL))
    pushes.append(Push(api.store, api.auth))
    await pushes[0].start()
    yield api
    await pushes[0].stop()


def test_the_walk_leaves_no_row_out() -> None:
    for key in ROUTES:
        for asked in places(key):
            method, path = asked.request  # KeyError: a part of a path that this file knows nothing of
            assert method in ("GET", "POST", "PUT", "DELETE") and "{" not in path
    assert set(TOPICS) == {"board", "window", "stats", "ticket"}


async def test_every_route_stands_in_the_table_and_every_row_is_walked(api: Api) -> None:
    standing = {endpoint.key for endpoint in api.frame.endpoints}
    assert standing == {key for key in ACCESS if not key.startswith("topic ")}
    assert {key for key in standing if "/api/" in key} <= set(ROUTES)


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_at_each_route_and_place(whole: Api, role: Role) -> None:
    askers = await tokens_of(whole, role)
    assert askers
    wrong = []
    for key in ROUTES:
        for asked in places(key):
            method, path = asked.request
            for asker in askers:
                sent: dict[str, Any] = {} if method == "GET" else {"data": UNKNOWN, "headers": JSON}
                answer = await whole.ask(method, path, by=asker.token, **sent)
                row = ACCESS[key]
                if row.roles is SECRET:  # the path's secret is the key, whoever asks
                    good = answer.status == 404
                elif may(asker, asked):
                    good = answer.status not in (401, 403) and answer.status < 500
                else:
                    good = (answer.status, answer.code) == (403, "forbidden")
                if not good:
                    wrong.append((asked, asker[:3], answer))
    assert not wrong


@pytest.mark.parametrize("key", [key for key in ROUTES if ACCESS[key].roles not in (OPEN, SECRET)])
async def test_nobody_and_a_token_of_nobodys_is_unauthorized_everywhere(whole: Api, key: str) -> None:
    for asked in places(key):
        method, path = asked.request
        for by in ("", "nobody", "qs_none_" + "x" * 32):
            answer = await whole.ask(method, path, by=by)
            assert (answer.status, answer.code) == (401, "unauthorized"), (asked, by)


async def _hello(api: Api, asker: Asker, topic: str, hall: str) -> tuple[str, Any]:
    """The first thing a socket is told."""
    async with api.client.ws_connect("/ws", protocols=("qserver.v1.json",)) as socket:
        await socket.send_json({"t": "hello", "token": asker.token, "hall": hall, "topic": topic})
        message = await asyncio.wait_for(socket.receive(), 10)
        told = msgspec.json.decode(message.data)
        return told["t"], told.get("code")


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_at_each_topic_and_place(whole: Api, role: Role) -> None:
    askers = await tokens_of(whole, role)
    wrong = []
    for topic in TOPICS:
        for hall in ("h1", OTHER_HALL):
            for window in ("w1", OTHER_WINDOW) if topic == "window" else ("",):
                for asker in askers:
                    told = await _hello(whole, asker, f"window:{window}" if window else topic, hall)
                    good = may(asker, Asked(f"topic {topic}", hall, window))
                    if told != (("welcome", None) if good else ("bye", Close.NOT_ALLOWED)):
                        wrong.append((topic, hall, window, asker[:3], told))
    assert not wrong
