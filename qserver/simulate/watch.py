"""The screens of a played day: real displays, each writing down what it showed and when."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from displays.chain import Outcome
from displays.client import Display
from qserver.wire.messages import BoardEvent, BoardView

from .people import Floor
from .record import Board
from .world import World

JOINING = frozenset({"issue", "return", "transfer", "finish", "unhold"})
"""Events after which somebody may have joined a queue."""
CATCH_UP_S = 10.0
"""Real seconds a board may take to reach the server's state when all is quiet."""


class Screen:
    """One display on a hall's board. With a floor it is also what that hall's clerks look at."""

    def __init__(self, url: str, token: str, board: Board, floor: Floor | None) -> None:
        self.board = board
        self.token = token
        self._floor = floor
        self._changed = asyncio.Event()
        self.display = Display(
            url, token, board.hall, protocol="msgpack", device=board.device, on_change=self._on_change
        )

    async def run(self) -> None:
        """Shows the board until cancelled. Raises displays.client.Stopped."""
        try:
            await self.display.run()
        finally:
            self.board.connects, self.board.snapshots = self.display.connects, self.display.snapshots
            self.board.events, self.board.resyncs = self.display.events, self.display.resyncs

    def _on_change(self, _: Display, outcome: Outcome) -> None:
        arrived, now_ms = time.monotonic(), time.time_ns() / 1e6
        self._changed.set()
        if outcome.replaced and self.display.board is not None:
            view = self.display.board
            self.board.listed.update((call.ticket, call.n) for call in view.calls)
            if self._floor is not None:
                self._floor.board_anew(view.waiting)
        elif outcome.applied is not None:
            self._take(outcome.applied, arrived, now_ms)

    def _take(self, event: BoardEvent, arrived: float, now_ms: float) -> None:
        if event.k in ("call", "recall"):
            call = (str(event.ticket), int(event.n or 1))
            if call in self.board.shown:
                self.board.twice[call] += 1
            else:
                self.board.shown[call] = (arrived, now_ms - event.at_ms)
        if self._floor is not None and event.service and isinstance(event.waiting, int):
            self._floor.board_shows(event.service, event.waiting, more=event.k in JOINING)

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
            truths[board.hall] = await world.get(screen.token, path, BoardAnswer)
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
