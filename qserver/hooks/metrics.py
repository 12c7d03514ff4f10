"""What this process counts of webhooks, and the lines Prometheus reads. Labels are ids: there are at most 100."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Of one webhook. `lag`: letters that wait and events that may still be to send; `ours`: this process sends."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    lag: int = 0
    ours: bool = False


_COUNTERS = (
    ("sent", "Events delivered by this process."),
    ("failed", "Attempts that failed."),
    ("dead", "Events that were given up and are kept as dead letters."),
)


def lines(meters: Mapping[str, Meter]) -> Iterator[str]:
    """Lines about each webhook; how far behind it is says the process whose turn it is."""
    for name, meaning in _COUNTERS:
        yield f"# HELP qserver_webhook_{name}_total {meaning}"
        yield f"# TYPE qserver_webhook_{name}_total counter"
        for hook, meter in sorted(meters.items()):
            yield f'qserver_webhook_{name}_total{{webhook="{hook}"}} {getattr(meter, name)}'
    yield "# HELP qserver_webhook_lag Events a webhook has not delivered; with kinds chosen, an upper bound."
    yield "# TYPE qserver_webhook_lag gauge"
    for hook, meter in sorted(meters.items()):
        if meter.ours:
            yield f'qserver_webhook_lag{{webhook="{hook}"}} {meter.lag}'
