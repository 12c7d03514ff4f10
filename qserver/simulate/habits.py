"""What people do that no trace tells: how far they walk, whether they hear the call, how they rate. Invented, seeded.

Pure: chance and arithmetic. Everything here is declared as invented in the summary of the run.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from .trace import Arrival

WALK_S = (5.0, 25.0)
"""From the call to the window, seconds. Together with the pauses below some 20 s pass between two services, which is
what brings queues of recorded days nearest to those that were counted there."""
UNHEARD = 0.03
"""Share of people who come only when called a second time."""
RECALL_AFTER_S = 15.0
"""How long a clerk waits for somebody before calling again or giving up."""
LEAVERS_CANCEL = 0.25
"""Share of those who run out of patience that give their number back through the ticket's link."""
RETURN = 0.3
RETURN_AFTER_S = (120.0, 600.0)
"""Share of the missed who come back to the guide, and after how long."""
RATES = 0.4
RATES_AFTER_S = (5.0, 25.0)
"""Share of served people who press a face on the pad, and how long after the service."""
SCORES, SCORE_SHARES = (5, 4, 3, 2, 1), (0.72, 0.18, 0.06, 0.025, 0.015)
FINISH_FIRST = 0.2
"""Share of services that a clerk finishes before calling the next one; otherwise one press does both."""
PAUSE_S = (5.0, 40.0)
"""How long such a clerk takes breath."""
RATING_PREFIX = "sim-"
"""Every rating id of a played day begins so: such ratings can never be taken for a citizen's."""


class Person(NamedTuple):
    """One person's habits, decided at birth. All `_s` are seconds of the day; None = never."""

    arrival: Arrival
    walk_s: float
    hears_call: int  # 1 = comes at the first call, 2 = at the second
    cancels: bool
    returns_after_s: float | None
    score: int | None
    rates_after_s: float
    finished_first: bool
    pause_s: float

    @property
    def leaves_s(self) -> float | None:
        """The instant the person walks out if nobody has called the ticket, None = never."""
        patience = self.arrival.patience_s
        return None if patience is None else self.arrival.at_s + patience


def person(arrival: Arrival, number: int, seed: int) -> Person:
    """The `number`-th person of the day. The same seed gives the same person, whatever order things happen in."""
    chance = random.Random(seed * 1_000_003 + number)
    rates = chance.random() < RATES
    return Person(
        arrival,
        walk_s=chance.uniform(*WALK_S),
        hears_call=2 if chance.random() < UNHEARD else 1,
        cancels=chance.random() < LEAVERS_CANCEL,
        returns_after_s=chance.uniform(*RETURN_AFTER_S) if chance.random() < RETURN else None,
        score=chance.choices(SCORES, SCORE_SHARES)[0] if rates else None,
        rates_after_s=chance.uniform(*RATES_AFTER_S),
        finished_first=chance.random() < FINISH_FIRST,
        pause_s=chance.uniform(*PAUSE_S),
    )


def declaration() -> str:
    """What of the run was invented, in one sentence for the summary."""
    return (
        f"walks {WALK_S[0]:g}-{WALK_S[1]:g} s, {UNHEARD:.0%} heard only the second call, {RETURN:.0%} of the missed "
        f"came back, {RATES:.0%} rated (ids begin with {RATING_PREFIX})"
    )
