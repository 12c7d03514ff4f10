"""Letting screens in: who they are, what they may see, and how many are served at a time.

Sockets that said hello wait in one line. So many a second are served, so that a whole hall that comes back at once
cannot take the clerks' commands their turn; nobody is refused for standing in line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import deque
from typing import NamedTuple

from qserver.auth.authenticator import Authenticator
from qserver.auth.principal import Principal
from qserver.auth.roles import allowed
from qserver.auth.secrets import read_ticket_secret
from qserver.domain.errors import QserverError, Refusal
from qserver.store.store import Store
from qserver.wire.messages import Close, Hello

from .channel import Ask, Channel, Why
from .devices import Device
from .hub import Hub
from .roster import Roster
from .session import Phase
from .socket import Socket
from .watched import WatchedHall

log = logging.getLogger(__name__)
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class NotAllowed(Exception):
    """The token may not see what the socket asks for."""


class Wish(NamedTuple):
    """What a hello asks for, read."""

    hall: str
    topic: str  # board, window, stats or ticket
    window: str = ""
    ticket: str = ""


def read(hello: Hello, server_key: bytes) -> Wish:
    """What a hello asks for. Raises NotAllowed for a hall, topic or secret that cannot be."""
    if hello.topic == "ticket":
        found = read_ticket_secret(server_key, hello.token)
        if found is None or hello.hall not in ("", found[0]):
            raise NotAllowed
        return Wish(found[0], "ticket", ticket=found[1])
    topic, colon, window = hello.topic.partition(":")
    if not _ID.fullmatch(hello.hall) or topic not in ("board", "window", "stats"):
        raise NotAllowed
    if (topic == "window") is not bool(colon) or (colon and not _ID.fullmatch(window)):
        raise NotAllowed
    return Wish(hello.hall, topic, window)


class Admission:
    """The line of sockets that said hello."""

    def __init__(self, store: Store, authenticator: Authenticator, hub: Hub, roster: Roster) -> None:
        self._store = store
        self._authenticator = authenticator
        self._hub = hub
        self._roster = roster
        self._line: deque[tuple[Socket, Hello]] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._line)

    def start(self) -> None:
        """Begins to serve."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Serves nobody any more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def enter(self, socket: Socket, hello: Hello) -> None:
        """A socket gets in line."""
        self._line.append((socket, hello))
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        config = self._roster.config
        free_at = loop.time()  # when the line may go on
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._line:
                some = [self._line.popleft() for _ in range(min(len(self._line), config.welcome_burst))]
                free_at = max(free_at, loop.time()) + len(some) / config.welcomes_per_s
                touched = await asyncio.gather(*(self._serve(*one) for one in some))
                for channel in {channel for channel in touched if channel is not None}:
                    channel.flush()
                await asyncio.sleep(max(0.0, free_at - loop.time()))

    async def _serve(self, socket: Socket, hello: Hello) -> Channel | None:
        """Lets one socket in, or sends it away. Answers the channel it joined."""
        try:
            wish = read(hello, self._store.server_key)
            principal = await self._identify(socket, hello, wish)
            hall = await self._hub.hall(wish.hall)
        except (NotAllowed, Refusal):
            socket.bye(Close.NOT_ALLOWED)
            return None
        except QserverError as error:
            log.info("a screen of %s is asked to come again: %s", hello.hall, error)
            socket.bye(Close.DRAINING)
            return None
        if socket.session.phase is not Phase.ASKED:
            return None  # it left, or its token was revoked meanwhile
        channel = _channel(hall, wish)
        if channel is None:
            socket.bye(Close.NOT_ALLOWED)
            return None
        if hello.device:
            role = principal.role.value if principal is not None and principal.role is not None else "holder"
            now_ms = self._roster.clock.now_ms()
            device = Device(wish.hall, hello.device, role, hello.topic, wish.window, socket.token, now_ms)
            self._roster.named(socket, device)
        socket.subject = wish.ticket
        socket.channel = channel
        channel.join(socket, Ask(Why.HELLO, hello.ep, hello.s))
        return channel

    async def _identify(self, socket: Socket, hello: Hello, wish: Wish) -> Principal | None:
        """Who the socket's token speaks for, if it may see what it asks for."""
        if wish.topic == "ticket":
            return None  # its secret was the key
        principal = await self._authenticator.authenticate(hello.token)
        self._roster.known_as(socket, principal.id)
        if not allowed(principal, f"topic {wish.topic}", wish.hall, wish.window):
            raise NotAllowed
        if principal.expires_ms:
            socket.session.expires = self._roster.monotonic_at(principal.expires_ms)
        return principal


def _channel(hall: WatchedHall, wish: Wish) -> Channel | None:
    if wish.topic == "window":
        return hall.window(wish.window)
    if wish.topic == "ticket":
        return hall.tickets
    return hall.stats if wish.topic == "stats" else hall.board
