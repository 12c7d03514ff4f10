"""One topic and the sockets that watch it: what is posted goes to all of them, in order, as the same bytes.

Each message is framed once per codec, and the frames of one round are joined into one write. Nothing is awaited per
socket: the kernel takes the bytes or its transport buffers them, and tells when its buffer is full; such a socket is
left out until it has drained. A round over many sockets yields to the loop between chunks, and the next round waits for
it, so event 2 never overtakes event 1. Whoever joins is let in between rounds, at the position the next begins at.

What a joiner must be given first is the topic's own business (`_catch_up`).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from enum import Enum
from operator import length_hint
from typing import TYPE_CHECKING, NamedTuple

from qserver.wire.codecs import CODECS
from qserver.wire.messages import BoardEvent, Heartbeat, Welcome

from .clock import Clock
from .config import PushConfig
from .frames import Framed
from .metrics import Meter
from .uring import LARGEST, Requests, Uring

if TYPE_CHECKING:
    from .socket import Socket


class Why(Enum):
    """Why a socket joins."""

    HELLO = "hello"
    RESYNC = "resync"
    DRAINED = "drained"


class Ask(NamedTuple):
    """What a joiner asks for: the position it stands at, if any."""

    why: Why
    ep: str = ""
    s: int | None = None


class Tools(NamedTuple):
    """What all channels of a process share."""

    config: PushConfig
    clock: Clock
    meter: Meter
    ring: Uring | None = None


SETTLED = 3
"""In which of its rounds an audience's sends are made ready for the kernel."""
TOGETHER = 16
"""Fewer sockets than this are quicker one by one."""


class Audience:
    """A chunk of sockets and, in the same order, their `send`: a round over thousands then touches no other object of
    theirs, and what it does not touch need not come from memory. It stays as it is: when a socket comes, goes or is
    rerouted, another audience is made, and this one is `stale`: a round under way may still have it.
    """

    __slots__ = ("_requests", "_used", "sends", "sockets", "stale")

    def __init__(self, sockets: list[Socket]) -> None:
        self.sockets = sockets
        self.sends = [socket.send for socket in sockets]
        self.stale = False
        self._used = 0
        self._requests: Requests | None = None

    def requests(self, ring: Uring) -> Requests | None:
        """All these sends as the kernel takes them together; None when one must go otherwise, and when making them
        does not pay: for few, and for an audience that may not stay as it is.
        """
        self._used += 1
        if self._used == SETTLED and TOGETHER <= len(self.sockets) <= ring.size:
            descriptors = [socket.descriptor for socket in self.sockets]
            if min(descriptors) >= 0:
                self._requests = Requests(ring, descriptors)
        return None if self.stale else self._requests  # a descriptor may be somebody else's by now


class Channel(ABC):
    """The sockets of one topic of one hall."""

    def __init__(self, name: str, tools: Tools) -> None:
        self.name = name
        self.tools = tools
        self.joining: dict[Socket, Ask] = {}
        self._members: tuple[dict[Socket, None], ...] = tuple({} for _ in CODECS)
        self._audiences: list[list[Audience]] = [[] for _ in CODECS]
        self._pending: list[Framed] = []
        self._round: asyncio.Task[None] | None = None
        self._posted = 0  # contents posted so far, heartbeats not counted
        self._begun = 0  # of these, how many belong to rounds that have begun

    # The topic's own part

    @abstractmethod
    def position(self) -> tuple[str, int]:
        """Epoch and last event of what was posted."""

    @abstractmethod
    def _catch_up(self, socket: Socket, ask: Ask) -> Sequence[Framed] | None:
        """What a joiner needs to stand where members stand; None while that cannot be told."""

    # Who watches

    def __len__(self) -> int:
        return sum(map(len, self._members)) + len(self.joining)

    def members(self) -> Iterable[Socket]:
        """Everybody who is being fed."""
        return [socket for sockets in self._members for socket in sockets]

    def join(self, socket: Socket, ask: Ask) -> None:
        """Lets a socket in, or back in, at the beginning of the next round."""
        self.leave(socket)
        self.joining[socket] = ask

    def leave(self, socket: Socket) -> None:
        """The socket is fed no longer."""
        self.joining.pop(socket, None)
        index = socket.session.codec.index
        if socket in self._members[index]:
            del self._members[index][socket]
            self._changed(index)

    def rerouted(self, socket: Socket) -> None:
        """The socket's `send` is another one now."""
        self._changed(socket.session.codec.index)

    def filled(self, socket: Socket) -> None:
        """The socket's buffer is full: it is left out until it drains."""
        self.leave(socket)
        socket.mark = self._begun
        self.tools.meter.slow += 1

    # What they are given

    def post(self, framed: Framed) -> None:
        """Adds a message to the next round."""
        self._posted += 1
        self._pending.append(framed)

    def beat(self) -> None:
        """Adds a heartbeat to the next round."""
        self._pending.append(Framed(Heartbeat(*self.position(), self.tools.clock.now_ms())))

    def flush(self) -> None:
        """Begins a round, if there is anything to do and none is under way."""
        if self._round is not None or not (self._pending or self.joining):
            return
        batch, self._pending = self._pending, []
        self._begun = self._posted
        chunks = [
            (audience, data)
            for codec in CODECS
            if batch and (data := self._joined(batch, codec.index))
            for audience in self._audience(codec.index)
        ]
        if self.joining:
            self._admit()
        if not chunks:
            return
        self.tools.meter.rounds += 1
        self._write(*chunks[0], batch)
        if len(chunks) > 1:
            self._round = asyncio.get_running_loop().create_task(self._go_on(chunks[1:], batch))

    async def _go_on(self, chunks: Sequence[tuple[Audience, bytes]], batch: list[Framed]) -> None:
        for audience, data in chunks:
            await asyncio.sleep(0)
            self._write(audience, data, batch)
        self._round = None
        self.flush()

    def stop(self) -> None:
        """Ends the round under way."""
        if self._round is not None:
            self._round.cancel()

    def _audience(self, index: int) -> list[Audience]:
        found = self._audiences[index]
        if not found:
            members, size = list(self._members[index]), self.tools.config.chunk
            found = self._audiences[index] = [Audience(members[at : at + size]) for at in range(0, len(members), size)]
        return found

    def _changed(self, index: int) -> None:
        for audience in self._audiences[index]:
            audience.stale = True
        self._audiences[index] = []

    def _joined(self, batch: Sequence[Framed], index: int) -> bytes:
        if not self._members[index]:
            return b""
        return b"".join([framed.frame(CODECS[index]) for framed in batch])

    def _write(self, audience: Audience, data: bytes, batch: Sequence[Framed]) -> None:
        sockets, given = audience.sockets, 0
        ring = self.tools.ring
        if ring is not None and (requests := audience.requests(ring)) and len(data) <= LARGEST:
            given, failed = ring.send(requests, data)
            for number, taken in failed:
                self._give(sockets[number], data, max(0, taken))
        if given < len(sockets):
            self._each(audience, given, data)
        self.tools.meter.sent(len(sockets), len(batch), len(data))
        now_ms = self.tools.clock.now_ms()
        for framed in batch:
            if isinstance(framed.message, BoardEvent):
                self.tools.meter.shown(now_ms - framed.message.at_ms, len(sockets))

    def _each(self, audience: Audience, first: int, data: bytes) -> None:
        """Writes to one socket after the other, from one on."""
        sockets, size, taken = audience.sockets, len(data), 0
        rest = iter(audience.sends[first:] if first else audience.sends)
        while True:
            try:
                for send in rest:
                    if (taken := send(data)) != size:
                        break
                else:
                    break
            except OSError:  # it goes by the transport, or the kernel takes nothing now, or it closed meanwhile
                taken = 0
            self._give(sockets[-1 - length_hint(rest)], data, taken)

    def _give(self, socket: Socket, data: bytes, taken: int) -> None:
        """Sees to what the kernel did not take."""
        if taken:
            socket.queue(data[taken:])
        else:
            socket.write(data)

    def _admit(self) -> None:
        """Lets joiners in, at most a chunk of them in one go."""
        ep, s = self.position()
        now_ms = self.tools.clock.now_ms()
        welcomes = {
            whole: Framed(Welcome(ep, s, "snapshot" if whole else "resume", self.tools.config.hb_ms, now_ms))
            for whole in (True, False)
        }
        admitted = 0
        for socket, ask in list(self.joining.items()):
            same = ask.why is Why.DRAINED and socket.mark == self._begun
            frames = [] if same else self._catch_up(socket, ask)
            if frames is None:
                continue
            if admitted == self.tools.config.chunk:
                asyncio.get_running_loop().call_soon(self.flush)
                break
            admitted += 1
            del self.joining[socket]
            whole = any(not isinstance(framed.message, BoardEvent) for framed in frames)
            if ask.why is Why.HELLO:
                frames = [welcomes[whole], *frames]
                socket.session.welcomed(asyncio.get_running_loop().time())
            self._count(ask, whole)
            codec = socket.session.codec
            self._members[codec.index][socket] = None  # before the write: it may find the buffer full
            self._changed(codec.index)
            data = b"".join([framed.frame(codec) for framed in frames])
            if data:
                socket.write(data)
                self.tools.meter.sent(1, len(frames), len(data))

    def _count(self, ask: Ask, whole: bool) -> None:
        meter = self.tools.meter
        if ask.why is Why.RESYNC:
            meter.resyncs += 1
        if whole:
            meter.snapshots += 1
        elif ask.why is Why.HELLO:
            meter.resumes += 1
