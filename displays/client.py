"""A display on a socket: connects, follows the chain, and comes back by itself, without ever showing old as live.

I/O only; what a message means is the chain's business. One display is one task and one timer.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from qserver.wire.board import Board
from qserver.wire.codecs import JSON, MSGPACK, BadMessage, Codec
from qserver.wire.messages import Ack, Bye, CallView, ClientMessage, Close, Hello, State, Welcome

from .chain import Chain, Outcome

log = logging.getLogger(__name__)
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 15.0)
MAX_MESSAGE = 4 * 1024 * 1024
_OUR_CODES = frozenset(int(code) for code in Close)


class Stopped(Exception):
    """The server said stop: `code` is a close code after which a client must not come back by itself."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the server closed with {code}")
        self.code = code


class Display:
    """One screen. `on_change(display, outcome)` is called after every change of what it knows."""

    def __init__(
        self,
        url: str,
        token: str,
        hall: str,
        topic: str = "board",
        protocol: Literal["msgpack", "json"] = "msgpack",
        device: str = "",
        on_change: Callable[[Display, Outcome], None] | None = None,
    ) -> None:
        self.url = socket_url(url)
        self.chain = Chain()
        self.live = False  # whether what is known is the present
        self.lost_since_ms: int | None = None
        self.connects = 0
        self.snapshots = 0
        self.events = 0
        self.resyncs = 0
        self._hello = Hello(token, topic, hall, device=device)
        self._codec: Codec = MSGPACK if protocol == "msgpack" else JSON
        self._on_change = on_change
        self._retry_ms: tuple[int, int] | None = None
        self._stopping = False
        self._ahead_ms = 0.0  # the server's clock over this machine's monotonic one
        self._changed = asyncio.Event()

    @property
    def board(self) -> Board | None:
        """The hall's board as last known (topic `board`)."""
        return self.chain.board

    @property
    def calls(self) -> list[CallView]:
        """The last calls, newest first."""
        return self.chain.board.calls if self.chain.board is not None else []

    @property
    def state(self) -> State | None:
        """The state as last known (other topics)."""
        return self.chain.state

    def now_ms(self) -> int:
        """The instant by the server's clock, ms since the Unix epoch."""
        return int(time.monotonic() * 1000 + self._ahead_ms)

    async def changed(self) -> None:
        """Waits for the next change."""
        self._changed.clear()
        await self._changed.wait()

    async def run(self) -> None:
        """Shows the topic until cancelled. Raises Stopped when the server says that it must not come back."""
        failures = 0
        while True:
            try:
                async with connect(
                    self.url,
                    subprotocols=[Subprotocol(self._codec.name)],
                    compression=None,
                    ping_interval=None,  # heartbeats are messages; a pong would only show that the kernel lives
                    max_size=MAX_MESSAGE,
                    close_timeout=1,
                ) as connection:
                    if await self._follow(connection):
                        failures = 0
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
                log.info("no connection: %s", error)
            except InvalidURI as error:
                raise ValueError(str(error)) from error
            self._lost()
            await asyncio.sleep(self._pause_s(failures))
            failures += 1

    async def _follow(self, connection: ClientConnection) -> bool:
        """One connection, to its end. Answers whether it was welcomed. Raises Stopped."""
        loop = asyncio.get_running_loop()
        self.connects += 1
        self._retry_ms = None
        self.chain.connected(loop.time())
        ep, s = self.chain.position()
        hello = Hello(self._hello.token, self._hello.topic, self._hello.hall, ep, s, self._hello.device)
        await self._say(connection, hello)
        watch = loop.create_task(self._watch(connection))
        try:
            async for data in connection:
                if isinstance(data, str):
                    data = data.encode()
                self._take(connection, data, loop.time())
        except (BadMessage, ConnectionClosed) as error:
            log.info("the connection ends: %s", error)
        finally:
            watch.cancel()
        code = connection.close_code
        if code in _OUR_CODES and Close(code).final:
            self._lost()
            raise Stopped(code)
        return self.live

    def _take(self, connection: ClientConnection, data: bytes, now: float) -> None:
        message = self._codec.server_message(data)
        if isinstance(message, Bye):
            self._retry_ms = message.retry_ms
            return
        if isinstance(message, Welcome):
            self._ahead_ms = message.now_ms - time.monotonic() * 1000
        outcome = self.chain.take(message, now)
        if outcome.say is not None:
            self._ask(connection, outcome.say)
        resumed = isinstance(message, Welcome) and message.mode == "resume" and self.chain.board is not None
        if resumed or outcome.replaced:
            self.live = True
            self.lost_since_ms = None
        if outcome.replaced:
            self.snapshots += 1
        elif outcome.applied is not None:
            self.events += 1
        if resumed or outcome.replaced or outcome.applied is not None:
            self._tell(outcome)

    async def _watch(self, connection: ClientConnection) -> None:
        """Once a second: a sign of life when it is due, a repair if one is, and an end to a dead connection."""
        loop = asyncio.get_running_loop()
        acked_at = loop.time()
        while True:
            await asyncio.sleep(min(1.0, self.chain.hb_s / 3))
            now = loop.time()
            if self.chain.dead(now):
                self._lost()
                connection.transport.abort()
                return
            repair = self.chain.poll(now)
            if repair is not None:
                self._ask(connection, repair)
            if now - acked_at >= self.chain.hb_s * 0.7 and self.live:
                acked_at = now
                await self._say(connection, Ack(max(0, self.chain.s)))

    def _ask(self, connection: ClientConnection, message: ClientMessage) -> None:
        self.resyncs += 1
        task = asyncio.get_running_loop().create_task(self._say(connection, message))
        self._saying = task  # kept until the next one, so that it is not collected while it runs

    async def _say(self, connection: ClientConnection, message: ClientMessage) -> None:
        data = self._codec.encode(message)
        try:
            await connection.send(data if self._codec.binary else data.decode())
        except ConnectionClosed:
            return  # whoever receives notices

    def _lost(self) -> None:
        if self.live or self.lost_since_ms is None:
            self.live = False
            self.lost_since_ms = self.now_ms() if self._ahead_ms else int(time.time() * 1000)
            self._tell(Outcome())

    def _tell(self, outcome: Outcome) -> None:
        self._changed.set()
        if self._on_change is not None:
            self._on_change(self, outcome)

    def _pause_s(self, failures: int) -> float:
        """When to come back: within the window the server gave, else longer and longer; never all at the same time."""
        if self._retry_ms is not None:
            low, high = self._retry_ms
            return random.uniform(low, max(low, high)) / 1000
        return BACKOFF_S[min(failures, len(BACKOFF_S) - 1)] * random.uniform(0.5, 1.0)


def socket_url(url: str) -> str:
    """`http://host:port` or `ws://host:port` as the address of the socket."""
    scheme, _, rest = url.partition("://")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    if scheme not in ("ws", "wss"):
        raise ValueError(f"{url}: an address begins with http://, https://, ws:// or wss://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}/{path if slash and path else 'ws'}"
