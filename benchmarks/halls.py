"""Halls at work for the push benchmarks: boards that check what they are told, desks that give commands.

Commands come at random instants (open model) and each board's time counts from the instant the command was meant for.
What boards are told is checked on the way: every call on every board of its hall, every chain unbroken.
"""

from __future__ import annotations

from collections import Counter
from time import perf_counter_ns as clock
from typing import Any

import msgspec

from qserver.wire.board import Board
from qserver.wire.messages import BoardEvent, Snapshot

from .load import Connection, Line, Pool, Run, instants, request
from .product import Product, hall
from .province import STEPS, Desk
from .screens import Screen

_AT_A_WINDOW = ("call", "start", "finish")


class Place:
    """A board in a hall, whatever connection it has; `told`: its last snapshot and the events since."""

    def __init__(self, token: str, hall: str, work: Work) -> None:
        self.token, self.hall, self.work = token, hall, work
        self.told: list[dict[str, Any]] = []
        self.whole_at = 0
        self._whole: tuple[int, bool] | None = None  # what its welcome promised: up to where, and by a snapshot
        self.screen = self.again()

    def again(self) -> Screen:
        """A new connection that goes on where the last one ended."""
        at = (self.told[0]["ep"], self.told[-1]["s"]) if self.told else None
        self.whole_at, self._whole = 0, None
        self.screen = Screen(self.token, self.hall, "board", "", self._heard, at)
        return self.screen

    def _heard(self, screen: Screen, message: dict[str, Any]) -> None:
        kind = message["t"]
        if kind == "welcome":
            self._whole = message["s"], message["mode"] == "snapshot"
        elif kind == "snapshot":
            self.told = [message]
            if self._whole is not None:
                self._whole = self._whole[0], False
        elif kind == "event":
            self.told.append(message)
            self.work.shown(message, self.hall)
        if not self.whole_at and self._whole is not None and not self._whole[1] and screen.s >= self._whole[0]:
            self.whole_at = clock()

    def state(self) -> dict[str, Any]:
        """What it shows: everything it was told, folded; in the form of `GET /api/v1/halls/{hall}/board`."""
        board = Board(msgspec.convert(self.told[0], Snapshot))
        for message in self.told[1:]:
            board.apply(msgspec.convert(message, BoardEvent))
        return {"ep": board.ep, "s": board.s, "board": msgspec.to_builtins(board.snapshot().board)}


class Work:
    """Halls, their boards and their desks. `busy`: the share of the commands that the first hall gets, if it is set."""

    def __init__(self, product: Product, busy: float = 0.0) -> None:
        self.product, self.busy = product, busy
        self.places: list[Place] = []
        self.names: list[str] = []
        self._tokens: list[str] = []
        self._at: dict[tuple[str, str], Desk] = {}
        self._busy: list[Desk] = []
        self._others: list[Desk] = []
        self._turns = [0, 0]
        self._numbers = 0
        self.clear()

    def clear(self) -> None:
        """Count anew."""
        self.run = Run()
        self.screen_ns: list[int] = []
        self._called: Counter[str] = Counter()
        self._seen: Counter[tuple[str, int]] = Counter()

    async def furnish(self, pool: Pool, halls: int, windows: int) -> None:
        """Halls with open windows, every desk at another step. The first hall of several has five times the windows if
        it is busy."""
        self.names = [f"hall-{number}" for number in range(halls)]
        for name in self.names:
            count = windows * 5 if self.busy and name == self.names[0] else windows
            await self.product.ask(pool, "PUT", f"/api/v1/halls/{name}", hall(name, windows=count))
            for number in range(1, count + 1):
                desk = Desk(name, f"w{number}", self.product.token, self.product.token, "")
                self._at[name, desk.window] = desk
        self._tokens = await self.product.tokens(pool, [{"role": "display", "hall": name} for name in self.names])
        desks = list(self._at.values())
        opened = (request("POST", f"/api/v1/halls/{d.hall}/windows/{d.window}/open", b"{}", d.clerk) for d in desks)
        (await pool.closed(opened)).must_be_good()
        for first in range(1, len(STEPS)):
            later = [desk for number, desk in enumerate(desks) if number % len(STEPS) >= first]
            (await pool.closed([desk.request(self._next()) for desk in later])).must_be_good()
            for desk in later:
                desk.step += 1
        self._busy = [desk for desk in desks if self.busy and desk.hall == self.names[0]]
        self._others = [desk for desk in desks if desk not in self._busy]

    def token(self, name: str) -> str:
        """The token of a hall's boards."""
        return self._tokens[self.names.index(name)]

    def board(self, name: str) -> Place:
        """One more board in a hall, not connected yet."""
        self.places.append(Place(self.token(name), name, self))
        return self.places[-1]

    async def go_on(self, line: Line, per_s: float, seconds: float = 1e6) -> None:
        """Commands at random instants for so long, or until cancelled."""
        ends = clock() + int(seconds * 1e9)
        async for number, meant in instants(per_s, self.run.late_ns):
            if meant >= ends:
                break
            busy = bool(self._busy) and int((number + 1) * self.busy) > int(number * self.busy)
            desks = self._busy if busy else self._others
            self._turns[busy] += 1
            self._press(line, desks[self._turns[busy] % len(desks)], meant)
        await line.answered()

    def _press(self, line: Line, desk: Desk, meant: int) -> None:
        command, data = STEPS[desk.step], desk.request(self._next())
        desk.step = (desk.step + 1) % len(STEPS)
        if command != "issue":
            desk.pressed_ns = meant

        def done(_: Connection, status: int, body: bytes) -> None:
            self.run.count(status, body, clock() - meant)
            if command == "call" and 200 <= status < 300 and b'"ticket":null' not in body:
                self._called[desk.hall] += 1

        line.ask(data, meant, done)

    def shown(self, event: dict[str, Any], name: str) -> None:
        """A board got an event."""
        if event["k"] not in _AT_A_WINDOW:
            return
        if pressed := self._at[name, event["window"]].pressed_ns:
            self.screen_ns.append(clock() - pressed)
        if event["k"] == "call":
            self._seen[name, event["s"]] += 1

    def promises(self) -> dict[str, int]:
        """How often each was broken since it was counted anew; all 0 is right."""
        boards = Counter(place.hall for place in self.places)
        shown: Counter[str] = Counter()
        for (name, _), count in self._seen.items():
            shown[name] += count
        wrong = sum(abs(shown[name] - self._called[name] * boards[name]) for name in self.names)
        return {
            "errors": sum(self.run.bad.values()),
            "calls_not_on_every_board": wrong,
            "calls_twice_on_a_board": sum(count > boards[name] for (name, _), count in self._seen.items()),
            "chains_broken": sum(place.screen.broken for place in self.places),
            "boards_lost": sum(bool(place.screen.lost) for place in self.places),
        }

    async def differing(self, pool: Pool) -> int:
        """Boards that show something else than the server's own board, while nothing happens."""
        wrong = 0
        for name in {place.hall for place in self.places}:
            truth = await self.product.ask(pool, "GET", f"/api/v1/halls/{name}/board")
            for place in self.places:
                if place.hall == name:
                    wrong += place.state() != truth
        return wrong

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers
