"""All sockets of the process: who holds which token, which devices are here, who is overdue, and sending all away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from qserver.wire.codecs import Codec
from qserver.wire.messages import Bye, Close

from .clock import Clock
from .config import PushConfig
from .devices import Device, Devices
from .frames import Framed
from .metrics import Meter
from .session import Phase, Terms
from .socket import Socket

RETURNS_PER_S = 1000
"""How fast a process that starts is meant to get its screens back; the retry window is made as long as that takes."""


class Roster:
    """Who is connected."""

    def __init__(self, config: PushConfig, clock: Clock, meter: Meter, devices: Devices) -> None:
        self.config = config
        self.clock = clock
        self.meter = meter
        self.sockets: set[Socket] = set()
        self.draining = False
        self._devices = devices
        self._terms = Terms(config.hello_s, config.silence_s, config.slow_s)
        self._by_token: dict[str, set[Socket]] = {}
        self._by_device: dict[tuple[str, str, str, str], Socket] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    # Coming

    def add(self, socket: Socket) -> None:
        """A socket was upgraded."""
        self.sockets.add(socket)
        self._empty.clear()
        self.meter.accepted += 1

    def known_as(self, socket: Socket, token: str) -> None:
        """The socket came with this token."""
        socket.token = token
        self._by_token.setdefault(token, set()).add(socket)

    def named(self, socket: Socket, device: Device) -> None:
        """The socket is this device; an older socket of the same one is replaced."""
        older = self._by_device.get(device.key)
        self._by_device[device.key] = socket
        socket.device = device
        if older is not None and older is not socket:
            older.bye(Close.REPLACED)
        else:
            self._devices.record("connected", device)

    def monotonic_at(self, at_ms: int) -> float:
        """The loop's time at which the data server's clock shows `at_ms`."""
        return self.clock.monotonic_at(at_ms)

    # Going

    def closing(self, socket: Socket, code: int) -> None:
        """The server ends the socket."""
        self.meter.closed[code] += 1
        if code in (Close.TOO_SLOW, Close.PROTOCOL, 1009):
            self._lost(socket)  # it was not asked to go: it does not work
        else:
            self._forget_device(socket)

    def gone(self, socket: Socket) -> None:
        """The socket is no more."""
        self._lost(socket)
        self.sockets.discard(socket)
        holders = self._by_token.get(socket.token)
        if holders is not None:
            holders.discard(socket)
            if not holders:
                del self._by_token[socket.token]
        if not self.sockets:
            self._empty.set()

    def _lost(self, socket: Socket) -> None:
        device = socket.device
        if device is not None and self._forget_device(socket):
            self._devices.record("lost", device)

    def _forget_device(self, socket: Socket) -> bool:
        device, socket.device = socket.device, None
        if device is None or self._by_device.get(device.key) is not socket:
            return False
        del self._by_device[device.key]
        return True

    def revoked(self, token: str) -> None:
        """A token holds no longer: its sockets end at once."""
        for socket in list(self._by_token.get(token, ())):
            socket.bye(Close.NOT_ALLOWED)

    # Watching over them

    def check(self, now: float) -> None:
        """Sends away who let a term pass."""
        for socket in list(self.sockets):
            code = socket.session.overdue(now, self._terms)
            if code is not None:
                socket.bye(code)

    def devices(self, hall: str, now: float) -> list[dict[str, object]]:
        """The named devices of a hall that are connected here, with what they have shown last."""
        found: list[dict[str, object]] = []
        for socket in self._by_device.values():
            device, channel = socket.device, socket.channel
            if device is None or device.hall != hall:
                continue
            acked = socket.session.acked
            at = channel.position()[1] if channel is not None else 0
            found.append(
                {
                    "device": device.device,
                    "role": device.role,
                    "topic": device.topic,
                    "window": device.window or None,
                    "since_ms": device.since_ms,
                    "acked": acked if acked >= 0 else None,
                    "lag": max(0, at - acked) if acked >= 0 else None,
                    "silent_ms": int((now - socket.session.heard) * 1000),
                    "slow": socket.session.phase is Phase.SLOW,
                }
            )
        return found

    def lines(self) -> Iterator[str]:
        """Connections by topic and codec, in Prometheus' text form."""
        counts = Counter(
            (socket.channel.name.partition(":")[0] if socket.channel is not None else "none", socket.session.codec.name)
            for socket in self.sockets
        )
        yield "# HELP qserver_push_connections open WebSockets"
        yield "# TYPE qserver_push_connections gauge"
        for (topic, codec), count in sorted(counts.items()):
            yield f'qserver_push_connections{{topic="{topic}",codec="{codec}"}} {count}'

    # Sending all away

    def retry_ms(self) -> tuple[int, int]:
        """When those sent away now may come back: spread so that they do not all come at once."""
        low, high = self.config.retry_ms
        return low, max(high, low + len(self.sockets) * 1000 // RETURNS_PER_S if self.draining else 0)

    async def drain(self) -> None:
        """Tells everybody to come back elsewhere or later, and waits until they are gone, at most `linger_s`."""
        self.draining = True
        retry = self.retry_ms()
        last = Framed(Bye(int(Close.DRAINING), retry))
        for n, socket in enumerate(list(self.sockets)):
            codec: Codec = socket.session.codec
            socket.end(int(Close.DRAINING), last.frame(codec))
            if n % self.config.chunk == self.config.chunk - 1:
                await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self.config.linger_s):
                await self._empty.wait()
        except TimeoutError:
            for socket in list(self.sockets):
                socket.transport.abort()
