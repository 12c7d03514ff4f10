"""The way out of a connection, past the loop's transport as long as that holds nothing back.

What the transport does before and after the same system call is a tenth of a frame's delivery, and more of an HTTP
answer. What the kernel does not take goes to the transport, and everything after it queues there until that is empty.
A connection under TLS goes by its transport always.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import Callable
from typing import cast


class Outlet:
    """Writes to one connection. Whoever has it calls `hold` before somebody else may write there, and when it is lost.

    `send` gives bytes to the kernel and answers how many it took; BlockingIOError when they must go by `write`.
    """

    __slots__ = ("_plain", "_raw", "send", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport: asyncio.Transport = transport
        self._plain = transport.get_extra_info("sslcontext") is None  # what is written is what is sent
        self._raw: sockets.socket | None = None
        self.send: Callable[[bytes], int] = _held  # what others wrote may not have left yet

    def write(self, data: bytes) -> None:
        """Writes everything; to a connection that has closed meanwhile, nothing."""
        if self._plain and not self.transport.get_write_buffer_size():
            if self._raw is None:
                self._go_direct()
            try:
                taken = self.send(data)
            except BlockingIOError:
                taken = 0
            except OSError:
                self.transport.abort()
                return
            if taken == len(data):
                return
            data = data[taken:]
        self.queue(data)

    def queue(self, data: bytes) -> None:
        """Gives the transport what the kernel did not take; what follows has to wait behind it."""
        self.hold()
        try:
            self.transport.write(data)
        except RuntimeError:
            self.transport.abort()

    def hold(self) -> None:
        """Ends going past the transport. A round under way may still have the `send` of before: it fails, for its
        socket is no more."""
        if self._raw is not None:
            self._raw.detach()
            self._raw, self.send = None, _held
            self.rerouted()

    def rerouted(self) -> None:
        """Called when `send` has become another one."""

    @property
    def descriptor(self) -> int:
        """The connection's descriptor while `send` may be used; -1 while it may not."""
        return -1 if self._raw is None else self._raw.fileno()

    def _go_direct(self) -> None:
        seen = cast("sockets.socket", self.transport.get_extra_info("socket"))
        self._raw = sockets.socket(seen.family, seen.type, seen.proto, fileno=seen.fileno())
        self.send = self._raw.send
        self.rerouted()


def _held(_: bytes) -> int:
    """Stands for `send` while it would overtake what the transport holds."""
    raise BlockingIOError
