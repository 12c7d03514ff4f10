"""The hall board and the live figures over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from qserver.api.messages import BoardAnswer, StatsAnswer
from tests.api.doors import DAY, Doors, serving_at
from tests.servers import DataServer


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


async def test_the_board_shows_calls_windows_and_who_waits(doors: Doors) -> None:
    await doors.at("w1", "open", {"staff": "li"})
    await doors.issue("a")
    await doors.issue("a")
    await doors.at("w1", "call")
    answer = (await doors.display.get("board")).ok()
    board = answer["board"]
    assert board["hall"] == "h1"
    assert board["waiting"] == {"a": 1, "b": 0, "few": 0, "shut": 0}
    assert board["windows"][0] == {"id": "w1", "name": "一号窗口", "state": "called", "ticket": "A001"}
    assert board["calls"] == [
        {"s": answer["s"], "ticket": "A001", "window": "w1", "service": "a", "n": 1, "at_ms": doors.time.at}
    ]
    assert board["notices"] == []
    assert "-" in answer["ep"]


async def test_the_board_has_the_form_that_the_sockets_send(doors: Doors) -> None:
    msgspec.convert((await doors.display.get("board")).ok(), BoardAnswer)
    msgspec.convert((await doors.supervisor.get("stats")).ok(), StatsAnswer)


async def test_the_board_tells_nothing_of_staff_or_people(doors: Doors) -> None:
    await doors.at("w1", "open", {"staff": "li"})
    await doors.issue("a", person="p1", phone="13800000000")
    text = msgspec.json.encode((await doors.display.get("board")).ok()).decode()
    assert '"li"' not in text
    assert "13800000000" not in text


async def test_the_board_keeps_the_last_twenty_calls_newest_first(doors: Doors) -> None:
    await doors.at("w1", "open")
    for _ in range(22):
        await doors.issue("a")
        await doors.at("w1", "call")
        await doors.at("w1", "miss")
    calls = (await doors.display.get("board")).ok()["board"]["calls"]
    assert [call["ticket"] for call in calls] == [f"A{number:03d}" for number in range(22, 2, -1)]


async def test_every_role_of_the_hall_sees_the_board(doors: Doors) -> None:
    analytics = await doors.enter("analytics")
    for client in (
        doors.guide,
        doors.kiosk,
        doors.supervisor,
        doors.assessor,
        doors.clerk["w1"],
        doors.pad["w1"],
        analytics,
    ):
        (await client.get("board")).ok()
    stranger = await doors.enter("display", hall="h2")
    assert (await stranger.get("board")).code == (403, "forbidden")
    assert (await doors.nobody.get("board")).code == (401, "unauthorized")


async def test_live_figures_count_the_day(doors: Doors) -> None:
    await doors.at("w1", "open", {"staff": "li"})
    await doors.serve()
    await doors.issue("a")
    await doors.time.pass_ms(30_000)
    answer = (await doors.supervisor.get("stats")).ok()
    stats = answer["stats"]
    assert (stats["day"], stats["now_ms"], stats["open_reviews"]) == (DAY, doors.time.at, 0)
    figures = stats["services"]["a"]
    assert (figures["issued"], figures["finished"], figures["waiting"]) == (2, 1, 1)
    assert (figures["wait_sum_ms"], figures["service_sum_ms"]) == (120_000, 300_000)
    assert figures["longest_wait_ms"] == 30_000
    assert [window["id"] for window in stats["windows"]] == ["w1", "w2", "w3"]
    assert answer["s"] > 0


async def test_live_figures_are_for_supervisors_and_assessors(doors: Doors) -> None:
    for client in (doors.supervisor, doors.assessor, doors.admin):
        (await client.get("stats")).ok()
    for client in (doors.guide, doors.display, doors.clerk["w1"], doors.pad["w1"]):
        assert (await client.get("stats")).code == (403, "forbidden")


@pytest.mark.parametrize("path", ["board", "stats", "queues", "windows", "reviews"])
async def test_a_hall_that_is_not_there_has_nothing_to_show(doors: Doors, path: str) -> None:
    assert (await doors.admin.get(f"/api/v1/halls/h9/{path}")).code == (404, "not_found")


@pytest.mark.parametrize("path", ["board", "stats", "queues", "windows", "windows/w1", "tickets/A001"])
async def test_a_question_nobody_asks_here_is_refused(doors: Doors, path: str) -> None:
    assert (await doors.admin.get(f"{path}?colour=red")).code == (400, "validation")
