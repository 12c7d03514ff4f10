"""How commands are sent: one key each, the same key and body again while the outcome is unknown, refusals at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from qserver.simulate.record import Record
from qserver.simulate.world import Answered, World

Answers = list[Callable[[web.Request], Awaitable[web.StreamResponse]]]


class Desk:
    """A small HTTP server that gives the prepared answers one after the other and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: Answers = []
        self.asked: list[tuple[str, str, bytes]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers as prepared."""
        self.asked.append((request.headers.get("Idempotency-Key", ""), request.path_qs, await request.read()))
        return await self.answers.pop(0)(request)


def says(status: int, body: object, **headers: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
async def desk() -> AsyncIterator[tuple[Desk, World, Record]]:
    desk, record, app = Desk(), Record(), web.Application()
    app.router.add_route("*", "/{rest:.*}", desk.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    async with server, World(str(server.make_url("/")), record, "run") as world:
        yield desk, world, record


async def test_an_unknown_outcome_is_asked_again_with_the_same_key_and_body(desk: tuple[Desk, World, Record]) -> None:
    server, world, record = desk
    server.answers = [
        says(503, {"code": "unavailable"}, **{"Retry-After": "0"}),
        hangs_up,
        says(429, {"code": "rate_limited"}, **{"Retry-After": "0"}),
        says(200, {"n": 7}, **{"Idempotency-Replayed": "true"}),
        says(200, {"n": 8}),
    ]
    assert await world.post("token", "/x", {"a": 1}, dict[str, Any]) == {"n": 7}
    assert await world.post("token", "/x", {"a": 1}, dict[str, Any]) == {"n": 8}
    keys = [key for key, _, _ in server.asked]
    assert len(set(keys[:4])) == 1 and keys[0] and keys[4] != keys[0]
    assert {body for _, _, body in server.asked} == {b'{"a":1}'}
    assert (record.commands, record.retries, record.replayed, len(record.command_ms)) == (2, 3, 1, 2)


async def test_a_refusal_is_an_answer(desk: tuple[Desk, World, Record]) -> None:
    server, world, record = desk
    server.answers = [says(409, {"code": "wrong_state", "detail": "no"}), says(404, [])]
    with pytest.raises(Answered, match="POST /x: 409 wrong_state no") as caught:
        await world.post("", "/x", {}, dict[str, Any])
    assert (caught.value.status, caught.value.code, record.retries) == (409, "wrong_state", 0)
    with pytest.raises(Answered, match="GET /y: 404"):
        await world.get("token", "/y", dict[str, Any])
