"""One attempt on a real socket: what the other side may do, and what nobody may make us do."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from qserver.hooks.post import Post
from qserver.hooks.tally import Outcome
from tests.hooks.receivers import Came, Receiver, answering, receiving
from tests.proxies import server_tls
from tests.servers import free_port

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    post = Post("any")
    yield post
    await post.close()


async def send(post: Post, url: str) -> Outcome:
    return await post.send(url, {"webhook-id": "m1"}, b'{"a":1}', 0)


async def test_the_answer_is_a_number_and_two_hundreds_are_good(post: Post, receiver: Receiver) -> None:
    for status in (200, 202, 204, 299):
        receiver.answer = answering(status)
        outcome = await send(post, receiver.url)
        assert (outcome.status, outcome.error, outcome.gone) == (status, "", False)
    for status in (304, 400, 404, 410, 500, 503):
        receiver.answer = answering(status)
        outcome = await send(post, receiver.url)
        assert (outcome.status, outcome.error, outcome.gone) == (status, f"answered {status}", status == 410)
    came = receiver.came[0]
    assert came.body == b'{"a":1}' and came.headers["webhook-id"] == "m1"
    assert came.headers["Content-Type"] == "application/cloudevents+json"
    assert came.headers["User-Agent"].startswith("qserver/")


async def test_connections_serve_again(post: Post, receiver: Receiver) -> None:
    peers = set()
    for _ in range(5):
        assert not (await send(post, receiver.url)).error
        assert receiver.request is not None
        peers.add(receiver.request.transport and receiver.request.transport.get_extra_info("peername"))
    assert len(peers) == 1


async def test_no_redirect_is_followed(post: Post, receiver: Receiver) -> None:
    async with receiving() as other:
        for status in (301, 302, 303, 307, 308):
            receiver.answer = answering(status, Location=other.url)
            assert (await send(post, receiver.url)).error == f"answered {status}"
        assert other.came == []


async def test_no_cookie_is_kept(post: Post, receiver: Receiver) -> None:
    receiver.answer = answering(200, Set_Cookie="a=b; Path=/")
    await send(post, receiver.url)
    await send(post, receiver.url)
    assert "Cookie" not in receiver.came[1].headers


async def test_what_an_answer_holds_is_not_waited_for(post: Post, receiver: Receiver) -> None:
    cut = asyncio.Event()
    written = 0

    async def endless(_: Came) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        assert receiver.request is not None
        await response.prepare(receiver.request)
        try:
            while True:
                await response.write(bytes(65536))
                written += 65536
        except (ConnectionError, asyncio.CancelledError):
            cut.set()
            raise

    receiver.answer = endless
    assert await send(post, receiver.url) == Outcome(200, "", 0, pytest.approx(0, abs=10_000))  # type: ignore[arg-type]
    await cut.wait()  # the connection is closed, not read to an end that never comes
    assert written < 32 * 2**20


async def test_an_answer_that_trickles_is_an_answer(post: Post, receiver: Receiver, monkeypatch: Any) -> None:
    monkeypatch.setattr("qserver.hooks.post._BODY_S", 0.05)

    async def trickle(_: Came) -> web.StreamResponse:
        response = web.StreamResponse()
        assert receiver.request is not None
        await response.prepare(receiver.request)
        await response.write(b"x")
        await asyncio.Event().wait()
        return response

    receiver.answer = trickle
    assert (await send(post, receiver.url)).error == ""


async def test_who_does_not_answer_is_given_up(receiver: Receiver) -> None:
    async def never(_: Came) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answer = never
    post = Post("any", timeout_s=0.05)
    outcome = await send(post, receiver.url)
    assert (outcome.status, outcome.error) == (0, "no answer in time")
    await post.close()


async def _serving(data: bytes) -> tuple[asyncio.Server, str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize(
    "data",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, b"\x16\x03\x01" * 99],
)
async def test_nonsense_is_a_failure_and_nothing_more(post: Post, data: bytes) -> None:
    server, url = await _serving(data)
    outcome = await send(post, url)
    assert outcome.error and outcome.status == 0
    server.close()
    await server.wait_closed()


async def test_who_is_not_there_is_said_plainly(post: Post, receiver: Receiver) -> None:
    assert (await send(post, f"http://127.0.0.1:{free_port()}/")).error == "the connection is refused"
    assert (await send(post, "http://no-such-name.invalid/")).error == "the name cannot be looked up"
    assert (await send(post, receiver.url.replace("http:", "https:"))).error == "TLS cannot be agreed on"
    assert (await send(post, "http://2130706433/")).error == "this is not a URL"
    assert (await send(post, "http://" + "x" * 70 + ".example/")).error == "the name cannot be looked up"


@pytest.mark.parametrize("reach", ["public", "lan"])
async def test_a_name_that_leads_here_is_refused_when_the_connection_is_made(reach: Any, receiver: Receiver) -> None:
    post = Post(reach)
    for host in ("127.0.0.1", "localhost"):
        outcome = await send(post, f"http://{host}:{receiver.port}/")
        assert (outcome.status, outcome.error) == (0, f"the address is not allowed: webhook_targets is {reach}")
    assert receiver.came == []
    await post.close()


async def test_a_name_that_leads_elsewhere_by_now_is_judged_by_where_it_leads(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []

    def rebound(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    post = Post("public")
    outcome = await send(post, f"http://oa.example:{receiver.port}/")
    assert outcome.error == "the address is not allowed: webhook_targets is public"
    assert looked_up == ["oa.example"] and receiver.came == []
    await post.close()
    post = Post("any")
    assert not (await send(post, f"http://oa.example:{receiver.port}/")).error
    await post.close()


async def test_only_a_certificate_that_is_trusted_is_sent_to(post: Post, tmp_path: Path) -> None:
    context, cert = server_tls(tmp_path)
    async with receiving(tls=context) as receiver:
        assert (await send(post, receiver.url)).error == "the certificate is not trusted"
        assert (await send(post, receiver.url.replace("https", "http"))).error
        assert receiver.came == []
        script = (
            "import asyncio, sys; from qserver.hooks.post import Post\n"
            "print(asyncio.run(Post('any').send(sys.argv[1], {}, b'{}', 0)).status)"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, receiver.url, env=os.environ | {"SSL_CERT_FILE": str(cert)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert (await process.communicate())[0] == b"204\n"
