"""The short way of a request: what takes it, that it reads nothing otherwise than aiohttp, and what comes beside it."""

from __future__ import annotations

import asyncio

import pytest
import yarl
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.web_protocol import RequestHandler
from hypothesis import given
from hypothesis import strategies as st

from qserver.api.asked import Asked, Origin, whole
from qserver.domain.lifecycle import Role
from tests.api.edge import Api

TICKETS = "/api/v1/halls/h1/tickets"
BODY = b'{"service":"a"}'
APP, HERE = web.Application(), Origin("127.0.0.1", "http", lambda: False)


def post(api: Api, *more: str, body: bytes = BODY, path: str = TICKETS) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {api.tokens[Role.GUIDE]}",
        "Content-Type: application/json", f"Content-Length: {len(body)}", *more,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


def simple(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def read(data: bytes) -> Asked | None:
    """The short way's reading."""
    return whole(data, APP, HERE)


def test_a_plain_request_is_taken_as_it_is() -> None:
    found = read(simple("POST /api/v1/x?a=1&b=%20 HTTP/1.1", "Host: x", "X-Y:  z ", "Content-Length: 2", body=b"{}"))
    assert found is not None
    assert (found.method, found.path, found.query) == ("POST", "/api/v1/x", "a=1&b=%20")
    assert found.headers == {"host": "x", "x-y": "z", "content-length": "2"}
    assert (found.key, found.content, found.host, found.origin) == (None, b"{}", "x", HERE)


ODD = {
    "pieces": simple("POST /x HTTP/1.1", "Host: x", "Content-Length: 3", body=b"{}"),
    "two in one": simple("GET /x HTTP/1.1", "Host: x") * 2,
    "more than it says": simple("POST /x HTTP/1.1", "Host: x", "Content-Length: 1", body=b"{}"),
    "a body nobody announced": simple("POST /x HTTP/1.1", "Host: x", body=b"{}"),
    "two lengths": simple("POST /x HTTP/1.1", "Host: x", "Content-Length: 2", "content-length: 2", body=b"{}"),
    "a sign": simple("POST /x HTTP/1.1", "Host: x", "Content-Length: +2", body=b"{}"),
    "a list of lengths": simple("POST /x HTTP/1.1", "Host: x", "Content-Length: 2, 2", body=b"{}"),
    "chunks": simple("POST /x HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "both": simple("POST /x HTTP/1.1", "Host: x", "Content-Length: 0", "Transfer-Encoding: chunked"),
    "compressed": simple("POST /x HTTP/1.1", "Host: x", "Content-Encoding: gzip", "Content-Length: 2", body=b"{}"),
    "a name with a space": simple("GET /x HTTP/1.1", "Host: x", "Content-Length : 0"),
    "a folded line": simple("GET /x HTTP/1.1", "Host: x", "X-Y: a", " b"),
    "bare line ends": b"GET /x HTTP/1.1\nHost: x\n\n",
    "a bare CR": b"GET /x HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    "a NUL": b"GET /x HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "no host": simple("GET /x HTTP/1.1", "X: y"),
    "two hosts": simple("GET /x HTTP/1.1", "Host: x", "Host: y"),
    "two keys": simple("GET /x HTTP/1.1", "Host: x", "Idempotency-Key: a", "Idempotency-Key: b"),
    "two keys in two ways": simple("GET /x HTTP/1.1", "Host: x", "Idempotency-Key: a", "idempotency-key: b"),
    "a key that is none": simple("GET /x HTTP/1.1", "Host: x", "Idempotency-Key: é"),
    "to be closed": simple("GET /x HTTP/1.1", "Host: x", "Connection: close"),
    "an upgrade": simple("GET /x HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket"),
    "expecting": simple("POST /x HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 2", body=b"{}"),
    "HTTP/1.0": simple("GET /x HTTP/1.0", "Host: x"),
    "another method": simple("HEAD /x HTTP/1.1", "Host: x"),
    "an absolute address": simple("GET http://x/x HTTP/1.1", "Host: x"),
    "a fragment": simple("GET /x#y HTTP/1.1", "Host: x"),
    "Latin-1": simple("GET /x HTTP/1.1", "Host: x", "X: é"),
    "a long head": simple("GET /x HTTP/1.1", "Host: x", "X: " + "y" * 8000),
    "many lines": simple("GET /x HTTP/1.1", "Host: x", *(f"X-{n}: y" for n in range(80))),
    "nothing": b"",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("odd", ODD)
def test_everything_else_is_left_to_aiohttp(odd: str) -> None:
    assert read(ODD[odd]) is None


PIECES = st.sampled_from(
    [
        *("GET", "POST", "PUT", "HEAD", " ", "/", "/api/v1/x", "%41", "?", "a=1", "&", "#", "HTTP/1.1", "HTTP/1.0"),
        *("\r\n", "\r", "\n", "Host", "Content-Length", "Transfer-Encoding", "Connection", "keep-alive", "close"),
        *("chunked", ":", ": ", "0", "2", "{}", "x", "\t", "é", "\0"),
    ]
)
LINES = st.lists(
    st.sampled_from(
        [
            *("Host: x", "Content-Length: 2", "Content-Length: 0", "content-length: 2", "Connection: keep-alive"),
            *("Connection: close", "Transfer-Encoding: chunked", "Expect: 100-continue"),
            *("X: y", "X : y", "X:\ty\t", "X:", ": x", "A B: c"),
            *("Idempotency-Key: k", "Idempotency-Key:", "idempotency-key: k", "Idempotency-Key : k"),
        ]
    ),
    max_size=6,
)
NEAR = st.builds(
    lambda method, path, lines, body: simple(f"{method} {path} HTTP/1.1", *lines, body=body),
    st.sampled_from(["GET", "POST", "DELETE", "FOO"]),
    st.sampled_from(["/api/v1/x", "/x?a=b%20c", "/a//b/../c", "/%2e%41", "x", "/ü", "/x?a=b c"]),
    LINES,
    st.sampled_from([b"", b"{}", b"{}{}"]),
)


@given(st.one_of(NEAR, st.lists(PIECES, max_size=30).map(lambda some: "".join(some).encode("latin-1"))))
def test_what_is_taken_is_what_aiohttp_would_read(data: bytes) -> None:
    found = read(data)
    if found is None:
        return

    async def by_aiohttp() -> None:
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, auto_decompress=False)
        messages, upgraded, tail = parser.feed_data(data)
        ((message, payload),) = messages
        assert not upgraded and not tail and not message.should_close and not message.chunked
        assert (message.method, message.url.raw_path, message.url.raw_query_string) == (
            found.method, found.path, found.query,
        )  # fmt: skip
        keyed = {} if found.key is None else {"idempotency-key": found.key}
        assert {name.lower(): value for name, value in message.headers.items()} == dict(found.headers) | keyed
        content = payload.read_nowait(-1) if found.content else b""
        assert (content, payload.is_eof()) == (found.content, True)

    asyncio.run(by_aiohttp())


class Raw:
    """A connection byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, api: Api) -> Raw:
        url = yarl.URL(api.url)
        assert url.host and url.port
        return cls(*await asyncio.open_connection(url.host, url.port))

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """The next answer: its status and its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        return int(head[9:12]), await self.reader.readexactly(length)


async def number(raw: Raw) -> str:
    status, body = await raw.answer()
    assert status == 201, body
    return body.partition(b'"no":"')[2][:4].decode()


async def test_requests_behind_one_another_are_answered_in_their_order(api: Api) -> None:
    raw = await Raw.to(api)
    await raw.say(post(api) * 3)
    assert [await number(raw) for _ in range(3)] == ["A001", "A002", "A003"]
    await raw.say(post(api))
    assert await number(raw) == "A004"
    raw.writer.close()


async def test_a_request_may_come_in_any_two_pieces(api: Api) -> None:
    raw = await Raw.to(api)
    data = post(api)
    for n, at in enumerate(range(1, len(data), 7), 1):
        await raw.say(data[:at])
        await asyncio.sleep(0)
        await raw.say(data[at:])
        assert await number(raw) == f"A{n:03d}"
    raw.writer.close()


async def test_a_key_is_the_same_key_in_whichever_way_it_comes(api: Api) -> None:
    raw = await Raw.to(api)
    await raw.say(post(api))  # aiohttp may have this one, the next three come the short way
    assert await number(raw) == "A001"
    for line in ("Idempotency-Key: k", "idempotency-key:\tk", "IDEMPOTENCY-KEY:k "):
        await raw.say(post(api, line))
        assert await number(raw) == "A002"
    await raw.say(post(api, "Idempotency-Key: k") + post(api, "Idempotency-Key: l"))  # two in one go aiohttp's
    assert [await number(raw) for _ in range(2)] == ["A002", "A003"]
    raw.writer.close()


async def at_work(api: Api, raw: Raw) -> asyncio.Event:
    """Sends a request that is at work until the event is set."""
    gate = asyncio.Event()
    endpoint = next(one for one in api.frame.endpoints if one.key == f"POST {TICKETS.replace('h1', '{hall}')}")
    handler = endpoint.handler

    async def slow(call: object) -> object:
        await gate.wait()
        return await handler(call)  # type: ignore[arg-type]

    endpoint.handler = slow
    await raw.say(post(api))
    while not api.frame.in_flight:
        await asyncio.sleep(0)
    return gate


async def test_what_comes_while_a_request_is_at_work_waits_for_its_answer(api: Api) -> None:
    raw = await Raw.to(api)
    gate = await at_work(api, raw)
    await raw.say(post(api)[:50])
    await raw.say(post(api)[50:] + post(api))
    gate.set()
    assert [await number(raw) for _ in range(3)] == ["A001", "A002", "A003"]
    raw.writer.close()


async def goes_on(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Others are served, and nobody complained."""
    other = await Raw.to(api)
    await other.say(post(api))
    await number(other)
    while api.frame.in_flight:
        await asyncio.sleep(0)
    assert not caplog.records
    other.writer.close()


async def test_a_client_that_leaves_meanwhile_hurts_nobody(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        raw = await Raw.to(api)
        await raw.say(post(api))
        raw.writer.transport.abort()
    await goes_on(api, caplog)


async def test_a_refusal_that_ends_the_connection_is_read_before_the_end(api: Api) -> None:
    raw = await Raw.to(api)
    await raw.say(post(api, body=b" " * 65_537))
    status, _ = await raw.answer()
    assert status == 413
    assert await raw.reader.read() == b""
    raw.writer.close()


async def test_who_stops_waits_for_the_request_at_work(api: Api) -> None:
    raw = await Raw.to(api)
    await raw.say(post(api))
    while not api.frame.in_flight:
        await asyncio.sleep(0)
    stopping = asyncio.create_task(api.runner.cleanup())
    assert await number(raw) == "A001"
    await stopping
    assert await raw.reader.read() == b""
    raw.writer.close()


async def test_a_plain_request_never_gets_to_aiohttp(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would show nothing."""

    def fail(*_: object) -> None:
        raise AssertionError("aiohttp was given a request that came whole")

    raw = await Raw.to(api)
    await raw.say(post(api))  # aiohttp may have this one: its own task for the connection has to begin first
    assert await number(raw) == "A001"
    monkeypatch.setattr(RequestHandler, "data_received", fail)
    await raw.say(post(api))
    assert await number(raw) == "A002"
    raw.writer.close()
