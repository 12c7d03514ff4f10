"""What is tried when. Pure: instants come in, delays go out.

Each event that was not delivered is tried again by itself, on the specification's schedule, while later ones go on. A
receiver that fails several times in a row is *away*: nothing new is begun, what comes waits in the feed, and now and
then, at last every five minutes, one event is tried for all, so that it is soon noticed when the receiver is back. Then
everything that waits is due at once. While it is away each failure is one attempt of every letter that is due.

It may be some events alone that a receiver cannot digest. An answer that says so is no failure of the receiver; as not
all say it, what is tried for all is in turn an event of the feed and one that failed, and a letter is due before its
time once and not again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from qserver.store.answers import HookRecord, LetterRecord

_MINUTE, _HOUR = 60, 3600
DELAYS_S = (
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""Before the second attempt, the third, ...: the specification's example. After the last one the event is dead."""
SPAN_MS = sum(DELAYS_S) * 1000
"""From the first attempt to the last, ms; no event waits longer for a receiver that is away."""
JITTER = 0.1
"""A delay is lengthened by up to this share, so that what failed together does not come together."""
AWAY_AFTER = 5
"""Failures in a row after which a receiver is away."""
PROBE_MS = 5 * _MINUTE * 1000
"""A receiver that is away is tried at least this often, at first every five seconds."""
LONGEST_REST_MS = 24 * _HOUR * 1000
"""The most that `Retry-After` may ask for."""
BATCH = 32
"""Letters, and events, taken on at one time."""


def delay_ms(attempts: int, rest_ms: int, chance: float) -> int | None:
    """How long to wait after so many failed attempts, at least `rest_ms`; None: no more. `chance`: 0 to 1, random."""
    if attempts > len(DELAYS_S):
        return None
    return max(rest_ms, int(DELAYS_S[max(0, attempts - 1)] * 1000 * (1 + JITTER * chance)))


def retry_after_ms(header: str, now_ms: int) -> int:
    """What a `Retry-After` header asks for, seconds or a date, as ms from now; 0 without sense."""
    text = header.strip()
    if text.isascii() and text.isdecimal():
        wanted = int(text[:12]) * 1000
    else:
        try:
            wanted = int(parsedate_to_datetime(text).timestamp() * 1000) - now_ms
        except (ValueError, TypeError, OverflowError):
            wanted = 0
    return min(max(0, wanted), LONGEST_REST_MS)


def is_away(failures: int) -> bool:
    """Whether a receiver that failed so often in a row is away."""
    return failures >= AWAY_AFTER


def probe_ms(failures: int) -> int:
    """How long after a failure a receiver that is away is tried again."""
    return min(PROBE_MS, DELAYS_S[0] * 1000 << min(16, max(0, failures - AWAY_AFTER)))


class Plan(NamedTuple):
    """Letters to try now, those that are due, how many events to take from the feed; else how long to do nothing, ms.

    `deaf`: even if something happens meanwhile. `either`: the event of the feed, or if there is none the letter.
    """

    letters: Sequence[LetterRecord]
    due: Sequence[LetterRecord]
    events: int
    pause_ms: int
    deaf: bool
    either: bool = False


def plan(hook: HookRecord, letters: Sequence[LetterRecord], now_ms: int, longest_ms: int) -> Plan:
    """What to do for a webhook now. `letters`: those that are due, or else the next one."""
    due = [letter for letter in letters if letter.due_ms <= now_ms]
    if 0 < hook.rest_until_ms - now_ms <= LONGEST_REST_MS:  # with more left the clock went back
        return Plan((), due, 0, min(longest_ms, hook.rest_until_ms - now_ms), True)
    if not is_away(hook.failures):
        next_ms = letters[0].due_ms if letters else now_ms + longest_ms
        events = BATCH if len(due) < BATCH else 0  # there may be more letters, and they are older
        return Plan(due, due, events, min(longest_ms, max(0, next_ms - now_ms)), False)
    left_ms = hook.tried_ms + probe_ms(hook.failures) - now_ms
    if hook.tried_ms <= now_ms and left_ms > 0:
        return Plan((), due, 0, min(longest_ms, left_ms), True)
    fresh = not letters or (hook.failures - AWAY_AFTER) % 2 == 0
    return Plan(letters[:1], due, int(fresh), longest_ms, True, True)
