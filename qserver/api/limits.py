"""How much may be asked: per token, per address without one, and at one time. Pure bookkeeping without a clock.

Numbers are of one process: with several workers each holds its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

ACCOUNTS_MAX = 50_000


class Limits(NamedTuple):
    """`per_token`, `per_address` (without a valid token): requests per second, 0 = off. `in_flight`: at one time.
    `logins`: tries to log in per minute of one address, 0 = off.
    """

    per_token: float = 200
    per_address: float = 50
    in_flight: int = 1024
    logins: float = 60


class Rate:
    """Requests per second by account, with bursts of `burst_s` seconds' worth (GCRA: one number per account).

    Kept is the instant at which all that was taken would be paid back; an account in the past owes nothing.
    """

    def __init__(self, per_second: float, burst_s: float = 1.0) -> None:
        self._cost = 1 / per_second if per_second else 0.0
        self._burst = max(burst_s, self._cost)
        self._paid: dict[str, float] = {}

    def take(self, account: str, now_s: float) -> int:
        """Takes one request: 0 when it may go on, else whole seconds after which to come again."""
        if not self._cost:
            return 0
        paid = self._paid.get(account, 0.0)
        paid = (paid if paid > now_s else now_s) + self._cost
        if paid - now_s > self._burst + 1e-9:
            return math.ceil(paid - now_s - self._burst)
        self._paid[account] = paid
        if len(self._paid) > ACCOUNTS_MAX:
            self._sweep(now_s)
        return 0

    def _sweep(self, now_s: float) -> None:
        """Forgets who owes nothing; should everybody owe, the earliest half is forgiven rather than memory filled."""
        self._paid = {account: paid for account, paid in self._paid.items() if paid > now_s}
        if len(self._paid) > ACCOUNTS_MAX // 2:
            kept = sorted(self._paid.items(), key=lambda item: item[1])[len(self._paid) // 2 :]
            self._paid = dict(kept)


STALLED_S = 0.1
"""When nothing was answered for so long, what is in flight waits for something else than its turn: a disk, mostly."""


class InFlight:
    """Bounds the work at one time so that one hall's flood leaves room for the others.

    Below half the bound everybody comes in. Above it a hall may hold its equal share of the bound among the halls
    at work now; a hall below its share comes in even when others had filled the bound before it came, up to twice
    the bound in all.

    The bound is for a disk that stalls: those in flight wait for it together and are answered together. When answers
    flow and still a quarter of the bound is in flight, each waits for those before it, and more would all wait too
    long: then that quarter is the bound, until an eighth is left.
    """

    def __init__(self, bound: int) -> None:
        self._full = bound
        self._quarter = max(1, bound // 4)
        self._crowded = False
        self._answered_s = -math.inf
        self._halls: dict[str, int] = {}
        self.total = 0

    def has_room(self, hall: str, now_s: float) -> bool:
        """Whether one more request of the hall ("" = of none) may be worked on."""
        if not self._full:
            return True
        if self.total >= self._quarter and now_s - self._answered_s <= STALLED_S:
            self._crowded = True
        bound = self._quarter if self._crowded else self._full
        if self.total * 2 < bound:
            return True
        mine = self._halls.get(hall, 0)
        active = len(self._halls) + (mine == 0)
        return mine < max(1, bound // active) and self.total < 2 * bound

    def enter(self, hall: str, now_s: float) -> bool:
        """Begins a request of the hall if there is room for it, and says so; if so, `leave` afterwards."""
        if not self.has_room(hall, now_s):
            return False
        self._halls[hall] = self._halls.get(hall, 0) + 1
        self.total += 1
        return True

    def leave(self, hall: str, now_s: float) -> None:
        """Ends what `enter` began."""
        self._answered_s = now_s
        self.total -= 1
        if self.total * 2 < self._quarter:
            self._crowded = False
        mine = self._halls[hall] - 1
        if mine:
            self._halls[hall] = mine
        else:
            del self._halls[hall]
