"""A pad on the network: follows its window over the socket, asks, keeps what is pressed, sends it.

Pressing works without a server: whatever was asked before the connection broke may still be answered, and a rating is
on disk before anybody is thanked. What to show is the prompt's business.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import UNSET
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from qserver.wire.codecs import MSGPACK, BadMessage
from qserver.wire.messages import Ack, Bye, ClientMessage, Close, Heartbeat, Hello, State, Welcome

from .clocks import Clocks
from .follow import Following
from .prompt import Prompt, Question, Rating, View, Withdrawn
from .sender import Sender, http_url
from .spool import Spool

_log = logging.getLogger(__name__)
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 15.0)
TICK_S = 0.25
_MAX_MESSAGE = 1024 * 1024
_FINAL = frozenset(int(code) for code in Close if code.final)


class Refused(Exception):
    """The server says that this pad must not come back by itself: `code` is the close code. The spool stays."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the server closed with {code}")
        self.code = code


class Pad:
    """One pad at one window. `on_change(pad)` is called whenever there may be something new to show.

    Raises ValueError for a bad address, spool.SpoolUnusable.
    """

    def __init__(
        self,
        url: str,
        token: str,
        hall: str,
        window: str,
        spool_path: Path,
        *,
        device: str = "",
        on_change: Callable[[Pad], None] | None = None,
    ) -> None:
        base = http_url(url)
        self._url = base.replace("http", "ws", 1) + "/ws"
        self._hello = Hello(token, f"window:{window}", hall, device=device or f"pad-{window}")
        self.clocks = Clocks()
        self.spool = Spool(spool_path)
        self.prompt = Prompt(self.spool.answered())
        self.sender = Sender(base, token, hall, window, self.spool, self.clocks)
        self.following = Following()
        self.window: str = window
        self.state: State | None = None
        self.live = False
        """Whether the window's state is the present."""
        self._on_change = on_change
        self._retry_ms: tuple[int, int] | None = None
        self._told: tuple[str, int] | None = None

    async def run(self) -> None:
        """Asks and sends until cancelled. Raises Refused."""
        tasks = [asyncio.create_task(part) for part in (self._follow(), self.sender.run(), self._tick())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Closes the spool."""
        self.spool.close()

    # What the citizen does

    def press(self, score: int) -> None:
        """A face, 5 .. 1."""
        self._keep(self.prompt.press(score, self.clocks.now_ms()))

    def back(self) -> None:
        """The wrong face."""
        self._keep(self.prompt.back(self.clocks.now_ms()))

    def submit(self, reasons: Iterable[str] = (), comment: str = "") -> None:
        """What was wrong."""
        self._keep(self.prompt.submit(reasons, comment, self.clocks.now_ms()))

    def again(self) -> None:
        """Rates after all."""
        self.prompt.again(self.clocks.now_ms())
        self._tell_shown()
        self._changed()

    def view(self) -> View:
        """What to show now."""
        return self.prompt.view(self.clocks.now_ms())

    def _keep(self, outcome: Rating | Withdrawn | None) -> None:
        if outcome is None:
            return
        try:
            if isinstance(outcome, Withdrawn):
                self.spool.withdraw(outcome.ticket, outcome.leg)
            else:
                self.spool.add(outcome, self.clocks.read())
                self.sender.wake()
        except sqlite3.Error:
            _log.exception("a rating could not be kept")
        self._changed()

    def _tell_shown(self) -> None:
        """The server learns that its prompt was delivered: when a question is shown for the first time."""
        asked = self.prompt.asked
        if asked is None or asked[:2] == self._told:
            return
        self._told = asked[:2]
        try:
            self.spool.shown(asked.ticket, asked.leg, self.clocks.read())
            self.sender.wake()
        except sqlite3.Error:
            _log.exception("a prompt could not be kept")

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self)

    # What the server says

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                async with connect(
                    self._url,
                    subprotocols=[Subprotocol(MSGPACK.name)],
                    compression=None,
                    ping_interval=None,  # heartbeats are messages; a pong would only show that the kernel lives
                    max_size=_MAX_MESSAGE,
                    close_timeout=1,
                ) as connection:
                    if await self._converse(connection):
                        failures = 0
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
                _log.info("no connection: %s", error)
            self._lost()
            await asyncio.sleep(self._pause_s(failures))
            failures += 1

    async def _converse(self, connection: ClientConnection) -> bool:
        """One connection, to its end; whether it was welcomed. Raises Refused."""
        loop = asyncio.get_running_loop()
        self._retry_ms = None
        self.following.connected(loop.time())
        await connection.send(MSGPACK.encode(self._hello))
        watch = asyncio.create_task(self._watch(connection))
        try:
            async for data in connection:
                if isinstance(data, str):
                    raise BadMessage("a text frame")
                self._take(data, loop.time())
        except (BadMessage, ConnectionClosed) as error:
            _log.info("the connection ends: %s", error)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        if connection.close_code in _FINAL:
            self._lost()
            raise Refused(int(connection.close_code or 0))
        return self.live

    def _take(self, data: bytes, now_s: float) -> None:
        message = MSGPACK.server_message(data)
        if isinstance(message, Bye):
            self._retry_ms = message.retry_ms
        elif isinstance(message, Welcome | Heartbeat):
            self.clocks.heard(message.now_ms)
        state = self.following.take(message, now_s)
        if state is None or state.window is UNSET:
            return
        if not self.live:
            self.live = True
            self.sender.wake()
        self.state = state
        window = state.window
        question = Question(window.rate.ticket, window.rate.leg, window.rate.until_ms) if window.rate else None
        self._keep(self.prompt.window(window.state.value, question, self.clocks.now_ms()))
        self._tell_shown()
        self._changed()

    async def _watch(self, connection: ClientConnection) -> None:
        """Signs of life, repairs, and the end of a connection on which nothing is heard."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self.following.hb_s / 3))
            now_s = loop.time()
            if self.following.dead(now_s):
                connection.transport.abort()
                return
            said: ClientMessage | None = self.following.repair(now_s)
            if said is None and self.following.must_ack(now_s):
                said = Ack(max(0, self.following.s))
            if said is not None:
                try:
                    await connection.send(MSGPACK.encode(said))
                except ConnectionClosed:
                    return  # whoever receives notices

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._keep(self.prompt.tick(self.clocks.now_ms()))
            self._changed()

    def _lost(self) -> None:
        if self.live:
            self.live = False
            self._changed()

    def _pause_s(self, failures: int) -> float:
        """When to come back: as the server said, else longer and longer; never all pads at the same time."""
        if self._retry_ms is not None:
            low, high = self._retry_ms
            return random.uniform(low, max(low, high)) / 1000
        return BACKOFF_S[min(failures, len(BACKOFF_S) - 1)] * random.uniform(0.5, 1.0)
