"""A month of a large hall: 20 windows, each with 600 tickets a day, on 23 days; counted without holding them all."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pytest

from qserver.archive.reports import Reports
from qserver.archive.shelf import Head, Line, Shelf
from qserver.domain.lifecycle import State
from qserver.domain.ticket import Leg, OvertimeFlags, Rating, Ticket
from tests.archive.days import H
from tests.store.clocks import MORNING, TimedStore

WINDOWS, EACH, DAYS = 20, 600, 23
FIRST = "2026-10-01"
MIB = 1 << 20


def ticket(number: int, chance: random.Random) -> Ticket:
    """A served one at window number modulo 20."""
    wait, served = chance.randrange(1_800_000), chance.randrange(900_000)
    times: dict[str, Any] = {
        "first_called_ms": MORNING + wait, "called_ms": MORNING + wait, "started_ms": MORNING + wait,
        "finished_ms": MORNING + wait + served, "calls": 1, "held_ms": 0, "wait_ms": wait, "walk_ms": 0,
        "service_ms": served, "overtime": OvertimeFlags(wait=False, service=served > 600_000),
        "rating": Rating(score=1 + number % 5, source="active", at_ms=MORNING) if number % 3 else None,
        "window": f"w{number % WINDOWS}", "staff": f"s{number % WINDOWS}", "service": "a", "outcome": "done", "leg": 1,
        "unreliable": False,
    }  # fmt: skip
    no = f"A{number:03d}"
    return Ticket(
        id=f"{FIRST.replace('-', '')}-{no}", no=no, hall=H, day=FIRST, services=[], priority="normal", channel="guide",
        state=State.FINISHED, issued_ms=MORNING, case=None, returns=0, legs=[Leg(queued_ms=MORNING, **times)], **times,
    )  # fmt: skip


def fill(shelf: Shelf) -> list[Ticket]:
    """The same tickets on each of the days; answers them."""
    chance = random.Random(20)
    tickets = [ticket(number, chance) for number in range(1, WINDOWS * EACH + 1)]
    draft = shelf.draft(H, FIRST)
    draft.add([Line(archive=Head(hall=H, day=FIRST, as_of_ms=MORNING, changed=1, reviews_before=0))])
    draft.add(Line(ticket=one) for one in tickets)
    draft.publish()
    text = gzip.decompress((shelf.directory / H / f"{FIRST}.jsonl.gz").read_bytes())
    for number in range(2, DAYS + 1):
        day = f"{FIRST[:-2]}{number:02d}"
        moved = text.replace(FIRST.encode(), day.encode()).replace(b"20261001-", day.replace("-", "").encode() + b"-")
        (shelf.directory / H / f"{day}.jsonl.gz").write_bytes(gzip.compress(moved, 1))
    return tickets


def memory(name: str) -> int:
    """This process's memory from /proc: VmRSS now, VmHWM at its most."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith(name))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("data_server", ["valkey"], indirect=True)
async def test_a_month_of_a_large_hall_is_counted_in_little_memory(timed: TimedStore, shelf: Shelf) -> None:
    tickets = fill(shelf)
    Path("/proc/self/clear_refs").write_text("5")  # the most is counted anew from here
    before = memory("VmRSS")
    report = (await Reports(timed, shelf).month(H, "2026-10", "window"))[1]
    grown = memory("VmHWM") - before
    assert grown < 96 * MIB, "all the tickets at once would be 400 MiB"
    assert (report.totals.issued, len(report.days)) == (WINDOWS * EACH * DAYS, DAYS)
    waits = sorted(one.wait_ms for one in tickets if one.wait_ms is not None)
    middle = waits[len(waits) // 2 - 1], waits[len(waits) // 2]
    assert middle[0] <= (report.totals.wait.p50_ms or 0) <= middle[1]
    assert report.totals.wait.count == len(waits) * DAYS
    over = sum(one.overtime.service for one in tickets)
    assert report.totals.overtime.service == over * DAYS
    rows = {row.id: row for row in report.rows if row.served}
    assert {key: row.served for key, row in rows.items()} == {f"w{n}": EACH * DAYS for n in range(WINDOWS)}
