"""Sockets that misbehave, are slow, go silent or are sent away: what the server does, and that others do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct

import pytest
from aiohttp import ClientSession
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close as CloseFrame
from websockets.frames import Frame, Opcode

from qserver.domain.events import Event
from qserver.push import PushConfig
from qserver.store.answers import SYSTEM
from qserver.wire.codecs import JSON, MSGPACK, Codec
from qserver.wire.messages import Ack, BoardEvent, Bye, Hello, Resync, Snapshot
from tests.push.clients import Client, Frames, Stand
from tests.servers import DataServer
from tests.waiting import until

QUICK = pytest.mark.parametrize("push_config", [PushConfig(hb_ms=100, hello_s=0.2, slow_s=0.3, linger_s=0.2)])


# What may come first


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.name)
@pytest.mark.parametrize(
    "first",
    [Ack(0), Resync("e", 0)],
)
async def test_anything_but_hello_first_is_a_protocol_error(stand: Stand, codec: Codec, first: Ack | Resync) -> None:
    client = await stand.connect(codec)
    await client.say(first)
    assert await client.end() == ([4102], 4102)


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.name)
async def test_a_frame_of_the_wrong_kind_is_a_protocol_error(stand: Stand, codec: Codec) -> None:
    client = await stand.connect(codec)
    hello = codec.encode(Hello(await stand.token(), "board", "h1"))
    await client.connection.send(hello.decode("latin-1") if codec.binary else hello)
    assert await client.end() == ([4102], 4102)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"t":"welcome"}', '{"t":"hello"}', '{"t":"hello","token":1}', "\u5565"]
)
async def test_what_is_no_message_is_a_protocol_error(stand: Stand, text: str) -> None:
    client = await stand.connect(JSON)
    await client.connection.send(text)
    assert await client.end() == ([4102], 4102)


async def test_hello_comes_once(stand: Stand) -> None:
    client, _ = await stand.watch()
    await client.say(Hello(await stand.token(), "board", "h1"))
    assert await client.end() == ([4102], 4102)


@QUICK
async def test_no_hello_in_time_is_a_protocol_error(stand: Stand) -> None:
    client = await stand.connect()
    assert await client.end() == ([4102], 4102)


async def test_no_subprotocol_in_common_is_a_version_error(stand: Stand) -> None:
    client = await stand.connect(JSON, subprotocols=None)
    assert await client.end() == ([4103], 4103)


async def test_the_first_subprotocol_offered_that_we_speak_is_spoken(stand: Stand) -> None:
    client = await stand.connect(MSGPACK, subprotocols=["qserver.v9.json", MSGPACK.name, JSON.name])
    assert client.connection.subprotocol == MSGPACK.name
    await client.say(Hello(await stand.token(), "board", "h1"))
    await client.welcome()


async def test_messages_may_carry_more_than_we_know(stand: Stand) -> None:
    client = await stand.connect(JSON)
    token = await stand.token()
    await client.connection.send(f'{{"t":"hello","token":"{token}","hall":"h1","topic":"board","colour":"red"}}')
    await client.welcome()


# Frames


async def test_a_frame_over_four_kib_is_too_big(stand: Stand) -> None:
    client, _ = await stand.watch(JSON)
    await client.connection.send('{"t":"ack","s":0,"x":"' + "y" * 5000 + '"}')
    assert await client.end() == ([], 1009)


async def test_a_message_of_small_fragments_over_four_kib_is_too_big(stand: Stand) -> None:
    client, _ = await stand.watch(JSON)
    with contextlib.suppress(ConnectionClosed):
        await client.connection.send(["x" * 1000] * 6)
    assert await client.end() == ([], 1009)


async def test_fragments_and_pings_between_them_are_understood(stand: Stand) -> None:
    raw, rest = await stand.raw()
    loop = asyncio.get_running_loop()
    hello = JSON.encode(Hello(await stand.token(), "board", "h1"))
    frames = [
        Frame(Opcode.TEXT, hello[:10], fin=False),
        Frame(Opcode.PING, b"between"),
        Frame(Opcode.CONT, hello[10:20], fin=False),
        Frame(Opcode.CONT, hello[20:]),
    ]
    for byte in b"".join(frame.serialize(mask=True) for frame in frames):  # and byte by byte
        await loop.sock_sendall(raw, bytes([byte]))
    while b'"welcome"' not in rest:
        rest += await loop.sock_recv(raw, 65536)
    assert Frame(Opcode.PONG, b"between").serialize(mask=False) in rest


@pytest.mark.parametrize(
    "data",
    [
        Frame(Opcode.TEXT, b"{}").serialize(mask=False),  # clients mask
        bytes([0xC1, 0x80]) + b"abcd",  # a reserved bit
        bytes([0x83, 0x80]) + b"abcd",  # no such opcode
        Frame(Opcode.CONT, b"x").serialize(mask=True),  # nothing to go on with
        bytes([0x09, 0x80]) + b"abcd",  # a fragmented ping
        Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True),  # no UTF-8
    ],
    ids=["unmasked", "reserved bit", "opcode", "continuation", "fragmented ping", "no UTF-8"],  # masks are random
)
async def test_broken_frames_are_a_protocol_error(stand: Stand, data: bytes) -> None:
    raw, rest = await stand.raw()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, data)
    while chunk := await loop.sock_recv(raw, 65536):
        rest += chunk
        if rest.endswith(struct.pack("!H", 4102)):
            break
    assert b'"code":4102' in rest


async def test_a_closing_client_is_answered(stand: Stand) -> None:
    raw, _ = await stand.raw()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, Frame(Opcode.CLOSE, CloseFrame(1001, "").serialize()).serialize(mask=True))
    rest = b""
    while chunk := await loop.sock_recv(raw, 65536):
        rest += chunk
    assert rest == Frame(Opcode.CLOSE, struct.pack("!H", 1001)).serialize(mask=False)


# The upgrade


async def test_a_request_that_is_no_upgrade_is_told_so(stand: Stand) -> None:
    async with ClientSession() as session, session.get(stand.url.replace("ws://", "http://")) as answer:
        assert answer.status == 426
        assert answer.headers["Upgrade"] == "websocket"
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Sec-WebSocket-Version", "8", 426),
        ("Sec-WebSocket-Key", "short", 400),
        ("Sec-WebSocket-Key", "AAAA", 400),
        ("Connection", "keep-alive", 400),
    ],
)
async def test_a_broken_upgrade_is_refused(stand: Stand, name: str, value: str, status: int) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    } | {name: value}
    url = stand.url.replace("ws://", "http://")
    async with ClientSession() as session, session.get(url, headers=headers) as answer:
        assert answer.status == status


async def test_what_comes_right_behind_the_upgrade_is_not_lost(stand: Stand) -> None:
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setblocking(False)
    await loop.sock_connect(raw, ("127.0.0.1", stand.port))
    hello = Frame(Opcode.TEXT, JSON.encode(Hello(await stand.token(), "board", "h1"))).serialize(mask=True)
    request = (
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Protocol: qserver.v1.json\r\n\r\n"
    )
    await loop.sock_sendall(raw, request.encode() + hello)
    found = b""
    while b'"welcome"' not in found:
        found += await loop.sock_recv(raw, 65536)
    raw.close()


# Slow, silent, gone


async def fill(stand: Stand, raw: socket.socket) -> None:
    """Events until the server has given up on a socket that does not read."""
    while not stand.push.meter.slow:
        await asyncio.gather(*(stand.issue() for _ in range(50)))


@pytest.mark.parametrize("push_config", [PushConfig(slow_s=3600)])
async def test_a_slow_screen_delays_nobody_and_gets_one_snapshot(stand: Stand) -> None:
    other, snapshot = await stand.watch()
    raw, rest = await stand.raw(receive_buffer=4096)
    loop = asyncio.get_running_loop()
    hello = Frame(Opcode.TEXT, JSON.encode(Hello(await stand.token(), "board", "h1"))).serialize(mask=True)
    await loop.sock_sendall(raw, hello)
    while b'"snapshot"' not in rest:
        rest += await loop.sock_recv(raw, 65536)

    async def follow(s: int) -> int:
        while True:
            event = await other.event()
            assert event.p == s
            s = event.s
            if stand.push.meter.slow:
                return s

    reached, _ = await asyncio.gather(follow(snapshot.s), fill(stand, raw))
    assert reached > snapshot.s
    missed = await stand.issue()
    while (await other.event()).ticket != missed.no:
        pass
    # Now it reads: after what was under way comes one whole state, and then the chain goes on.
    incoming = Frames(rest)
    s, snapshots = 0, 0
    final = (await stand.store.board("h1")).s
    while s < final:
        message = incoming.next()
        if message is None:
            incoming.data += await loop.sock_recv(raw, 65536)
        elif isinstance(message, Snapshot):
            snapshots += 1
            s = message.s
        elif isinstance(message, BoardEvent):
            assert message.p == s
            s = message.s
    assert snapshots == 2
    await stand.issue()


@pytest.mark.parametrize("push_config", [PushConfig(hb_ms=60_000, slow_s=0.3, linger_s=0.2)])
async def test_a_screen_that_stays_slow_is_cut(stand: Stand) -> None:
    raw, rest = await stand.raw(receive_buffer=4096)
    loop = asyncio.get_running_loop()
    hello = Frame(Opcode.TEXT, JSON.encode(Hello(await stand.token(), "board", "h1"))).serialize(mask=True)
    await loop.sock_sendall(raw, hello)
    while b'"snapshot"' not in rest:
        rest += await loop.sock_recv(raw, 65536)
    await fill(stand, raw)
    await until(lambda: not stand.push._roster.sockets)
    assert stand.push.meter.closed[4002] == 1


@QUICK
async def test_a_silent_client_is_closed_and_one_that_acks_is_not(stand: Stand) -> None:
    silent, _ = await stand.watch()
    alive, _ = await stand.watch()

    async def ack() -> None:
        while True:
            await alive.beat()
            await alive.say(Ack(0))

    task = asyncio.create_task(ack())
    assert await silent.end() == ([4002], 4002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await alive.beat()
    await alive.close()


@QUICK
async def test_a_half_open_connection_does_not_stay(stand: Stand) -> None:
    """The peer vanished: nothing is answered, not even our close frame."""
    raw, rest = await stand.raw()
    loop = asyncio.get_running_loop()
    hello = Frame(Opcode.TEXT, JSON.encode(Hello(await stand.token(), "board", "h1"))).serialize(mask=True)
    await loop.sock_sendall(raw, hello)
    while b'"snapshot"' not in rest:
        rest += await loop.sock_recv(raw, 65536)
    assert len(stand.push._roster.sockets) == 1
    await until(lambda: not stand.push._roster.sockets)
    assert stand.push.meter.closed[4002] == 1


async def test_a_reset_connection_is_forgotten_at_once(stand: Stand) -> None:
    client, _ = await stand.watch()
    raw = client.connection.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.connection.transport.abort()
    await until(lambda: not stand.push._roster.sockets)
    other, snapshot = await stand.watch()
    await stand.issue()
    assert (await other.event()).p == snapshot.s


# Who may see what


async def allowed(stand: Stand, topic: str, role: str, window: str = "") -> bool:
    client = await stand.hello(topic, role=role, window=window)
    message = await client.next()
    await client.close()
    if isinstance(message, Bye):
        assert message.code == 4101
        return False
    return True


async def test_topics_are_for_whom_the_contract_says(stand: Stand) -> None:
    for role in ("supervisor", "assessor", "guide", "kiosk", "display", "analytics", "admin"):
        assert await allowed(stand, "board", role)
        assert await allowed(stand, "stats", role) is (role in ("supervisor", "assessor", "admin"))
        assert await allowed(stand, "window:w1", role) is (role in ("supervisor", "admin"))
    for role in ("clerk", "pad", "display"):
        assert await allowed(stand, "board", role, "w1")
        assert await allowed(stand, "window:w1", role, "w1")
        assert not await allowed(stand, "window:w2", role, "w1")
        assert not await allowed(stand, "stats", role, "w1")


@pytest.mark.parametrize("topic", ["", "boards", "window", "window:", "window:W1", "window:nope", "board:x", "stats:"])
async def test_topics_that_are_none_are_not_allowed(stand: Stand, topic: str) -> None:
    client = await stand.hello(topic, role="admin")
    assert await client.end() == ([4101], 4101)


@pytest.mark.parametrize("hall", ["", "nope", "H1", "h1:x", "../h1"])
async def test_halls_that_are_none_are_not_allowed(stand: Stand, hall: str) -> None:
    client = await stand.hello(role="admin", hall=hall)
    assert await client.end() == ([4101], 4101)


@pytest.mark.parametrize("token", ["x", "qs_admin_" + "A" * 32, "h1.20260101-A001." + "A" * 24])
@pytest.mark.parametrize("topic", ["board", "ticket"])
async def test_a_token_nobody_made_is_not_allowed(stand: Stand, token: str, topic: str) -> None:
    client = await stand.hello(topic, token=token)
    assert await client.end() == ([4101], 4101)


async def test_a_revoked_token_closes_its_sockets_at_once(stand: Stand) -> None:
    client = await stand.hello(role="guide")
    await client.welcome()
    other, _ = await stand.watch()
    await stand.store.revoke_token(SYSTEM, "guide-h1")
    assert await client.end() == ([4101], 4101)
    await stand.issue()
    await other.event()
    again = await stand.hello(role="guide")
    assert await again.end() == ([4101], 4101)


@pytest.mark.parametrize("push_config", [PushConfig(hb_ms=100, linger_s=0.2)])
async def test_a_session_that_expires_ends_its_sockets(stand: Stand) -> None:
    now_ms = await stand.store.now()
    client = await stand.hello(token=await stand.token("supervisor", expires_ms=now_ms + 200))
    await client.welcome()
    assert await client.end() == ([4101], 4101)


# Devices


async def events_of(stand: Stand, kind: str, count: int) -> list[Event]:
    """The recorded events of a kind, once there are so many."""
    import msgspec

    while True:
        entries = await stand.store.read_events(stand.store.partition("h1"))
        found = [msgspec.msgpack.decode(fields[b"e"], type=Event) for _, fields in entries if b"e" in fields]
        found = [event for event in found if event.kind == kind]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.01)


async def test_named_devices_are_recorded_as_they_come_and_are_lost(stand: Stand) -> None:
    nameless, _ = await stand.watch()
    client = await stand.hello(device="north wall")
    await client.welcome()
    (event,) = await events_of(stand, "device.connected", 1)
    assert event.more() == {"device": "north wall", "role": "display", "topic": "board"}
    assert event.actor == "display-h1"
    (device,) = stand.push.devices("h1")
    assert (device["device"], device["acked"], device["lag"]) == ("north wall", None, None)
    await client.say(Ack(0))
    await until(lambda: stand.push.devices("h1")[0]["acked"] == 0)
    client.connection.transport.abort()
    (lost,) = await events_of(stand, "device.lost", 1)
    assert lost.more()["device"] == "north wall"
    assert stand.push.devices("h1") == []
    await nameless.close()


async def test_a_device_that_connects_again_replaces_itself(stand: Stand) -> None:
    first = await stand.hello(device="north wall")
    await first.welcome()
    second = await stand.hello(device="north wall")
    await second.welcome()
    assert await first.end() == ([4005], 4005)
    third = await stand.hello(device="south wall")
    await third.welcome()
    await events_of(stand, "device.connected", 2)
    assert len(stand.push.devices("h1")) == 2
    second.connection.transport.abort()
    assert len(await events_of(stand, "device.lost", 1)) == 1  # the replaced one was told to go


# Sending all away


async def test_draining_says_bye_and_takes_no_more(stand: Stand) -> None:
    clients = [await stand.hello(codec=codec) for codec in (JSON, MSGPACK) for _ in range(3)]
    waiting = await stand.connect()
    for client in clients:
        await client.welcome()

    async def bye(client: Client) -> Bye:
        while not isinstance(message := await client.next(), Bye):
            pass
        return message

    said = [asyncio.create_task(bye(client)) for client in [*clients, waiting]]
    await stand.push.drain()
    for message in await asyncio.gather(*said):
        assert message.code == 4001
        low, high = message.retry_ms
        assert 0 < low < high
    assert not stand.push._roster.sockets
    async with ClientSession() as session, session.get(stand.url.replace("ws://", "http://")) as answer:
        assert answer.status == 503
        assert "Retry-After" in answer.headers


@pytest.mark.asyncio(loop_factories=["uvloop"])  # the store link waits 5 s for a connection, twice
async def test_a_data_server_that_is_away_stops_the_heartbeats(stand: Stand, valkey: DataServer) -> None:
    """A screen must not look live when nobody can say whether it is."""
    client, snapshot = await stand.watch()
    valkey.kill9()
    await until(lambda: not stand.push._hub.feed.alive)
    written = stand.push.meter.deliveries
    await stand.push._hub.beat()
    assert stand.push.meter.deliveries == written
    refused = await stand.hello(token="qs_nobody_" + secrets.token_urlsafe(24))
    assert await refused.end() == ([4001], 4001)  # it cannot be known whether the token holds: come again
    valkey.start()
    whole = await client.snapshot()
    assert whole.ep != snapshot.ep
    await stand.push._hub.beat()
    assert (await client.beat()).ep == whole.ep
