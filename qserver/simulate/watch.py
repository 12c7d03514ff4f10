"""The screens of a played day: real displays, each writing down what it showed and when."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from displays.client import Display

from qserver.wire.messages import BoardEvent, BoardView, Snapshot

from .people import Floor
from .record import Board
from .world import World

JOINING = frozenset({"issue", "return", "transfer", "finish", "unhold"})
"""Events after which somebody may have joined a queue."""
CATCH_UP_S = 10.0
"""Real seconds a board may take to reach the server's state when all is quiet."""


class Screen:
    """One display on a hall's board. The hall's first one is also what its clerks look at."""

    def __init__(self, display: Display, board: Board, floor: Floor | None) -> None:
        self.display = display
        self.board = board
        self._floor = floor
        self._changed = asyncio.Event()
        display.on_message = self.takes

    def takes(self, message: BoardEvent | Snapshot) -> None:
        """The display has applied this."""
        arrived, now_ms = time.monotonic(), time.time_ns() / 1e6
        board = self.board
        self._changed.set()
        if isinstance(message, Snapshot):
            board.snapshots += 1
            board.listed.update((call.ticket, call.n) for call in message.board.calls)
            if self._floor is not None:
                self._floor.board_anew(message.board.waiting)
            return
        board.events += 1
        if message.k in ("call", "recall"):
            call = (str(message.ticket), int(message.n or 1))
            if call in board.shown:
                board.twice[call] += 1
            else:
                board.shown[call] = (arrived, now_ms - message.at_ms)
        if self._floor is not None and message.service and isinstance(message.waiting, int):
            self._floor.board_shows(message.service, message.waiting, more=message.k in JOINING)

    async def reaches(self, s: int) -> None:
        """Waits until the display stands at `s` or later. Raises TimeoutError."""
        async with asyncio.timeout(CATCH_UP_S):
            while self.display.board is None or self.display.board.s < s:
                self._changed.clear()
                await self._changed.wait()


class BoardAnswer(msgspec.Struct, frozen=True):
    """Answer to a look at the board."""

    s: int
    board: BoardView


async def compare(world: World, screens: Sequence[Screen]) -> None:
    """Notes what every screen shows at the end and what the server says it should. Raises world.Answered, Silent."""
    truths: dict[str, BoardAnswer] = {}
    for screen in screens:
        board = screen.board
        if board.hall not in truths:
            path = f"/api/v1/halls/{board.hall}/board"
            truths[board.hall] = await world.get(screen.display.token, path, BoardAnswer)
        truth = truths[board.hall]
        board.truth = _plain(truth.board)
        with contextlib.suppress(TimeoutError):  # the comparison says what is missing then
            await screen.reaches(truth.s)
        if screen.display.board is not None:
            board.last = _plain(screen.display.board.snapshot().board)


def _plain(view: BoardView) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(view)
    plain["windows"] = {window["id"]: window for window in plain["windows"]}
    return plain
