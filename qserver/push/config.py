"""Settings of push, with the reasons for their values. Only settings live here."""

from __future__ import annotations

from dataclasses import dataclass

from qserver.wire.messages import DEAD_AFTER, HB_MS


@dataclass(frozen=True, slots=True)
class PushConfig:
    """How sockets are kept and fed."""

    hb_ms: int = HB_MS  # one timer says hb to everybody
    hello_s: float = 5.0  # the first message must come within this
    slow_s: float = 10.0  # a full buffer is closed after this
    high_water: int = 32 * 1024  # bytes its own buffer may hold before a socket is skipped; a write kept costs 0.8 KB
    send_buffer: int = 16 * 1024  # SO_SNDBUF: what the kernel swallows cannot be taken back when it is stale
    unsent: int = 16 * 1024  # TCP_NOTSENT_LOWAT, for the same reason
    ring: int = 256  # events kept per hall for screens that come back
    seed: int = 1000  # entries of the stream's tail looked at to fill the ring at start
    together: bool = True  # a chunk's sends in one system call, where the kernel has io_uring and lets us
    chunk: int = 500  # sockets written to before commands get their turn
    welcomes_per_s: int = 3000  # accepted screens that are served per second; the others wait in line
    welcome_burst: int = 50  # screens served in one go
    state_s: float = 1.0  # stats and ticket states at most this often
    frames_s: float = 100.0  # frames a client may send per second; more wait unread
    frames_burst: float = 200.0  # and at once
    linger_s: float = 2.0  # how long a told client may take to close before it is cut
    forget_s: float = 60.0  # a hall nobody watches is forgotten after this
    retry_ms: tuple[int, int] = (500, 5000)  # when to come back, unless many have to

    @property
    def silence_s(self) -> float:
        """How long a client may say nothing, seconds."""
        return self.hb_ms * DEAD_AFTER / 1000
