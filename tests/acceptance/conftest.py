"""A whole server per test, and screens that follow it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from displays.client import Display, Stopped
from tests.whole import Whole


@pytest.fixture
async def server() -> AsyncIterator[Whole]:
    """A running server without halls."""
    async with Whole() as started:
        yield started


class Screens:
    """Displays of one server; `see` waits until one shows something."""

    def __init__(self, server: Whole) -> None:
        self._server = server
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, token: str, hall: str, topic: str = "board", *, live: bool = True) -> Display:
        """A display that runs until the test ends; with `live` it shows something when this returns."""
        display = Display(self._server.url, token, hall, topic)
        self._tasks.append(asyncio.create_task(display.run()))
        if live:
            await self.see(display, lambda: display.live)
        return display

    async def see(self, display: Display, shown: Callable[[], object]) -> None:
        """Wait until what the display knows is as asked for."""
        while not shown():
            await display.changed()

    async def close(self) -> None:
        """End all displays."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError, Stopped):
                await task


@pytest.fixture
async def screens(server: Whole) -> AsyncIterator[Screens]:
    """Displays of `server`."""
    found = Screens(server)
    yield found
    await found.close()
