"""Helpers of the push tests: a server with nothing but `/ws`, and clients that see every frame as it came."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from qserver.auth.authenticator import Authenticator
from qserver.auth.secrets import digest, ticket_secret, token_text
from qserver.domain import ticket as public
from qserver.push import Push, PushConfig
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from qserver.wire.codecs import JSON, MSGPACK, Codec
from qserver.wire.messages import (
    Ack,
    BoardEvent,
    Bye,
    ClientMessage,
    Heartbeat,
    Hello,
    ServerMessage,
    Snapshot,
    State,
    Welcome,
)
from tests.halls import small_hall


class Frames:
    """Server frames out of a byte stream."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def next(self) -> ServerMessage | None:
        if len(self.data) < 2:
            return None
        size, at = self.data[1], 2
        if size == 126:
            size, at = int.from_bytes(self.data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(self.data[2:10], "big"), 10
        if len(self.data) < at + size:
            return None
        payload, self.data = self.data[at : at + size], self.data[at + size :]
        return JSON.server_message(payload)


class Client:
    """One connection, frame by frame."""

    def __init__(self, connection: ClientConnection, codec: Codec) -> None:
        self.connection = connection
        self.codec = codec

    async def say(self, message: ClientMessage) -> None:
        data = self.codec.encode(message)
        await self.connection.send(data if self.codec.binary else data.decode())

    async def next(self, *, beats: bool = False) -> ServerMessage:
        """The next message; heartbeats are passed over unless asked for."""
        while True:
            data = await self.connection.recv()
            assert isinstance(data, bytes) is self.codec.binary
            message = self.codec.server_message(data if isinstance(data, bytes) else data.encode())
            if beats or not isinstance(message, Heartbeat):
                return message

    async def beat(self) -> Heartbeat:
        while True:
            message = await self.next(beats=True)
            if isinstance(message, Heartbeat):
                return message

    async def welcome(self) -> Welcome:
        message = await self.next()
        assert isinstance(message, Welcome), message
        return message

    async def snapshot(self) -> Snapshot:
        message = await self.next()
        assert isinstance(message, Snapshot), message
        return message

    async def event(self) -> BoardEvent:
        message = await self.next()
        assert isinstance(message, BoardEvent), message
        return message

    async def state(self) -> State:
        message = await self.next()
        assert isinstance(message, State), message
        return message

    async def end(self) -> tuple[list[int], int]:
        """Reads to the end: codes of byes, and the close code."""
        byes: list[int] = []
        try:
            while True:
                message = await self.next()
                if isinstance(message, Bye):
                    byes.append(message.code)
        except ConnectionClosed:
            code = self.connection.close_code
            assert code is not None
            return byes, code

    async def close(self) -> None:
        await self.connection.close()


class Stand:
    """A hall `h1`, its sockets and its tokens."""

    def __init__(self, store: Store, config: PushConfig) -> None:
        self.store = store
        self.authenticator = Authenticator(store)
        self.push = Push(store, self.authenticator, config=config)
        self.port = 0
        self._clients: list[Client] = []
        self._raws: list[socket.socket] = []
        self._tokens: dict[tuple[str, str, str], str] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def start(self) -> None:
        await self.store.configure(SYSTEM, small_hall())
        await self.authenticator.start()
        await self.push.start()
        app = web.Application()
        app.router.add_get("/ws", self.push.handler)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        for client in self._clients:
            client.connection.transport.abort()
        for raw in self._raws:
            raw.close()
        await self.push.stop()
        assert self._runner is not None
        await self._runner.cleanup()
        await self.authenticator.close()

    async def token(self, role: str = "display", window: str = "", hall: str = "h1", expires_ms: int = 0) -> str:
        """A token, made when first asked for."""
        key = role, window, hall
        if key not in self._tokens or expires_ms:
            name = "-".join(part for part in key if part) + (f"-{expires_ms}" if expires_ms else "")
            text = token_text(self.store.server_key, name)
            await self.store.create_token(
                SYSTEM, token_id=name, role=role, hall=hall, window=window, digest=digest(text), expires_ms=expires_ms
            )
            self._tokens[key] = text
        return self._tokens[key]

    def secret(self, ticket: public.Ticket) -> str:
        return ticket_secret(self.store.server_key, ticket.hall, ticket.id)

    async def connect(self, codec: Codec = MSGPACK, **options: Any) -> Client:
        """A socket that has said nothing yet."""
        options.setdefault("subprotocols", [Subprotocol(codec.name)])
        connection = await connect(self.url, compression=None, ping_interval=None, close_timeout=1, **options)
        client = Client(connection, codec)
        self._clients.append(client)
        return client

    async def hello(
        self,
        topic: str = "board",
        *,
        codec: Codec = MSGPACK,
        role: str = "display",
        window: str = "",
        token: str = "",
        hall: str = "h1",
        ep: str = "",
        s: int | None = None,
        device: str = "",
    ) -> Client:
        """A socket that has said hello."""
        client = await self.connect(codec)
        token = token or await self.token(role, window)
        await client.say(Hello(token, topic, hall, ep, s, device))
        return client

    async def watch(self, codec: Codec = MSGPACK) -> tuple[Client, Snapshot]:
        """A board that has its first snapshot."""
        client = await self.hello(codec=codec)
        await client.welcome()
        return client, await client.snapshot()

    async def issue(self, service: str = "a") -> public.Ticket:
        return (await self.store.issue(SYSTEM, "h1", service)).value.ticket

    async def open(self, window: str = "w1") -> None:
        await self.store.open(SYSTEM, "h1", window)

    async def raw(self, receive_buffer: int = 0) -> tuple[socket.socket, bytes]:
        """A bare, upgraded TCP socket (blocking calls through the loop), and what came behind the handshake."""
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        self._raws.append(raw)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", self.port))
        request = (
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: qserver.v1.json\r\n\r\n"
        )
        await loop.sock_sendall(raw, request.encode())
        found = b""
        while b"\r\n\r\n" not in found:
            found += await loop.sock_recv(raw, 65536)
        head, _, rest = found.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return raw, rest


__all__ = ["JSON", "MSGPACK", "Ack", "Client", "Frames", "Stand"]
