"""A tiny day played for real: a server of its own, real clients, every check; and what happens to halls in use."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from displays.client import Display
from qserver.domain import hall as halls
from qserver.simulate import main as command
from qserver.simulate import trace
from qserver.simulate.doors import Doors
from qserver.simulate.own import OwnServer
from qserver.simulate.play import play
from qserver.simulate.record import Record
from qserver.simulate.stage import Stage
from qserver.simulate.world import World

TOML = """
[[halls]]
id = "north"
[[halls.services]]
id = "a"
prefix = "A"
wait_limit_s = 200
service_limit_s = 100
opens = "03:00"
closes = "03:01"
[[halls.services]]
id = "b"
prefix = "B"
[[halls.windows]]
id = "w1"
services = ["a", "b"]
[[halls.windows]]
id = "w2"
services = ["b"]
[[halls]]
id = "south"
[[halls.services]]
id = "c"
prefix = "C"
[[halls.windows]]
id = "x1"
services = ["c"]
"""
TICKETS = """arrive_s,service,priority,service_s,patience_s
0,a,normal,150,
5,a,normal,40,
10,b,normal,60,
20,a,normal,30,60
25,b,normal,20,
30,c,normal,90,
40,a,normal,20,
60,c,normal,10,
300,b,normal,30,
400,a,normal,30,
"""
WINDOWS = """at_s,window,services
0,w1,a
5,w2,b
5,x1,c
350,w1,b a
700,w1,
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "day.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "day.windows.csv").write_text(WINDOWS, encoding="utf-8")
    path = tmp_path / "day.csv"
    path.write_text(TICKETS, encoding="utf-8")
    return path


def test_a_tiny_day_with_a_server_of_its_own(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = command.main(["--trace", str(files), "--speed", "300", "--displays", "3"])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "10 issued" in told and "all 9 promises held" in told
    assert "3 boards" in told
    assert "opening hours left out" in told


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--trace", "missing.csv", "--hall", "missing.toml"], "missing.toml"),
        (["--url", "http://127.0.0.1:9"], "no token"),
    ],
)
def test_wrong_options_end_with_2(
    argv: list[str],
    error: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("QSERVER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert command.main(argv) == 2
    assert error in capsys.readouterr().err


def test_mistakes_of_a_trace_are_told_with_their_line(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.write_text(TICKETS + "500,z,normal,1,\n", encoding="utf-8")
    assert command.main(["--trace", str(files)]) == 2
    assert "day.csv:12: no hall has a service 'z'" in capsys.readouterr().err


@pytest.fixture
async def server() -> AsyncIterator[OwnServer]:
    async with OwnServer() as server:
        yield server
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_quiet_hall_is_borrowed_and_one_at_work_left_alone(files: Path, server: OwnServer) -> None:
    definitions = halls.load(files.with_suffix(".toml"))
    day = trace.read(files, definitions)
    south = definitions[1]
    async with World(server.url, Record(), "test") as world:
        for hall in definitions:
            await world.put(server.token, f"/api/v1/halls/{hall.id}", hall, dict[str, Any])
        stage = Stage(world, server.token)
        tokens = await stage._tokens(south)
        doors = Doors(world, Record(), "south", tokens)
        await doors.open("x1", ("c",))

        played = await play(day, server.url, server.token, speed=300, displays=2, seed=1)

        assert played.held, played.summary
        assert {ack.hall for ack in played.record.acks} == {"north", "south-2"}
        assert "south is at work on this server: played as south-2" in played.summary
        assert "north existed and gets its own definition back" in played.summary
        now = await world.get(server.token, "/api/v1/halls/north", dict[str, Any])
        assert (now["services"][0]["opens"], now["services"][0]["service_limit_s"]) == ("03:00", 100)
        at_work = await world.get(server.token, "/api/v1/halls/south/windows", dict[str, Any])
        assert at_work["windows"][0]["state"] == "idle"
        left = await world.get(server.token, "/api/v1/tokens", dict[str, Any])
        live = [one for one in left["tokens"] if not one["revoked_ms"] and one["name"] != "simulate test"]
        assert [one["role"] for one in live] == ["admin"], "a run takes its tokens with it"

        again = await play(day, server.url, server.token, speed=300, displays=2, seed=1)
        assert again.held, "the second run of a day counts only what it adds\n" + again.summary


async def test_a_broken_promise_is_found(files: Path, server: OwnServer) -> None:
    """Somebody else opens a window in the middle of the day: the feed has a change that none of ours acknowledged."""
    definitions = halls.load(files.with_suffix(".toml"))
    async with World(server.url, Record(), "meddler") as world:
        for hall in definitions:
            await world.put(server.token, f"/api/v1/halls/{hall.id}", hall, dict[str, Any])

        async def meddle() -> None:
            display = Display(server.url, server.token, "north")
            watching = asyncio.ensure_future(display.run())
            while not display.calls:
                await display.changed()
            watching.cancel()
            await world.post(server.token, "/api/v1/halls/north/windows/w2/open", {}, dict[str, Any])

        day = trace.read(files, definitions)
        played, _ = await asyncio.gather(play(day, server.url, server.token, speed=300, displays=1, seed=1), meddle())
    assert not played.held, played.summary
    assert "w2: 1 in the feed, never acknowledged" in played.summary
