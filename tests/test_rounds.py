"""Work in the background: every round comes, whatever became of the one before."""

from __future__ import annotations

import asyncio
import logging

import pytest

from qserver.domain.errors import Unavailable
from qserver.rounds import Rounds

log = logging.getLogger(__name__)


class Work:
    """Goes as it is told, and says when it has come to its end."""

    def __init__(self, *goes: Exception | None) -> None:
        self.goes = list(goes)
        self.mistakes = 0
        self.over = asyncio.Event()

    async def once(self) -> None:
        if not self.goes:
            self.over.set()
            await asyncio.Event().wait()
        if error := self.goes.pop(0):
            raise error

    def failed(self) -> None:
        self.mistakes += 1


async def test_no_round_that_fails_is_the_last_one(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(None, Unavailable("away"), ValueError("ours"), None)
    rounds = Rounds("counting", work.once, 0, log, work.failed)
    rounds.start()
    async with asyncio.timeout(20):
        await work.over.wait()
    await rounds.stop()
    assert work.mistakes == 1
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "counting is not possible now: away"),
        ("ERROR", "counting failed; going on"),
    ]


async def test_stopping_ends_the_round_under_way_and_may_be_asked_again() -> None:
    work = Work()
    rounds = Rounds("counting", work.once, 0, log)
    await rounds.stop()
    rounds.start()
    async with asyncio.timeout(20):
        await work.over.wait()
        await rounds.stop()
    await rounds.stop()
