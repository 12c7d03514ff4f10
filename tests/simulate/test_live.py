"""What is seen while a day is played: counts that follow the record, the longest queues first."""

import io
from typing import cast

from rich.console import Console

from qserver.domain import hall as halls
from qserver.simulate.clock import Clock
from qserver.simulate.doors import Doors
from qserver.simulate.live import QUEUES, Watch
from qserver.simulate.people import Floor
from qserver.simulate.record import Ack, Board, Record
from qserver.simulate.trace import Arrival, Day

HALL = halls.parse(
    {
        "id": "north",
        "name": "北厅",
        "services": [{"id": f"s{n}", "prefix": "A"} for n in range(20)],
        "windows": [{"id": "w1", "services": ["s1"]}],
    }
)


def watch() -> tuple[Watch, Record, Floor]:
    record, clock = Record(), Clock(0, 60)
    floor = Floor(clock, cast(Doors, None), record, HALL, [], 1e6, seed=1)
    day = Day((HALL,), (Arrival(0, "north", "s1", "normal", 60, None),) * 7, (), "x")
    return Watch(day, clock, [floor], record, io.StringIO()), record, floor


def test_the_line_follows_the_record() -> None:
    it, record, floor = watch()
    record.acks += [Ack("north", "ticket.issued")] * 3
    assert "issued 3/7" in it.line()
    record.acks += [Ack("north", "ticket.issued"), Ack("north", "ticket.finished")]
    record.boards = [Board("north", "b1", {("A001", 1): (0.0, 12.0)})]
    floor.waiting.update(s1=5)
    line = it.line()
    assert "issued 4/7" in line and "finished 1" in line and "waiting 5" in line and "p99 12 ms" in line


def test_the_longest_queues_come_first_and_empty_ones_not_at_all() -> None:
    it, _, floor = watch()
    floor.waiting.update({f"s{n}": n for n in range(20)})
    out = io.StringIO()
    Console(file=out, width=100).print(it._queues())
    rows = out.getvalue().splitlines()[1:]
    assert len(rows) == QUEUES
    assert rows[0].split() == ["北厅", "s19", "19"] and rows[-1].split() == ["北厅", "s8", "8"]
