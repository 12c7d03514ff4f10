"""What push counts, and how it is shown to Prometheus. Counting must cost nothing per socket."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Meter:
    """Counters of one process."""

    __slots__ = (
        "accepted",
        "boards_read",
        "bytes",
        "closed",
        "delay_buckets",
        "delay_sum_ms",
        "deliveries",
        "resumes",
        "resyncs",
        "rounds",
        "slow",
        "snapshots",
    )  # fmt: skip

    def __init__(self) -> None:
        self.accepted = 0
        self.deliveries = 0
        self.bytes = 0
        self.rounds = 0
        self.slow = 0
        self.resumes = 0
        self.resyncs = 0
        self.snapshots = 0
        self.boards_read = 0
        self.closed: Counter[int] = Counter()
        self.delay_buckets = [0] * (len(BUCKETS_MS) + 1)
        self.delay_sum_ms = 0

    def sent(self, sockets: int, messages: int, size: int) -> None:
        """`messages`, together `size` bytes, were written to each of so many sockets."""
        self.deliveries += sockets * messages
        self.bytes += sockets * size

    def shown(self, delay_ms: int, sockets: int) -> None:
        """An event was written to so many sockets this long after it happened."""
        delay_ms = max(0, delay_ms)
        self.delay_buckets[bisect_left(BUCKETS_MS, delay_ms)] += sockets
        self.delay_sum_ms += delay_ms * sockets

    def lines(self) -> Iterator[str]:
        """The counters in Prometheus' text form."""
        for name, value, text in (
            ("accepted", self.accepted, "WebSockets upgraded"),
            ("deliveries", self.deliveries, "messages written to sockets"),
            ("bytes", self.bytes, "bytes written to sockets"),
            ("rounds", self.rounds, "fan-outs"),
            ("slow", self.slow, "times a socket's buffer was full"),
            ("resumes", self.resumes, "screens brought on by the events they missed"),
            ("resyncs", self.resyncs, "repairs asked for in band"),
            ("snapshots", self.snapshots, "whole states sent"),
            ("boards_read", self.boards_read, "boards read from the store, each for all who watch its hall"),
        ):
            yield f"# HELP qserver_push_{name}_total {text}"
            yield f"# TYPE qserver_push_{name}_total counter"
            yield f"qserver_push_{name}_total {value}"
        yield "# HELP qserver_push_closed_total sockets closed by the server"
        yield "# TYPE qserver_push_closed_total counter"
        for code, count in sorted(self.closed.items()):
            yield f'qserver_push_closed_total{{code="{code}"}} {count}'
        yield "# HELP qserver_push_delay_ms from the instant of an event to its write, per socket"
        yield "# TYPE qserver_push_delay_ms histogram"
        total = 0
        for bound, count in zip((*BUCKETS_MS, "+Inf"), self.delay_buckets, strict=True):
            total += count
            yield f'qserver_push_delay_ms_bucket{{le="{bound}"}} {total}'
        yield f"qserver_push_delay_ms_sum {self.delay_sum_ms}"
        yield f"qserver_push_delay_ms_count {total}"
