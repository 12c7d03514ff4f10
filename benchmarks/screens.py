"""Thousands of screens in one process: as much of WebSocket as it takes to be a correct board or pad, and no more.

The reference client is `displays`; this one only keeps the chain rule, answers heartbeats, and tells who asks what
came. Frames are masked with zeros, which is a mask too.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from typing import Any

import msgspec

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.decode
_TEXT = "msgpack"

Heard = Callable[["Screen", dict[str, Any]], None]


class Screen(asyncio.Protocol):
    """One socket on one topic. `broken` counts events that did not follow the one before, `lost` that it ended.

    `at`: the epoch and event it stands at, for one that comes back.
    """

    def __init__(
        self, token: str, hall: str, topic: str, device: str, heard: Heard, at: tuple[str, int] | None = None
    ) -> None:
        self.hall, self.topic = hall, topic
        self.ep, self.s = at or ("", -1)
        self.broken = 0
        self.lost = ""
        self.welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hello: dict[str, Any] = {"t": "hello", "token": token, "hall": hall, "topic": topic, "device": device}
        if at is not None:
            self._hello |= {"ep": self.ep, "s": self.s}
        self._heard = heard
        self._data = b""
        self._upgraded = False
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade."""
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            "\r\n".join(
                (
                    "GET /ws HTTP/1.1",
                    "Host: 127.0.0.1",
                    "Upgrade: websocket",
                    "Connection: Upgrade",
                    "Sec-WebSocket-Version: 13",
                    f"Sec-WebSocket-Protocol: qserver.v1.{_TEXT}",
                    f"Sec-WebSocket-Key: {key}",
                    "",
                    "",
                )
            ).encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        """Notes that it ended."""
        self.lost = self.lost or str(error or "closed")
        if not self.welcome.done():
            self.welcome.set_exception(ConnectionError(f"no welcome on {self.topic}: {self.lost}"))

    def close(self) -> None:
        """Ends it."""
        self._transport.abort()

    def say(self, message: dict[str, Any]) -> None:
        """Sends a message."""
        payload = _encode(message)
        length = len(payload)
        head = bytes((0x82, 0x80 | length)) if length < 126 else b"\x82\xfe" + length.to_bytes(2, "big")
        self._transport.write(head + b"\0\0\0\0" + payload)

    def data_received(self, data: bytes) -> None:
        """Takes whole frames from what came."""
        data = self._data + data if self._data else data
        if not self._upgraded:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._data = data
                return
            if data[9:12] != b"101":
                self.lost = data[:200].decode(errors="replace")
                self._transport.abort()
                return
            self._upgraded = True
            self.say(self._hello)
            data = data[end + 4 :]
        at, size = 0, len(data)
        while size - at >= 2:
            length, begin = data[at + 1], at + 2
            if length == 126:
                length, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if begin + length > size or begin > size:
                break
            if data[at] == 0x82:
                self._take(_decode(data[begin : begin + length]))
            elif data[at] == 0x88:
                self.lost = f"closed with {int.from_bytes(data[begin : begin + 2], 'big')}"
            at = begin + length
        self._data = data[at:]

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["t"]
        if kind == "event":
            if message["p"] != self.s:
                self.broken += 1
            self.s = message["s"]
        elif kind == "hb":
            self.say({"t": "ack", "s": max(0, self.s)})
            return
        elif kind in ("snapshot", "state"):
            self.ep, self.s = message["ep"], message["s"]
        elif kind == "welcome":
            if not self.welcome.done():
                self.welcome.set_result(None)
        elif kind == "bye":
            self.lost = f"bye {message['code']}"
        self._heard(self, message)


class Handshake(Screen):
    """One that is content with the upgrade: the least that coming back can cost whoever is connected to."""

    def data_received(self, data: bytes) -> None:
        """The first that comes is the answer to the upgrade."""
        if not self.welcome.done():
            if data[9:12] == b"101":
                self.welcome.set_result(None)
            else:
                self.welcome.set_exception(ConnectionError(data[:200].decode(errors="replace")))


async def connect(port: int, screens: list[Screen], at_once: int = 200) -> None:
    """Connects all and waits until each is welcome. Raises ConnectionError."""
    loop = asyncio.get_running_loop()
    left = iter(screens)

    async def go_on() -> None:
        for screen in left:
            await loop.create_connection(lambda screen=screen: screen, "127.0.0.1", port)  # type: ignore[misc]
            await screen.welcome

    await asyncio.gather(*(go_on() for _ in range(at_once)))
