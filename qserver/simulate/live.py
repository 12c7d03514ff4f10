"""What somebody sees while a day is played: a progress bar, the queues and the throughput; plain lines without a
terminal. Only looks at the record and the floors.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from .clock import Clock
from .people import Floor
from .record import Record
from .report import spread
from .trace import Day

REFRESH_S = 0.5
PLAIN_EVERY_S = 10.0
"""Seconds between two lines when nobody sits at a terminal."""
QUEUES = 12
"""How many of the longest queues are shown."""


class Watch:
    """Follows a run until cancelled."""

    def __init__(self, day: Day, clock: Clock, floors: Sequence[Floor], record: Record, out: TextIO) -> None:
        self._day = day
        self._clock = clock
        self._floors = floors
        self._record = record
        self._out = out
        self._read = 0  # acks counted so far
        self._kinds: Counter[str] = Counter()
        self._before = (0.0, 0)
        self._rate = 0.0

    async def run(self) -> None:
        """Shows the day as it goes."""
        if self._out.isatty():
            await self._picture()
        else:
            await self._lines()

    def _count(self) -> None:
        """Brings the counts up to date; only what is new is looked at."""
        new = self._record.acks[self._read :]
        self._read += len(new)
        self._kinds.update(ack.kind for ack in new)
        at, commands = self._before
        now = time.monotonic()
        if now - at >= 1:
            self._rate = (self._record.commands - commands) / (now - at) if at else 0.0
            self._before = (now, self._record.commands)

    def line(self) -> str:
        """The state of the day in one line."""
        self._count()
        kinds = self._kinds
        waiting = sum(floor.waiting.total() for floor in self._floors)
        serving = sum(floor.serving for floor in self._floors)
        screen = spread(late for board in self._record.boards[:4] for _, late in [*board.shown.values()][-200:])
        return (
            f"取号 issued {kinds['ticket.issued']}/{len(self._day.arrivals)}  "
            f"等候 waiting {waiting}  办理中 serving {serving}  办结 finished {kinds['ticket.finished']}  "
            f"{self._rate:.0f} commands/s  到屏 to screen p99 {screen.p99:.0f} ms"
        )

    def _time(self) -> str:
        seconds = int(self._clock.now_s)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    async def _lines(self) -> None:
        while True:
            await asyncio.sleep(PLAIN_EVERY_S)
            print(f"{self._time()}  {self.line()}", file=self._out, flush=True)

    async def _picture(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.percentage:.0f}%")
        bar = Progress(*columns)
        task = bar.add_task("", total=max(1.0, self._day.ends_s - self._day.begins_s))
        console = Console(file=self._out)
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while True:
                bar.update(task, completed=self._clock.now_s - self._day.begins_s, description=self._time())
                live.update(Group(bar, self.line(), self._queues()))
                await asyncio.sleep(REFRESH_S)

    def _queues(self) -> Table:
        table = Table(box=None, padding=(0, 2), expand=False)
        for title in ("大厅 hall", "事项 service", "等候 waiting"):
            table.add_column(title, justify="right" if title.startswith("等候") else "left")
        found = [
            (count, floor.hall.name or floor.hall.id, service)
            for floor in self._floors for service, count in floor.waiting.items() if count
        ]  # fmt: skip
        for count, hall, service in sorted(found, reverse=True)[:QUEUES]:
            table.add_row(hall, service, str(count))
        return table


def output() -> TextIO:
    """Where the live view goes: beside the summary, so that this can be piped."""
    return sys.stderr
