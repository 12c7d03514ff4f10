"""A client that ends its side of the connection behind its request: what it asked is done, so it is told."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from qserver.domain.lifecycle import Role
from tests.api.edge import Api
from tests.api.test_asked import BODY, TICKETS, Raw, at_work, goes_on, number, post

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

GROUP = "/api/v1/events/g"


def plain(api: Api, method: str, path: str, by: Role) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {api.tokens[by]}", "", ""]
    return "\r\n".join(lines).encode()


async def over(raw: Raw) -> None:
    """The server ends its side too."""
    async with asyncio.timeout(20):
        assert await raw.reader.read() == b""
    raw.writer.close()


async def issued(api: Api) -> int:
    return len((await api.ask("GET", TICKETS)).json["tickets"])


@pytest.mark.parametrize("more", [(), ("Expect: 100-continue",), ("Connection: close",)], ids=["short", "long", "last"])
async def test_what_came_whole_is_answered_before_the_end(api: Api, more: tuple[str, ...]) -> None:
    for n in range(1, 11):
        raw = await Raw.to(api)
        await raw.say(post(api, *more))
        raw.writer.write_eof()
        if "Expect" in str(more):
            assert await raw.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert await number(raw) == f"A{n:03d}"
        await over(raw)


async def test_requests_in_pieces_and_behind_one_another_are_all_answered(api: Api) -> None:
    raw = await Raw.to(api)
    await raw.say(post(api))
    assert await number(raw) == "A001"
    data = post(api) * 3
    await raw.say(data[:40])
    await raw.say(data[40:])
    raw.writer.write_eof()
    assert [await number(raw) for _ in range(3)] == ["A002", "A003", "A004"]
    await over(raw)


async def test_what_waits_behind_a_request_at_work_is_answered_too(api: Api) -> None:
    raw = await Raw.to(api)
    gate = await at_work(api, raw)
    await raw.say(post(api))
    await raw.say(post(api)[:60])
    raw.writer.write_eof()
    gate.set()
    assert [await number(raw) for _ in range(2)] == ["A001", "A002"]
    await over(raw)
    assert await issued(api) == 2, "what came in part never happened"


@pytest.mark.parametrize("cut", [0, 30, len(BODY)], ids=["nothing", "half a head", "a head without its body"])
async def test_what_is_cut_short_ends_at_once_and_does_nothing(api: Api, cut: int) -> None:
    raw = await Raw.to(api)
    data = post(api)
    await raw.say(data[: -len(BODY)] if cut == len(BODY) else data[:cut])
    raw.writer.write_eof()
    await over(raw)
    assert await issued(api) == 0


async def test_what_is_no_http_is_refused_before_the_end(api: Api) -> None:
    raw = await Raw.to(api)
    await raw.say(b"nonsense\r\n\r\n")
    raw.writer.write_eof()
    assert (await raw.answer())[0] == 400
    await over(raw)


async def test_who_waits_for_events_and_ends_its_side_is_answered_at_once(api: Api) -> None:
    """Nobody can tell it from one that has left."""
    await api.ask("PUT", GROUP, {}, by=Role.ANALYTICS)
    asking = plain(api, "GET", f"{GROUP}?wait_ms=30000", Role.ANALYTICS)
    for piece in (len(asking), 20):  # the short way, and aiohttp's
        raw = await Raw.to(api)
        await raw.say(asking[:piece])
        await raw.say(asking[piece:])
        raw.writer.write_eof()
        async with asyncio.timeout(20):
            status, body = await raw.answer()
        assert (status, json.loads(body)["events"]) == (200, [])
        await over(raw)


async def test_who_ends_its_side_and_then_leaves_hurts_nobody(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(20):
        raw = await Raw.to(api)
        await raw.say(post(api) if n % 2 else post(api, "Expect: 100-continue"))
        raw.writer.write_eof()
        raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        raw.writer.transport.abort()
    await goes_on(api, caplog)
