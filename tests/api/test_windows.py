"""Windows over HTTP: their sessions, and whose window it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.doors import Doors, serving_at
from tests.servers import DataServer


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


async def refused(doors: Doors, command: str, body: object = None, window: str = "w1") -> tuple[int, str]:
    return (await doors.clerk[window].post(f"windows/{window}/{command}", body)).code


async def called(doors: Doors, service: str = "a", window: str = "w1") -> Any:
    """A ticket called at the window, which is opened for it."""
    await doors.at(window, "open")
    await doors.issue(service)
    return (await doors.at(window, "call"))["ticket"]


# Sessions


async def test_a_clerk_opens_pauses_resumes_and_closes_the_window(doors: Doors) -> None:
    opened = (await doors.at("w1", "open", {"staff": "li"}))["window"]
    assert opened == {
        "id": "w1",
        "name": "一号窗口",
        "state": "idle",
        "reason": None,
        "staff": "li",
        "services": ["a", "b", "few", "shut"],
        "ticket": None,
        "leg": None,
        "service": None,
        "since_ms": doors.time.at,
        "limit_ms": None,
        "held_ms": 0,
        "rate": None,
    }
    paused = (await doors.at("w1", "pause", {"reason": "吃饭"}))["window"]
    assert (paused["state"], paused["reason"]) == ("paused", "吃饭")
    resumed = (await doors.at("w1", "resume"))["window"]
    assert (resumed["state"], resumed["reason"]) == ("idle", None)
    closed = (await doors.at("w1", "close"))["window"]
    assert (closed["state"], closed["staff"], closed["services"]) == ("closed", None, [])


async def test_a_session_may_have_services_of_its_own(doors: Doors) -> None:
    opened = await doors.at("w1", "open", {"services": ["b"]})
    assert opened["window"]["services"] == ["b"]
    await doors.issue("a")
    assert (await doors.at("w1", "call")) == {"ticket": None, "finished": None}


async def test_a_supervisor_may_do_what_a_clerk_may_with_the_session(doors: Doors) -> None:
    for command, body in (("open", {"staff": "li"}), ("pause", {"reason": "x"}), ("resume", None), ("close", None)):
        (await doors.supervisor.post(f"windows/w1/{command}", body)).ok()


async def test_opening_again_as_somebody_else_takes_the_window_over(doors: Doors) -> None:
    ticket = await called(doors)
    taken = (await doors.at("w1", "open", {"staff": "wang"}))["window"]
    assert (taken["staff"], taken["state"], taken["ticket"]) == ("wang", "called", ticket["no"])
    assert (await doors.at("w1", "start"))["ticket"]["staff"] == "wang"


async def test_a_paused_window_calls_nobody(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.at("w1", "pause", {"reason": "x"})
    await doors.issue("a")
    answer = await doors.clerk["w1"].post("windows/w1/call")
    assert answer.code == (409, "wrong_state")
    assert answer.body["state"] == "paused"


async def test_a_window_with_a_ticket_is_neither_paused_nor_closed(doors: Doors) -> None:
    await called(doors)
    assert await refused(doors, "pause", {"reason": "x"}) == (409, "window_busy")
    assert await refused(doors, "close") == (409, "window_busy")


@pytest.mark.parametrize("command", ["recall", "start", "finish", "miss", "undo", "call"])
async def test_a_closed_window_does_nothing(doors: Doors, command: str) -> None:
    assert await refused(doors, command) == (409, "window_not_open")


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("close", None),
        ("pause", {"reason": "x"}),
        ("resume", None),
        ("hold", {"reason": "x"}),
        ("unhold", {"ticket": "A001"}),
        ("transfer", {"service": "b"}),
    ],
)
async def test_a_closed_window_is_not_a_place_to_put_anything(doors: Doors, command: str, body: object) -> None:
    await doors.at("w2", "open")
    await doors.issue("a")
    await doors.at("w2", "call")
    await doors.at("w2", "hold", {"reason": "x"})
    assert await refused(doors, command, body) == (409, "window_not_open")


async def test_an_idle_window_is_not_resumed(doors: Doors) -> None:
    await doors.at("w1", "open")
    assert await refused(doors, "resume") == (409, "wrong_state")


@pytest.mark.parametrize("command", ["recall", "start", "finish", "miss", "undo"])
async def test_without_a_ticket_there_is_nothing_to_do(doors: Doors, command: str) -> None:
    await doors.at("w1", "open")
    assert await refused(doors, command) == (409, "wrong_state")


async def test_unknown_windows_and_services_are_named(doors: Doors) -> None:
    assert (await doors.supervisor.post("windows/w9/open")).code == (404, "no_such_window")
    assert (await doors.supervisor.get("windows/w9")).code == (404, "no_such_window")
    assert (await doors.supervisor.get("windows/W1")).code == (404, "no_such_window")
    assert (await doors.admin.post("windows/w9/call")).code == (404, "no_such_window")
    assert await refused(doors, "open", {"services": ["none"]}) == (404, "no_such_service")


@pytest.mark.parametrize(
    ("command", "body", "field"),
    [
        ("open", {"staff": ""}, "staff"),
        ("open", {"staff": "s" * 65}, "staff"),
        ("open", {"staff": "a\tb"}, "staff"),
        ("open", {"services": "a"}, "services"),
        ("open", {"colour": "red"}, ""),
        ("pause", {}, ""),
        ("pause", {"reason": ""}, "reason"),
        ("pause", {"reason": "r" * 201}, "reason"),
        ("call", {"ticket": 1}, "ticket"),
        ("call", {"ticket": ""}, "ticket"),
        ("call", {"finish": "yes"}, "finish"),
        ("recall", {"n": 1}, ""),
        ("finish", {"outcome": "transferred"}, "outcome"),
        ("finish", {"outcome": "expired"}, "outcome"),
        ("finish", {"outcome": ""}, "outcome"),
        ("finish", {"case": "c" * 65}, "case"),
        ("finish", {"then": "W 2"}, "then"),
        ("finish", {"then": ""}, "then"),
        ("finish", {"then_window": "w\n"}, "then_window"),
        ("finish", {"then_window": "w" * 33}, "then_window"),
        ("finish", {"then": ["b"]}, "then"),
        ("hold", {}, ""),
        ("hold", {"reason": 5}, "reason"),
        ("unhold", {}, ""),
        ("transfer", {"position": "middle", "service": "b"}, "position"),
        ("transfer", {"window": "W 2"}, "window"),
    ],
)
async def test_a_wrong_value_is_refused_with_its_field(doors: Doors, command: str, body: object, field: str) -> None:
    await doors.at("w1", "open")
    answer = await doors.clerk["w1"].post(f"windows/w1/{command}", body)
    assert answer.code == (400, "validation")
    assert answer.body.get("field", "") == field


# Whose window


async def test_a_clerk_commands_the_own_window_only(doors: Doors) -> None:
    for command in ("open", "close", "resume", "call", "recall", "start", "finish", "miss", "undo"):
        assert (await doors.clerk["w2"].post(f"windows/w1/{command}")).code == (403, "forbidden"), command
    for command, body in (("pause", {"reason": "x"}), ("hold", {"reason": "x"}), ("transfer", {"service": "b"})):
        assert (await doors.clerk["w2"].post(f"windows/w1/{command}", body)).code == (403, "forbidden"), command


async def test_what_happens_to_tickets_at_a_window_is_the_clerks_alone(doors: Doors) -> None:
    await doors.at("w1", "open")
    for client in (doors.supervisor, doors.guide, doors.kiosk, doors.pad["w1"], doors.display, doors.assessor):
        for command in ("call", "recall", "start", "finish", "miss", "undo"):
            assert (await client.post(f"windows/w1/{command}")).code == (403, "forbidden"), command
    (await doors.admin.post("windows/w1/call")).ok()


async def test_staff_see_every_window_and_devices_their_own(doors: Doors) -> None:
    for client in (doors.guide, doors.supervisor, doors.assessor, doors.clerk["w2"], doors.admin):
        windows = (await client.get("windows")).ok()["windows"]
        assert [window["id"] for window in windows] == ["w1", "w2", "w3"]
        assert (await client.get("windows/w1")).ok()["window"] == windows[0]
    screen = await doors.enter("display", "w2")
    for client in (screen, doors.pad["w2"]):
        assert [window["id"] for window in (await client.get("windows")).ok()["windows"]] == ["w2"]
        (await client.get("windows/w2")).ok()
        assert (await client.get("windows/w1")).code == (403, "forbidden")
    assert (await doors.kiosk.get("windows")).code == (403, "forbidden")
