"""Who sees what, asked as everybody: every route that reads, every topic, every role, on a whole server.

One visit leaves words and numbers that could name a citizen; then each role reads all it may, and what it got is
searched for them. What must be there is in the table `domain.privacy.SIGHT`; a route or a topic that is added is asked
here without anybody thinking of it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest

from qserver.auth.principal import Principal
from qserver.auth.roles import ACCESS, AT_WINDOW, OPEN, SECRET, allowed
from qserver.domain.lifecycle import Role
from qserver.domain.privacy import HOLDER, MASK, SIGHT, Reach, Words
from qserver.wire.messages import JSON_PROTOCOL
from tests.halls import small_hall
from tests.whole import Whole

PERSON, PHONE = "person-110101199003077890", "13911112222"
"""Kept hashed, and kept: nobody is ever told either."""
WORDS, NUMBER = "这位同志推三阻四", "13800001234"
"""In the citizen's comment."""
NOTE, NOTED = "已当面说明", "13700005678"
"""In what staff wrote down."""
H = "/api/v1/halls/{hall}"
END = "all of it"


class Hall(NamedTuple):
    """The hall after the visit: a token per role (clerk and pad at w1), what the path's parts stand for."""

    server: Whole
    tokens: dict[Role, str]
    parts: dict[str, str]
    board: str
    """What the board told while it happened."""

    async def raw(self, role: Role | None, path: str) -> str:
        """An answer as text, whatever it is; "" for what is refused."""
        token = self.tokens[role] if role is not HOLDER else "none"
        answer = await self.server.request("GET", path.removeprefix("/api/v1"), token=token)
        assert answer.status in (200, 404), (role, path, answer)
        body = answer.body
        return body.decode("utf-8", "replace") if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False)


@asynccontextmanager
async def ear(server: Whole, token: str, topic: str) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """A welcomed socket; calling it gives everything said until the frame that holds a text."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(server.socket_url, protocols=[JSON_PROTOCOL]) as socket,
    ):
        await socket.send_json({"t": "hello", "token": token, "hall": "h1", "topic": topic})
        said = [await socket.receive_str(timeout=20)]

        async def until(text: str) -> str:
            while text not in said[-1]:
                said.append(await socket.receive_str(timeout=20))
            return "\n".join(said)

        yield until


async def first_state(server: Whole, token: str, topic: str) -> str:
    """What a small topic tells a joiner."""
    async with ear(server, token, topic) as until:
        return await until('"state"')


async def visit(server: Whole, tokens: dict[Role, str]) -> dict[str, str]:
    """A citizen with a telephone is served twice, complains with numbers in the words, and is followed up."""
    body = {"service": "a", "services": ["a"], "person": PERSON, "phone": PHONE}
    issued = await server.post("/halls/h1/tickets", body, token=tokens[Role.KIOSK])
    ticket, secret = issued["ticket"], issued["url"].rpartition("/t/")[2]
    for window, finish in (("w1", {}), ("w2", {"outcome": "accepted", "case": "C-1"})):
        at = f"/halls/h1/windows/{window}"
        await server.post(f"{at}/open", {"staff": f"clerk-{window}"})
        await server.post(f"{at}/call", {"ticket": ticket["id"]})
        await server.post(f"{at}/hold", {"reason": f"{NOTE} {NOTED}"})
        await server.post(f"{at}/unhold", {"ticket": ticket["id"]})
        await server.post(f"{at}/finish", finish)
    for leg in (1, 2):
        words = {"comment": f"{WORDS}，电话 {NUMBER}", "reasons": [f"回电 {NUMBER}"]}
        await server.post(f"/t/{secret}/rating", {"score": 1, "leg": leg, **words}, token="")
    review = "/halls/h1/reviews/r000001"
    person = {"id": "wang", "role": "assessor", "password": "correct horse"}
    await server.post("/halls/h1/staff", person)
    entered = await server.post("/login", {"hall": "h1", "staff": "wang", "password": "correct horse"}, token="")
    for step, said in (
        ("assign", {"to": "li", "note": f"{NOTE} {NOTED}"}),
        ("verify", {"result": "valid", "note": f"{NOTE} {NOTED}"}),
        ("rectify", {"note": f"{NOTE} {NOTED}"}),
        ("revisit", {"result": "reopened", "comment": f"{WORDS} {NUMBER}"}),
        ("appeal", {"reason": f"{NOTE} {NOTED}"}),
    ):
        await server.post(f"{review}/{step}", said, token=entered["token"])
    await server.post("/halls/h1/cases/C-1/complete", {"note": f"{NOTE} {NOTED}"})
    await server.post("/halls/h1/notices", {"text": END})
    return {
        "hall": "h1", "no": ticket["id"], "id": "r000001", "case": "C-1", "window": "w1", "service": "a",
        "day": ticket["day"], "month": ticket["day"][:7], "group": "privacy", "secret": secret, "staff": "wang",
    }  # fmt: skip


@pytest.fixture
async def hall(server: Whole) -> Hall:
    await server.put_hall(small_hall())
    tokens = {Role.ADMIN: server.admin}
    for role in Role:
        if role is not Role.ADMIN:
            window = {"window": "w1"} if role in AT_WINDOW | {Role.DISPLAY} else {}
            tokens[role] = await server.token(role, hall="h1", **window)
    await server.put("/events/privacy", {"from": "start"}, token=tokens[Role.ANALYTICS])
    async with ear(server, tokens[Role.DISPLAY], "board") as until:
        parts = await visit(server, tokens)
        return Hall(server, tokens, parts, await until(END))


def routes() -> list[str]:
    """Every path that is read with a token."""
    return [
        key.removeprefix("GET ")
        for key, access in ACCESS.items()
        if key.startswith("GET ") and access.roles not in (OPEN, SECRET)
    ]


def must_read(role: Role | None, text: str, where: str) -> None:
    """The text holds nothing that the role may not read."""
    sight = SIGHT[role]
    assert PERSON not in text and PHONE not in text, where
    assert WORDS not in text or sight.comments is not Words.HIDDEN, where
    assert NUMBER not in text or sight.comments is Words.WHOLE, where
    assert NOTE not in text or sight.notes is not Words.HIDDEN, where
    assert NOTED not in text or sight.notes is Words.WHOLE, where


async def test_no_route_tells_a_role_more_than_the_table_lets_it_see(hall: Hall) -> None:
    asked = 0
    for role in Role:
        for path in routes():
            if not allowed(Principal("x", role, "h1", "w1"), f"GET {path}", "h1", "w1"):
                continue
            for query in ("", "?format=csv&by=staff") if "reports" in path else ("",):
                must_read(role, await hall.raw(role, path.format(**hall.parts) + query), f"{role}: {path}{query}")
                asked += 1
    assert asked > 60


async def test_what_may_be_read_is_there(hall: Hall) -> None:
    read = {
        role: await hall.raw(role, "/api/v1/halls/h1/reviews/r000001")
        for role in (Role.CLERK, Role.SUPERVISOR, Role.ASSESSOR, Role.ADMIN)
    }
    assert {role for role, text in read.items() if WORDS in text} == {Role.SUPERVISOR, Role.ASSESSOR, Role.ADMIN}
    assert {role for role, text in read.items() if NUMBER in text} == {Role.ASSESSOR, Role.ADMIN}
    assert all(NOTE in text for text in read.values())
    assert {role for role, text in read.items() if NOTED in text} == {Role.ASSESSOR, Role.ADMIN}
    feed = await hall.raw(Role.ANALYTICS, "/api/v1/events/privacy")
    assert NOTE in feed and f'"comment": "{MASK}"' in feed


async def test_a_rating_on_a_ticket_is_seen_as_far_as_the_role_reaches(hall: Hall) -> None:
    """The first leg was at w1, where the clerk's token belongs, the second at w2."""
    for role in (Role.GUIDE, Role.CLERK, Role.SUPERVISOR, Role.ASSESSOR, Role.ADMIN):
        one = json.loads(await hall.raw(role, f"/api/v1/halls/h1/tickets/{hall.parts['no']}"))["ticket"]
        (listed,) = json.loads(await hall.raw(role, "/api/v1/halls/h1/tickets"))["tickets"]
        wanted = {Reach.ALL: [True, True], Reach.OWN: [True, False], Reach.NONE: [False, False]}[SIGHT[role].ratings]
        assert [leg["rating"] is not None for leg in one["legs"]] == wanted, role
        assert listed == one
    own = await hall.server.get(f"/t/{hall.parts['secret']}", token="")
    assert [leg["rating"]["score"] for leg in own["ticket"]["legs"]] == [1, 1]
    must_read(HOLDER, json.dumps(own, ensure_ascii=False), "the holder")


async def test_a_clerk_of_another_window_reads_none_of_it(hall: Hall) -> None:
    other = await hall.server.token("clerk", hall="h1", window="w3")
    assert (await hall.server.get("/halls/h1/reviews", token=other))["reviews"] == []
    refused = await hall.server.request("GET", "/halls/h1/reviews/r000001", token=other)
    assert refused.code == "forbidden"
    seen = (await hall.server.get(f"/halls/h1/tickets/{hall.parts['no']}", token=other))["ticket"]
    assert [leg["rating"] for leg in seen["legs"]] == [None, None]


async def test_no_socket_tells_of_persons_or_words(hall: Hall) -> None:
    must_tell_nothing(hall.board, "board")
    assert hall.board.count('"event"') > 8
    for topic, roles in (
        ("window:w1", (Role.CLERK, Role.PAD, Role.DISPLAY, Role.SUPERVISOR)),
        ("stats", (Role.SUPERVISOR, Role.ASSESSOR)),
    ):
        for role in roles:
            must_tell_nothing(await first_state(hall.server, hall.tokens[role], topic), f"{role}: {topic}")
    own = await first_state(hall.server, hall.parts["secret"], "ticket")
    must_tell_nothing(own, "the holder")
    assert '"score":1' in own


def must_tell_nothing(text: str, where: str) -> None:
    """Neither persons, nor telephones, nor a word of what anybody wrote."""
    for secret in (PERSON, PHONE, WORDS, NUMBER, NOTED, "comment"):
        assert secret not in text, where


async def test_what_a_step_answers_is_read_like_a_reading(hall: Hall) -> None:
    answer: Any = await hall.server.post(
        "/halls/h1/reviews/r000002/appeal", {"reason": f"{NOTE} {NOTED}"}, token=hall.tokens[Role.SUPERVISOR]
    )
    text = json.dumps(answer, ensure_ascii=False)
    must_read(Role.SUPERVISOR, text, "appeal")
    assert WORDS in text and NOTE in text
