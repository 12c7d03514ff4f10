"""What a round of attempts came to, as it goes on record. Pure.

A round ends early when the receiver is away, asks to be left alone or wants no more, and when the process ends: what
was not tried by then has lost nothing. A letter stays as it is; an event becomes a letter without an attempt, so that
the position can move on.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from qserver.feed.cursor import Cursor
from qserver.store.answers import Failed, HookRecord, LetterRecord, Settlement, Tried

from . import schedule

DEAD, DELIVERED = -1, -2
"""Stand where a delay is asked for, see `answers.Tried`."""

_GONE = 410
_ABOUT_THE_EVENT = frozenset({400, 409, 413, 415, 422})
"""What a receiver answers that is well and cannot take this very event."""


class Outcome(NamedTuple):
    """What came of an attempt. `status` 0: there was no answer; `error` "": delivered; `rest_ms`: asked to wait."""

    status: int
    error: str
    rest_ms: int
    took_ms: int

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more."""
        return self.status == _GONE


class Item(NamedTuple):
    """Something to deliver: an event of the feed, or with `n` a letter. `attempts`: those before."""

    id: str
    kind: str
    body: str
    at_ms: int
    n: int = 0
    attempts: int = 0

    @property
    def hall(self) -> str:
        """Where it happened."""
        return self.id.partition(":")[0]


def of_letter(letter: LetterRecord) -> Item:
    """A letter as it is sent: word for word as before."""
    return Item(letter.id, letter.kind, letter.body, letter.at_ms, letter.n, letter.attempts)


class Tally:
    """One round for a webhook as it stood at its beginning."""

    def __init__(self, hook: HookRecord) -> None:
        self.failures = hook.failures
        self.over = False
        self._number = hook.settled + 1
        self._was_away = schedule.is_away(hook.failures)
        self._outcomes: dict[Item, Outcome] = {}
        self._sent = self._failed = self._rest_ms = 0
        self._gone = False
        self._error = ""

    @property
    def away(self) -> bool:
        """Whether the receiver is away by now."""
        return schedule.is_away(self.failures)

    def note(self, item: Item, outcome: Outcome) -> None:
        """Takes an attempt's outcome; `over` says whether there is no use in another one."""
        self._outcomes[item] = outcome
        if not outcome.error:
            self._sent += 1
            self.failures = 0
            return
        self._failed += 1
        self.failures += outcome.status not in _ABOUT_THE_EVENT
        self._error = outcome.error
        self._rest_ms = max(self._rest_ms, outcome.rest_ms)
        self._gone = self._gone or outcome.gone
        self.over = self.over or self._gone or self._rest_ms > 0 or self.away

    def settlement(self, due: Iterable[Item], events: Iterable[Item], position: Cursor | None) -> Settlement:
        """What goes on record. `due`: letters that are; `position`: up to where the feed was read, None = not."""
        return Settlement(
            letters=[*self._delivered_letters(), *self._failed_letters(due)],
            events=[self._letter(item) for item in events if not self._delivered(item)],
            group=position.group if position else "",
            positions=position.positions if position else [],
            sent=self._sent,
            failed=self._failed,
            failures=self.failures,
            back=self._was_away and self._sent > 0,
            rest_ms=self._rest_ms,
            gone=self._gone,
            error=self._error,
            number=self._number,
        )

    def _delivered(self, item: Item) -> bool:
        outcome = self._outcomes.get(item)
        return outcome is not None and not outcome.error

    def _delivered_letters(self) -> Iterator[Tried]:
        return (Tried(item.n, DELIVERED, "") for item in self._outcomes if item.n and self._delivered(item))

    def _failed_letters(self, due: Iterable[Item]) -> Iterator[Tried]:
        """Letters that have one attempt more. One that is tried for all before it is due has not."""
        for item in due:
            outcome = self._outcomes.get(item)
            if outcome is None and self._was_away and not self._sent:
                outcome = Outcome(0, self._error, self._rest_ms, 0)
            if outcome is not None and outcome.error:
                yield Tried(item.n, self._delay(item.attempts + 1, outcome.rest_ms), outcome.error)

    def _letter(self, item: Item) -> Failed:
        outcome = self._outcomes.get(item)
        attempts = item.attempts + (outcome is not None)
        tried_on = outcome is not None or self.over  # else nothing speaks against another attempt at once
        delay = self._delay(attempts, outcome.rest_ms if outcome else self._rest_ms) if tried_on else 0
        return Failed(
            item.id, item.kind, item.body, item.at_ms, attempts, delay, outcome.error if outcome else "not tried yet"
        )

    def _delay(self, attempts: int, rest_ms: int) -> int:
        delay = schedule.delay_ms(attempts, rest_ms, random.random())
        return DEAD if delay is None else delay


def expired(hook: HookRecord, events: Sequence[Item], now_ms: int, position: Cursor) -> Settlement | None:
    """What goes on record of events that waited for a receiver that is away: None while none of them has for too long.

    Those that have waited as long as the schedule lasts are dead, the others of the batch become letters, so that the
    feed need not be kept for them.
    """
    oldest_ms = now_ms - schedule.SPAN_MS
    if not any(item.at_ms <= oldest_ms for item in events):
        return None
    failed = []
    for item in events:
        dies = item.at_ms <= oldest_ms
        delay = DEAD if dies else schedule.delay_ms(0, 0, random.random()) or 0
        words = "waited too long for a receiver that is away" if dies else "not tried yet"
        failed.append(Failed(item.id, item.kind, item.body, item.at_ms, 0, delay, words))
    number = hook.settled + 1
    return Settlement(
        [], failed, position.group, position.positions, 0, 0, hook.failures, False, 0, False, hook.error, number
    )
