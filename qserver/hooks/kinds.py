"""Which events a webhook is for: kinds by name, families like `overtime.*`, or `*` for all. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from qserver.domain.errors import Refusal
from qserver.domain.events import KINDS

EVERY = "*"
PATTERNS_MAX = 50


def chosen(patterns: Sequence[str]) -> frozenset[str]:
    """The kinds that the patterns name. Those that name nothing, perhaps of another version, add nothing."""
    return frozenset().union(*map(_named, patterns))


def check(patterns: Sequence[str]) -> None:
    """Refused (validation): a pattern that names no kind at all."""
    for pattern in patterns:
        if not _named(pattern):
            raise Refusal("validation", f"kinds: there is no kind {pattern}", field="kinds")


def _named(pattern: str) -> frozenset[str]:
    if pattern == EVERY:
        return frozenset(KINDS)
    if pattern.endswith(".*"):
        return frozenset(kind for kind in KINDS if kind.startswith(pattern[:-1]))
    return frozenset({pattern} & KINDS.keys())
