"""One WebSocket: frames in and out of a transport, after the upgrade has taken it over from the HTTP server.

The transport belongs to this protocol alone: no task, no queue and no timer per client. What a message means is the
session's and the door's business; this file only moves bytes, answers pings and closes properly.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import TYPE_CHECKING, Protocol, cast

from websockets.frames import Opcode

from qserver.outlet import Outlet
from qserver.wire.codecs import Codec
from qserver.wire.messages import TOO_BIG, Ack, Bye, Close, Hello, Resync

from .channel import Ask, Channel, Why
from .frames import Broken, Framed, Incoming, TooBig, close_code, close_frame, pong_frame
from .session import Phase, Session, Violation

if TYPE_CHECKING:
    from .config import PushConfig
    from .devices import Device


RESYNC_COST = 20
"""A resync may cost a whole snapshot: it counts as so many frames."""


class Door(Protocol):
    """What a socket needs of the process around it."""

    config: PushConfig

    def asked(self, socket: Socket, hello: Hello) -> None:
        """The socket said hello."""

    def closing(self, socket: Socket, code: int) -> None:
        """The server ends the socket."""

    def gone(self, socket: Socket) -> None:
        """The socket is no more."""

    def retry_ms(self) -> tuple[int, int]:
        """When clients that are sent away now may come back."""


class Socket(Outlet, asyncio.Protocol):
    """A client's connection. `subject` is the ticket id on the topic `ticket`; `token` names the token it came with.
    What is written are whole frames.
    """

    __slots__ = (
        "_allowance", "_counted", "_door", "_incoming", "_loop", "channel", "device", "mark", "session", "subject",
        "token",
    )  # fmt: skip

    def __init__(self, door: Door, codec: Codec, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._loop = asyncio.get_running_loop()
        self._door = door
        self._incoming = Incoming()
        self.session = Session(codec, self._loop.time())
        self._allowance = door.config.frames_burst  # frames it may send now
        self._counted = self._loop.time()
        self.channel: Channel | None = None
        self.device: Device | None = None
        self.subject = ""
        self.token = ""
        self.mark = -1

    # Out

    def rerouted(self) -> None:
        """Tells the channel, whose rounds have each socket's `send` at hand."""
        if self.channel is not None:
            self.channel.rerouted(self)

    def bye(self, code: Close) -> None:
        """Tells the client to go, and when to come back if it may."""
        retry = (0, 0) if code.final else self._door.retry_ms()
        self.end(int(code), Framed(Bye(int(code), retry)).frame(self.session.codec))

    def end(self, code: int, last: bytes = b"") -> None:
        """Begins the closing handshake, after `last`. The client has a moment to answer; then it is cut."""
        if not self.session.ending(self._loop.time()):
            return
        self._leave()
        self._door.closing(self, code)
        self.write(last + close_frame(code))
        self._loop.call_later(self._door.config.linger_s, self.transport.abort)

    def _leave(self) -> None:
        if self.channel is not None:
            self.channel.leave(self)
            self.channel = None

    # In

    def data_received(self, data: bytes) -> None:
        """Bytes of the client. Frames beyond its allowance wait unread, so that no client can keep the loop busy."""
        now, config = self._loop.time(), self._door.config
        self._allowance = min(config.frames_burst, self._allowance + (now - self._counted) * config.frames_s)
        self._counted = now
        messages = self._incoming.feed(data)
        try:
            for opcode, payload in messages:
                if opcode is Opcode.CLOSE:
                    self._closed_by_client(payload)
                    return
                if self.session.phase is not Phase.ENDING:
                    self._take(opcode, payload, now)
                self._allowance -= 1
                if self._allowance < 0:
                    self.transport.pause_reading()
                    self._loop.call_later(-self._allowance / config.frames_s, self._go_on)
                    return
        except TooBig:
            self.end(TOO_BIG)
        except (Broken, Violation):
            self.bye(Close.PROTOCOL)
        finally:
            messages.close()

    def _go_on(self) -> None:
        """Reads on, after a client had to wait."""
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self.data_received(b"")

    def _take(self, opcode: Opcode, payload: bytes, now: float) -> None:
        if opcode is Opcode.PING:
            self.session.heard = now
            if self.session.phase is not Phase.SLOW:
                self.write(pong_frame(payload))
        elif opcode is Opcode.PONG:
            self.session.heard = now
        elif opcode is not Opcode.CONT:
            self._hear(payload, opcode is Opcode.BINARY)

    def _hear(self, payload: bytes, binary: bool) -> None:
        message = self.session.hear(payload, binary, self._loop.time())
        if isinstance(message, Ack):
            return
        if isinstance(message, Hello):
            self._door.asked(self, message)
        elif isinstance(message, Resync) and self.channel is not None and self.session.phase is Phase.LIVE:
            self._allowance -= RESYNC_COST
            self.channel.join(self, Ask(Why.RESYNC, message.ep, message.s))
            self.channel.flush()

    def _closed_by_client(self, payload: bytes) -> None:
        """Answers a close frame, or takes the answer to ours; either way the server closes the connection."""
        try:
            code = close_code(payload)
        except Broken:
            code = int(Close.PROTOCOL)
        if self.session.ending(self._loop.time()):
            self._leave()
            self.write(close_frame(code))
        self.transport.close()

    def pause_writing(self) -> None:
        """The transport's buffer passed the high-water mark: the client does not read fast enough."""
        if self.session.filled(self._loop.time()) and self.channel is not None:
            self.channel.filled(self)

    def resume_writing(self) -> None:
        """The transport's buffer is empty: the client gets the whole state and is fed again."""
        if self.session.drained(self._loop.time()) and self.channel is not None:
            self.channel.join(self, Ask(Why.DRAINED))
            self._loop.call_soon(self.channel.flush)  # not from within the transport's own write

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more; its descriptor is closed next, and may be another's then."""
        self._plain = False
        self.hold()
        self._leave()
        self._door.gone(self)


def tune(transport: asyncio.Transport, config: PushConfig) -> None:
    """Small buffers: what has left for the kernel can neither be skipped nor noticed as late."""
    transport.set_write_buffer_limits(high=config.high_water, low=0)
    raw = cast("sockets.socket | None", transport.get_extra_info("socket"))
    if raw is None or raw.family not in (sockets.AF_INET, sockets.AF_INET6):
        return
    raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, config.send_buffer)
    lowat = getattr(sockets, "TCP_NOTSENT_LOWAT", None)  # not on every platform
    if lowat is not None:
        raw.setsockopt(sockets.IPPROTO_TCP, lowat, config.unsent)
