"""Clients that say far too much: what they say waits, and nobody else does."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import Frame, Opcode

from qserver.push import PushConfig
from qserver.push.frames import Incoming
from qserver.wire.codecs import JSON
from qserver.wire.messages import Ack, Hello, Resync, Snapshot
from tests.push.clients import Stand

FEW = pytest.mark.parametrize("push_config", [PushConfig(frames_s=1000.0, frames_burst=20.0)])
ALMOST_NONE = pytest.mark.parametrize(
    "push_config", [PushConfig(hello_s=0.3, frames_s=0.001, frames_burst=20.0, linger_s=0.2)]
)


def test_what_nobody_asked_for_yet_is_kept_and_comes_in_its_order() -> None:
    frames = b"".join(Frame(Opcode.PING, b"%d" % n).serialize(mask=True) for n in range(5))
    incoming = Incoming()
    first = incoming.feed(frames + b"\x89")
    assert [next(first)[1], next(first)[1]] == [b"0", b"1"]
    first.close()
    assert [payload for _, payload in incoming.feed(b"")] == [b"2", b"3", b"4"]


@FEW
async def test_frames_beyond_the_allowance_are_answered_later_and_all(stand: Stand) -> None:
    raw, _ = await stand.raw()
    loop = asyncio.get_running_loop()
    pings = b"".join(Frame(Opcode.PING, b"%03d" % n).serialize(mask=True) for n in range(200))
    await loop.sock_sendall(raw, pings)
    expected = b"".join(Frame(Opcode.PONG, b"%03d" % n).serialize(mask=False) for n in range(200))
    answered = b""
    while len(answered) < len(expected):
        answered += await loop.sock_recv(raw, 65536)
    assert answered == expected
    raw.close()


@ALMOST_NONE
async def test_a_flood_before_hello_waits_unread_until_the_socket_is_told_to_go(stand: Stand) -> None:
    raw, rest = await stand.raw()
    loop = asyncio.get_running_loop()
    raw.setblocking(False)
    flood = Frame(Opcode.PONG, b"").serialize(mask=True) * 50_000

    async def pour() -> None:
        while True:
            await loop.sock_sendall(raw, flood)

    pouring = asyncio.ensure_future(pour())
    client, _ = await stand.watch(JSON)  # somebody else is served meanwhile
    await stand.issue()
    assert (await client.event()).k == "issue"
    try:
        while data := await loop.sock_recv(raw, 65536):
            rest += data
    except ConnectionError:
        pass  # cut with unread bytes: the system may say so with a reset
    pouring.cancel()
    assert b"4102" in rest
    raw.close()
    await client.close()


@ALMOST_NONE
async def test_a_resync_costs_more_than_an_ack(stand: Stand) -> None:
    client = await stand.connect(JSON)
    await client.say(Hello(await stand.token(), "board", "h1"))
    await client.welcome()
    await client.snapshot()
    await client.say(Resync("elsewhere", 0))
    assert isinstance(await client.next(), Snapshot)
    await client.say(Resync("elsewhere", 0))  # the allowance is used up: this one waits unread
    await client.say(Ack(0))
    await stand.open()
    assert not isinstance(await client.next(), Snapshot)
    await client.close()


async def test_a_close_frame_that_is_none_ends_the_socket_all_the_same(stand: Stand) -> None:
    raw, _ = await stand.raw()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, Frame(Opcode.CLOSE, b"\x01").serialize(mask=True))
    data = b""
    while more := await loop.sock_recv(raw, 4096):
        data += more
    assert data.endswith(b"\x88\x02\x10\x06")  # a close frame with 4102
    raw.close()
