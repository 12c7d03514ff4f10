"""What one socket may say and when it is overdue, decided without any I/O.

The life of a session is one enum; whoever owns the socket feeds messages and the time and does what it is told.
Times are seconds of a monotonic clock. No asyncio, no sockets, no store.

    NEW --hello--> ASKED --welcome--> LIVE <--drained/full--> SLOW
     any of them --bye or close--> ENDING
"""

from __future__ import annotations

from enum import Enum

from qserver.wire.codecs import BadMessage, Codec
from qserver.wire.messages import Ack, ClientMessage, Close, Hello, Resync

PATIENCE = 4
"""So many times the permitted silence may pass before a client in line is asked to come again."""


class Phase(Enum):
    """Where a session is in its life."""

    NEW = "new"  # upgraded, nothing said yet
    ASKED = "asked"  # said hello, waits for its welcome
    LIVE = "live"  # welcomed and fed
    SLOW = "slow"  # its buffer is full: fed again from a snapshot once drained
    ENDING = "ending"  # told to go, or going


class Terms:
    """The times sessions of a process live by, in seconds. `silence` is how long a client may say nothing."""

    __slots__ = ("hello_s", "silence_s", "slow_s")

    def __init__(self, hello_s: float, silence_s: float, slow_s: float) -> None:
        self.hello_s = hello_s
        self.silence_s = silence_s
        self.slow_s = slow_s


class Violation(Exception):
    """The client broke the protocol; the socket closes with `code`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.code = Close.PROTOCOL


class Session:
    """One client, from its upgrade to its end. `expires` is infinite unless its token has a term."""

    __slots__ = ("acked", "codec", "expires", "heard", "phase", "since")

    def __init__(self, codec: Codec, now: float) -> None:
        self.codec = codec
        self.phase = Phase.NEW
        self.since = now  # when the phase began
        self.heard = now  # when the client last said anything, pings and pongs included
        self.acked = -1  # what the device has shown, -1 until it says
        self.expires = float("inf")

    def hear(self, payload: bytes, binary: bool, now: float) -> ClientMessage:
        """A message of the client, checked against what it may say now. Raises Violation."""
        self.heard = now
        if binary is not self.codec.binary:
            raise Violation("a frame of the wrong kind for the subprotocol")
        try:
            message = self.codec.client_message(payload)
        except BadMessage as error:
            raise Violation(str(error)) from error
        if isinstance(message, Hello):
            if self.phase is not Phase.NEW:
                raise Violation("hello comes once")
            self._enter(Phase.ASKED, now)
        elif self.phase is Phase.NEW:
            raise Violation("hello comes first")
        elif isinstance(message, Ack):
            self.acked = message.s
        elif isinstance(message, Resync) and self.phase is Phase.ASKED:
            raise Violation("there is nothing to repair before the welcome")
        return message

    def overdue(self, now: float, terms: Terms) -> Close | None:
        """The code to close with, if the client let a term pass."""
        if self.phase is Phase.NEW:
            return Close.PROTOCOL if now - self.since >= terms.hello_s else None
        if self.phase is Phase.ENDING:
            return None
        if self.phase is Phase.ASKED:  # it is our turn to speak; but nobody stands in line for ever
            return Close.DRAINING if now - self.since >= PATIENCE * terms.silence_s else None
        if now >= self.expires:
            return Close.NOT_ALLOWED
        if self.phase is Phase.SLOW and now - self.since >= terms.slow_s:
            return Close.TOO_SLOW
        return Close.TOO_SLOW if now - self.heard >= terms.silence_s else None

    def welcomed(self, now: float) -> None:
        """The welcome was written; only from now on is the client expected to say something."""
        self.heard = now
        self._enter(Phase.LIVE, now)

    def filled(self, now: float) -> bool:
        """Its buffer is full. Answers whether that stops its feed."""
        if self.phase is not Phase.LIVE:
            return False
        self._enter(Phase.SLOW, now)
        return True

    def drained(self, now: float) -> bool:
        """Its buffer is empty again. Answers whether its feed may go on."""
        if self.phase is not Phase.SLOW:
            return False
        self._enter(Phase.LIVE, now)
        return True

    def ending(self, now: float) -> bool:
        """The socket ends. Answers whether that is news."""
        if self.phase is Phase.ENDING:
            return False
        self._enter(Phase.ENDING, now)
        return True

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase = phase
        self.since = now
