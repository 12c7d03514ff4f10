"""What nobody in his right mind sends. It is refused in order, tells nothing, and hurts nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import io
import tracemalloc
from typing import Any

import msgspec
import pytest
import yarl

from qserver.api import intake
from qserver.domain.lifecycle import Role
from tests.api.edge import Api

HALL = "/api/v1/halls/h1"
TICKETS = f"{HALL}/tickets"
JSON = {"Content-Type": "application/json"}


async def unharmed(api: Api) -> None:
    """The interface still works, nothing was issued, and no mistake of ours happened."""
    async with asyncio.timeout(20):
        while api.frame.in_flight:
            await asyncio.sleep(0)
    assert (await api.ask("GET", TICKETS)).json == {"tickets": [], "next": None}
    text = (await api.ask("GET", "/metrics", by="")).content.decode()
    assert 'status="500"' not in text
    assert "qserver_http_in_flight 0" in text


async def raw(api: Api, *pieces: bytes, end: bool = False) -> bytes:
    """What comes back for bytes as they are, until the server ends the connection or one answer is there."""
    url = yarl.URL(api.url)
    assert url.host and url.port
    reader, writer = await asyncio.open_connection(url.host, url.port)
    got = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if end:
            writer.write_eof()
        async with asyncio.timeout(20):
            while chunk := await reader.read(65536):
                got += chunk
                head, found, body = got.partition(b"\r\n\r\n")
                if found and b"content-length: %d\r\n" % len(body) in head.lower() + b"\r\n":
                    break
    except ConnectionError:
        pass
    finally:
        writer.close()
    return got


def head(api: Api, line: str = f"POST {TICKETS} HTTP/1.1", *more: str) -> bytes:
    lines = [line, "Host: x", f"Authorization: Bearer {api.tokens[Role.GUIDE]}", *JSON_LINES, *more]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


JSON_LINES = ["Content-Type: application/json"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"null",
        b"[]",
        b'"service"',
        b"1e999",
        b"NaN",
        b"{'service': 'a'}",
        b'{"service": "a",}',
        b'{"service": "a"} {"service": "a"}',
        b'{"service": "\xff"}',
        b'{"service": "\xc0\x80"}',
        b'{"service": "\\ud800"}',
        b"\xef\xbb\xbf" + b'{"service": "a"}',
        '{"service": "a"}'.encode("utf-16"),
        b"\x00" * 100,
        b"[" * 30_000,
        b'{"service":' * 5_000,
        b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"services":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
)
async def test_bodies_that_are_no_command(api: Api, body: bytes) -> None:
    for key in ("", "k"):
        answer = await api.ask("POST", TICKETS, data=body, headers=JSON, key=key)
        assert (answer.status, answer.code) == (400, "validation"), answer
        assert len(answer.content) < 1000
        assert b"Traceback" not in answer.content and b"qserver/" not in answer.content
    await unharmed(api)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"service": None},
        {"service": 1},
        {"service": True},
        {"service": ["a"]},
        {"service": {"a": 1}},
        {"service": ""},
        {"service": "A"},
        {"service": "a" * 33},
        {"service": "a:b"},
        {"service": "a\n"},
        {"service": "a\u0000"},
        {"service": "{p0}"},
        {"service": "a", "services": "b"},
        {"service": "a", "services": ["b"] * 1000},
        {"service": "a", "priority": 5},
        {"service": "a", "window": "../w1"},
        {"service": "a", "person": "x" * 10_000},
        {"service": "a", "phone": "<script>"},
        {"service": "a", "__proto__": {}},
        {"service": "a", "state": "called"},
        {"service": "a", "issued_ms": 0},
        {"service": "a", "staff": "me"},
    ],
)
async def test_values_that_are_not_of_the_form(api: Api, body: dict[str, Any]) -> None:
    answer = await api.ask("POST", TICKETS, body)
    assert (answer.status, answer.code) == (400, "validation"), answer
    await unharmed(api)


@pytest.mark.parametrize("size", [64 * 1024 + 1, 2 * 1024 * 1024])
async def test_bodies_that_are_too_large(api: Api, size: int) -> None:
    async def chunks() -> Any:
        for _ in range(size // 1024 + 1):
            yield b"x" * 1024

    for data in (io.BytesIO(b"x" * size), chunks()):
        try:
            answer = await api.ask("POST", TICKETS, data=data, headers=JSON)
        except ConnectionError:  # it may close before it has read all
            continue
        assert (answer.status, answer.code) == (413, "too_large")
        assert answer.headers["Connection"] == "close"
    await unharmed(api)


async def test_a_body_that_only_claims_to_be_large_is_not_waited_for(api: Api) -> None:
    got = await raw(api, head(api, f"POST {TICKETS} HTTP/1.1", "Content-Length: 99999999999"))
    assert got.startswith(b"HTTP/1.1 413 ")
    await unharmed(api)


async def test_a_body_of_the_largest_size_is_read(api: Api) -> None:
    body = msgspec.json.encode({"service": "a"}).ljust(64 * 1024)
    assert (await api.ask("POST", TICKETS, data=body, headers=JSON)).status == 201


async def test_a_body_that_does_not_come(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BODY_WAIT_S", 0.05)
    got = await raw(api, head(api, f"POST {TICKETS} HTTP/1.1", "Content-Length: 15"), b'{"servi')
    assert got.startswith(b"HTTP/1.1 400 ") and b"did not come" in got
    await unharmed(api)


async def test_a_client_that_leaves_in_the_middle(api: Api) -> None:
    await raw(api, head(api, f"POST {TICKETS} HTTP/1.1", "Content-Length: 15"), b'{"servi', end=True)
    await unharmed(api)


async def test_a_body_in_small_pieces_is_read(api: Api) -> None:
    body = b'{"service":"a"}'
    pieces = [body[n : n + 1] for n in range(len(body))]
    got = await raw(api, head(api, f"POST {TICKETS} HTTP/1.1", f"Content-Length: {len(body)}"), *pieces)
    assert got.startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/xml",
        "application/json; charset=gbk",
        "application/jsonx",
        "multipart/form-data; boundary=x",
    ],
)
async def test_bodies_of_another_type(api: Api, kind: str) -> None:
    answer = await api.ask("POST", TICKETS, data=b'{"service":"a"}', headers={"Content-Type": kind})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    await unharmed(api)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"'])
async def test_json_by_any_of_its_names(api: Api, kind: str) -> None:
    answer = await api.ask("POST", TICKETS, data=b'{"service":"a"}', headers={"Content-Type": kind})
    assert answer.status == 201


async def test_a_compressed_body_is_not_taken(api: Api) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    for coding in ("gzip", "deflate", "br", "zstd", "x-none"):
        answer = await api.ask("POST", TICKETS, data=bomb, headers=JSON | {"Content-Encoding": coding})
        assert answer.status in (400, 415), (coding, answer)
    await unharmed(api)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/halls/../../etc/passwd",
        "/api/v1/halls/h1/../h1/tickets",
        "/api/v1/halls/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/halls/h1%2ftickets",
        "/api/v1/halls/h1/tickets%00",
        "/api/v1/halls/h1/tickets/%0d%0aX-Evil:%201",
        "/api/v1/halls/h1/windows/%c0%ae",
        "/api/v1/halls/h1;a=b/tickets",
        "/api/v1/halls/{hall}/tickets",
        "/api/v1/halls/" + "a" * 7000,
        "/api/v1/" + "a/" * 3000,
        "/API/V1/halls",
        "//api/v1/halls",
        "/docs/../livez",
        "/docs/..%2f..%2fpyproject.toml",
        "/t/../../etc/passwd",
    ],
)
async def test_paths_that_lead_nowhere(api: Api, path: str) -> None:
    got = await raw(api, head(api, f"GET {path} HTTP/1.1"))
    assert got.split(b" ", 2)[1] in (b"404", b"403"), got[:200]
    assert b"X-Evil" not in got.partition(b"\r\n\r\n")[0]
    await unharmed(api)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(5_000)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_request(api: Api, request_bytes: bytes, caplog: pytest.LogCaptureFixture) -> None:
    got = await raw(api, request_bytes, end=True)
    assert got == b"" or got.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 405 ")), got[:200]
    assert got == b"" or b"Content-Type: application/problem+json" in got
    assert b"Traceback" not in got and b"aiohttp" not in got and b"Python" not in got
    assert not caplog.records
    await unharmed(api)


async def test_a_header_as_long_as_allowed_is_no_trouble(api: Api) -> None:
    for headers in ({"X-Long": "y" * 8000}, {f"X-{n}": "y" for n in range(90)}, {"Cookie": "a=b; " * 1000}):
        assert (await api.ask("GET", TICKETS, headers=headers)).status == 200


async def test_a_key_of_control_characters_is_refused(api: Api) -> None:
    body = b'{"service":"a"}'
    for key in (b"a\x7fb", b"\x80", b"a\tb", b"a\rb"):
        request = head(api, f"POST {TICKETS} HTTP/1.1", f"Content-Length: {len(body)}")[:-2]
        got = await raw(api, request + b"Idempotency-Key: " + key + b"\r\n\r\n" + body)
        assert got.startswith(b"HTTP/1.1 400 ") and b'"code":"validation"' in got, got[:200]
    await unharmed(api)


async def test_who_waits_for_leave_to_send_its_body_gets_it(api: Api) -> None:
    body = b'{"service":"a"}'
    url = yarl.URL(api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head(api, f"POST {TICKETS} HTTP/1.1", f"Content-Length: {len(body)}", "Expect: 100-continue"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 20)).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_two_requests_in_one_piece_are_answered_in_order(api: Api) -> None:
    one = head(api, "GET /livez HTTP/1.1")
    two = head(api, "GET /nowhere HTTP/1.1", "Connection: close")
    url = yarl.URL(api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(one + two)
    got = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert got.index(b"HTTP/1.1 200 ") < got.index(b"HTTP/1.1 404 ")


async def test_http_1_0_is_answered_and_closed(api: Api) -> None:
    got = await raw(api, b"GET /livez HTTP/1.0\r\n\r\n", end=False)
    assert got.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in got


async def test_a_reader_that_never_reads_does_not_fill_memory(api: Api) -> None:
    windows = [{"id": f"w{n}", "services": ["s"], "name": "窗口" * 100} for n in range(400)]
    large = {"id": "h2", "services": [{"id": "s", "prefix": "S"}], "windows": windows}
    assert (await api.ask("PUT", "/api/v1/halls/h2", large)).status == 201
    url = yarl.URL(api.url)
    _, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    lines = ["GET /api/v1/halls/h2 HTTP/1.1", "Host: x", f"Authorization: Bearer {api.tokens[Role.ADMIN]}"]
    writer.write("\r\n".join([*lines, "", ""]).encode() * 1000)
    assert api.runner.server is not None
    async with asyncio.timeout(30):
        while not any(connection._paused for connection in api.runner.server.connections):
            await asyncio.sleep(0)
    meter = next(one.meter for one in api.frame.endpoints if one.key == "GET /api/v1/halls/{hall}")
    assert 0 < sum(meter.statuses.values()) < 500
    writer.transport.abort()
    await unharmed(api)


async def test_texts_of_all_scripts_come_back_as_they_were(api: Api) -> None:
    text = "号票 👩\u200d👩\u200d👧 \u202eabc\u202c é \u2028 <b>&amp;</b> \\ \" '"
    posted = await api.ask("POST", f"{HALL}/notices", {"text": text})
    assert posted.json["notice"]["text"] == text
    assert (await api.ask("GET", f"{HALL}/board")).json["board"]["notices"][0]["text"] == text


async def test_what_is_no_http_is_read_no_further_and_leaves_nothing_behind(api: Api) -> None:
    async def pour() -> None:
        url = yarl.URL(api.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                writer.write(b"A" * 65536)
                await writer.drain()
            await reader.read()
        writer.close()

    await pour()
    gc.collect()
    gc.disable()  # what only the collector finds fills the memory meanwhile
    tracemalloc.start()
    try:
        for _ in range(8):
            await pour()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left < 3_000_000
    await unharmed(api)
