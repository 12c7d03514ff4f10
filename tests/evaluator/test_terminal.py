"""The pad as a process of its own: what it writes, what it reads, and what survives when it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.evaluator.floors import Floor
from tests.waiting import events

ROOT = Path(__file__).parents[2]


class Process:
    """A running `python -m evaluator`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, words: str) -> str:
        """Waits for a line that holds these words."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words}: {self.lines}")

    async def touch(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def kill9(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def started(floor: Floor, spool: Path, *more: str, token: str | None = None) -> AsyncIterator[Process]:
    """The pad of w1."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "evaluator", "--url", floor.url, "--hall", "h1", "--window", "w1"),
        *("--spool", str(spool), *more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"QSERVER_TOKEN": await floor.token() if token is None else token},
    )
    try:
        yield Process(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_a_day_at_a_pad(floor: Floor, tmp_path: Path) -> None:
    async with started(floor, tmp_path / "spool") as pad:
        await pad.says("欢迎 Welcome")
        good = await floor.serve()
        await pad.says("请评价 Please rate")
        await pad.touch("5")
        await pad.says("感谢您的评价 Thank you")
        bad = await floor.serve()
        await pad.says("请评价 Please rate")
        await pad.touch("2")
        await pad.says("请说明原因 What was wrong?")
        await pad.touch("0")
        await pad.says("请评价 Please rate")
        await pad.touch("1")
        await pad.says("非常不满意 Very dissatisfied")
        await pad.touch("1 3 等太久")
        await pad.says("感谢您的评价 Thank you")
        await events(floor.store, "h1", "rating.recorded", 2)
        assert [await floor.score(ticket) for ticket in (good, bad)] == [5, 1]
        (review,), _ = await floor.store.reviews("h1")
        assert all(word in str(review.history) for word in ("服务效率", "服务态度", "等太久"))


@pytest.mark.parametrize("score", [4, 1])
async def test_what_was_pressed_survives_kill_9_of_the_pad(floor: Floor, tmp_path: Path, score: int) -> None:
    """Also a negative face whose reasons were still being asked for."""
    async with started(floor, tmp_path / "spool") as pad:
        await pad.says("欢迎 Welcome")
        ticket = await floor.serve()
        await pad.says("请评价 Please rate")
        await floor.shut()
        await pad.says("离线 offline")
        await pad.touch(str(score))
        await pad.says("待发送 1 to send")
        await pad.kill9()
    await floor.open()
    async with started(floor, tmp_path / "spool") as pad:
        await events(floor.store, "h1", "rating.recorded", 1)
        assert await floor.score(ticket) == score
        await pad.kill9()
    async with started(floor, tmp_path / "spool") as pad:  # it may send again what it was not told to be recorded
        await pad.says("Welcome")
    assert await floor.ratings() == {ticket.id: 1}


async def test_the_age_of_a_rating_outlives_the_process(floor: Floor, tmp_path: Path) -> None:
    async with started(floor, tmp_path / "spool") as pad:
        await pad.says("欢迎 Welcome")
        ticket = await floor.serve()
        await pad.says("请评价 Please rate")
        await floor.shut()
        await pad.says("离线 offline")
        await pad.touch("5")
        await pad.says("待发送 1 to send")
        pressed_before = await floor.store.now()
        await pad.kill9()
    while (restarted := await floor.store.now()) < pressed_before + 2000:
        await asyncio.sleep(0.01)
    await floor.open()
    async with started(floor, tmp_path / "spool"):
        await events(floor.store, "h1", "rating.recorded", 1)
    rating = (await floor.store.ticket("h1", ticket.id)).rating
    assert rating is not None and ticket.finished_ms is not None
    assert ticket.finished_ms <= rating.at_ms < restarted, "when it was pressed, not when it was sent"


async def test_a_pad_that_may_not_ends_and_says_so(floor: Floor, tmp_path: Path) -> None:
    async with started(floor, tmp_path / "spool", token="qs_none_x") as pad:
        _, errors = await pad.process.communicate()
        assert (pad.process.returncode, "the server refused this pad: 4101" in errors.decode()) == (1, True)


async def test_a_second_pad_on_the_same_spool_ends_and_says_so(floor: Floor, tmp_path: Path) -> None:
    async with started(floor, tmp_path / "spool") as first:
        await first.says("Welcome")
        async with started(floor, tmp_path / "spool") as second:
            _, errors = await second.process.communicate()
            assert (second.process.returncode, "the spool cannot be used" in errors.decode()) == (1, True)


async def test_without_a_token_or_with_a_wrong_address_it_does_not_begin(floor: Floor, tmp_path: Path) -> None:
    async with started(floor, tmp_path / "spool", token="") as pad:
        _, errors = await pad.process.communicate()
        assert (pad.process.returncode, "no token" in errors.decode()) == (1, True)
    async with started(floor, tmp_path / "spool", "--url", "ftp://h") as pad:
        _, errors = await pad.process.communicate()
        assert (pad.process.returncode, "an address begins with" in errors.decode()) == (2, True)
