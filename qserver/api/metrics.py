"""What the interface counts of itself, and the text Prometheus reads. Other rooms add lines of their own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Provider = Callable[[], Iterable[str]]
"""Gives lines in Prometheus' text format, without line ends."""


class Meter:
    """Requests of one route: how many by status, and how long they took."""

    __slots__ = ("buckets", "label", "seconds", "statuses")

    def __init__(self, method: str, path: str) -> None:
        self.label = f'method="{method}",route="{path}"'
        self.statuses: dict[int, int] = {}
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS_S) + 1)

    def count(self, status: int, seconds: float) -> None:
        """Counts one answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1


def request_lines(meters: Sequence[Meter], in_flight: int) -> Iterable[str]:
    """The lines of all routes that were asked at least once."""
    asked = [meter for meter in meters if meter.statuses]
    yield "# HELP qserver_http_requests_total Requests answered, by route and status."
    yield "# TYPE qserver_http_requests_total counter"
    for meter in asked:
        for status, count in sorted(meter.statuses.items()):
            yield f'qserver_http_requests_total{{{meter.label},status="{status}"}} {count}'
    yield "# HELP qserver_http_request_seconds From the request's head to its answer."
    yield "# TYPE qserver_http_request_seconds histogram"
    for meter in asked:
        total = 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), meter.buckets, strict=True):
            total += count
            yield f'qserver_http_request_seconds_bucket{{{meter.label},le="{bound}"}} {total}'
        yield f"qserver_http_request_seconds_sum{{{meter.label}}} {meter.seconds:.6f}"
        yield f"qserver_http_request_seconds_count{{{meter.label}}} {total}"
    yield "# HELP qserver_http_in_flight Requests being worked on."
    yield "# TYPE qserver_http_in_flight gauge"
    yield f"qserver_http_in_flight {in_flight}"


def text(providers: Iterable[Provider]) -> bytes:
    """Everything as one text. A provider that fails is left out rather than hiding the rest."""
    lines: list[str] = []
    for provider in providers:
        try:
            lines.extend(provider())
        except Exception as error:
            lines.append(f"# a provider failed: {type(error).__name__}")
    return ("\n".join(lines) + "\n").encode()
