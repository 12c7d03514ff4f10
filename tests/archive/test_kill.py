"""The process is killed at any line while it archives: no day is half there, and none leaves Redis before it is."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest

from qserver.archive.archiver import Archiver
from qserver.archive.shelf import Line, Shelf
from qserver.store.topology import Topology
from tests.archive.days import DAY_MS, H, day, furnish, settle
from tests.servers import DataServer
from tests.store.clocks import MORNING, TimedStore

TUESDAY = "2026-11-24"
POINTS = 14
SOURCE = Path(__file__).parents[2]


async def dying(url: str, directory: Path, at: int) -> tuple[int, str]:
    """Runs an archiver that dies at a line; answers its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.archive.dying", url, str(directory), str(at),
        cwd=SOURCE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.timeout(180)
async def test_a_process_killed_at_any_line_leaves_each_day_as_it_was_or_as_it_shall_be(
    valkey: DataServer, tmp_path: Path
) -> None:
    topology = Topology.from_url(valkey.url)
    await topology.open()
    store = TimedStore(topology)
    await store.start()
    await furnish(store)
    await day(store, random.Random(9), 0)
    await store.pass_ms(DAY_MS)
    await settle(store)
    shelf = Shelf(tmp_path / "archive")
    shelf.open()
    await store.register_archive(shelf.id)
    await store.set(MORNING + 10 * DAY_MS)
    await settle(store)

    spare = Shelf(tmp_path / "spare")
    code, said = await dying(valkey.url, spare.directory, 0)
    assert code == 0
    spare.open()
    whole = [line for line in spare.lines(H, TUESDAY) if line.archive is None]
    assert sum(line.ticket is not None for line in whole) == 12
    lines = int(said)

    states: list[str] = []
    for at in sorted({1 + lines * n // POINTS for n in range(POINTS)} | {lines - 3, lines - 12, lines - 20}):
        assert (await dying(valkey.url, shelf.directory, at))[0] == -signal.SIGKILL
        await settle(store)
        found: list[Line] = [line for line in shelf.lines(H, TUESDAY) if line.archive is None]
        held = TUESDAY not in (await store.ledger(H)).days
        assert found in ([], whole), at
        assert bool(await store.day_tickets(H, TUESDAY)) or (found == whole and held), at
        states.append(f"{bool(found)} {held}")
        if held:
            break
    assert "False False" in states and "True False" in states, "it died before and after the file was in its place"
    shelf.open()
    await Archiver(store, shelf).once()
    await settle(store)
    assert await store.day_tickets(H, TUESDAY) == []
    assert [line for line in shelf.lines(H, TUESDAY) if line.archive is None] == whole
    assert [path.name for path in (shelf.directory / H).iterdir()] == [f"{TUESDAY}.jsonl.gz"], "nothing half is left"
    await store.set(0)
    await store.close()
