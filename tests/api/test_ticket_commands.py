"""Commands about tickets away from the windows, queues and suspended services, over HTTP."""

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


async def test_a_waiting_ticket_is_cancelled_once(doors: Doors) -> None:
    await doors.issue("a")
    for client in (doors.guide,):
        ticket = (await client.post("tickets/A001/cancel")).ok()["ticket"]
        assert (ticket["state"], ticket["outcome"]) == ("cancelled", "cancelled")
    refused = await doors.kiosk.post("tickets/A001/cancel")
    assert refused.code == (409, "wrong_state")
    assert refused.body["state"] == "cancelled"
    assert (await doors.guide.post("tickets/A009/cancel")).code == (404, "not_found")


async def test_cancelling_a_called_ticket_frees_its_window(doors: Doors) -> None:
    await doors.at("w1", "open", {"staff": "li"})
    await doors.issue("a")
    await doors.at("w1", "call")
    (await doors.supervisor.post("tickets/A001/cancel")).ok()
    assert (await doors.supervisor.get("windows/w1")).ok()["window"]["state"] == "idle"


async def test_a_ticket_in_service_is_not_cancelled(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue("a")
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    refused = await doors.guide.post("tickets/A001/cancel")
    assert refused.code == (409, "wrong_state")
    assert refused.body["state"] == "serving"


async def test_a_missed_ticket_returns_behind_so_many_and_only_so_often(doors: Doors) -> None:
    await doors.at("w1", "open")
    for _ in range(4):
        await doors.issue("a")
        await doors.time.pass_ms(1000)
    await doors.at("w1", "call")
    await doors.at("w1", "miss")
    ticket = (await doors.guide.post("tickets/A001/return")).ok()["ticket"]
    assert (ticket["state"], ticket["returns"]) == ("waiting", 1)
    called = []
    for _ in range(4):
        called.append((await doors.at("w1", "call"))["ticket"]["no"])
        await doors.at("w1", "miss")
    assert called == ["A002", "A003", "A001", "A004"]
    refused = await doors.kiosk.post("tickets/A001/return")
    assert refused.code == (409, "wrong_state")
    assert refused.body["state"] == "missed"


async def test_a_waiting_ticket_does_not_return(doors: Doors) -> None:
    await doors.issue("a")
    assert (await doors.guide.post("tickets/A001/return")).code == (409, "wrong_state")


async def test_a_priority_given_later_moves_a_ticket_ahead(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue("a")
    await doors.time.pass_ms(1000)
    await doors.issue("a")
    body = {"priority": "elder", "reason": "八十岁"}
    ticket = (await doors.supervisor.post("tickets/A002/reprioritise", body)).ok()["ticket"]
    assert (ticket["priority"], ticket["state"]) == ("elder", "waiting")
    assert (await doors.at("w1", "call"))["ticket"]["no"] == "A002"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"priority": "elder"}, ""),
        ({"priority": "elder", "reason": ""}, "reason"),
        ({"priority": "elder", "reason": "x" * 201}, "reason"),
        ({"priority": "elder", "reason": "a\x00b"}, "reason"),
        ({"priority": "elder", "reason": "line\n"}, "reason"),
        ({"priority": "vip", "reason": "x"}, "priority"),
    ],
)
async def test_a_priority_needs_a_class_and_a_reason(doors: Doors, body: dict[str, Any], field: str) -> None:
    await doors.issue("a")
    refused = await doors.guide.post("tickets/A001/reprioritise", body)
    assert refused.code == (400, "validation")
    assert refused.body.get("field", "") == field


async def test_a_priority_is_only_for_who_waits(doors: Doors) -> None:
    await doors.issue("a")
    (await doors.guide.post("tickets/A001/cancel")).ok()
    body = {"priority": "elder", "reason": "x"}
    assert (await doors.guide.post("tickets/A001/reprioritise", body)).code == (409, "wrong_state")


async def test_a_slip_is_printed_again_with_the_same_link(doors: Doors) -> None:
    first = await doors.issue("a")
    for key in ("", "k1", "k1"):
        again = (await doors.kiosk.post("tickets/A001/reprint", {}, key=key)).ok()
        assert again == {"ticket": first["ticket"], "url": first["url"]}
    assert (await doors.kiosk.post("tickets/A002/reprint")).code == (404, "not_found")


async def test_a_reprint_under_a_key_is_the_first_answer_again(doors: Doors) -> None:
    await doors.issue("a")
    first = await doors.guide.post("tickets/A001/reprint", key="k1")
    (await doors.guide.post("tickets/A001/cancel")).ok()
    again = await doors.guide.post("tickets/A001/reprint", key="k1")
    assert again.body == first.body
    assert (first.replayed, again.replayed) == (False, True)


async def test_the_commands_about_tickets_have_their_own_people(doors: Doors) -> None:
    await doors.issue("a")
    clerk, display = doors.clerk["w1"], doors.display
    priority = {"priority": "elder", "reason": "x"}
    assert (await clerk.post("tickets/A001/cancel")).code == (403, "forbidden")
    assert (await display.post("tickets/A001/return")).code == (403, "forbidden")
    assert (await doors.kiosk.post("tickets/A001/reprioritise", priority)).code == (403, "forbidden")
    assert (await doors.supervisor.post("tickets/A001/reprint")).code == (403, "forbidden")
    assert (await clerk.post("tickets/A001/return")).code == (409, "wrong_state")


async def test_a_command_that_takes_nothing_takes_no_unknown_field(doors: Doors) -> None:
    await doors.issue("a")
    assert (await doors.guide.post("tickets/A001/cancel", {"why": "x"})).code == (400, "validation")
    (await doors.guide.post("tickets/A001/cancel", {})).ok()


# Queues and services


async def test_queues_tell_what_a_citizen_may_know_before_taking_a_ticket(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue("a")
    for client in (doors.kiosk, doors.display, doors.pad["w1"], doors.guide, doors.assessor, doors.clerk["w1"]):
        queues = {queue["service"]: queue for queue in (await client.get("queues")).ok()["queues"]}
        assert list(queues) == ["a", "b", "few", "shut"]
        assert (queues["a"]["waiting"], queues["a"]["open_windows"], queues["a"]["open"]) == (1, 1, True)
        assert len(queues["a"]["wait_estimate_ms"]) == 2
        assert (queues["shut"]["open"], queues["shut"]["reason"]) == (False, "hours")


async def test_a_suspended_service_issues_nothing_and_still_serves(doors: Doors) -> None:
    await doors.issue("a")
    suspended = await doors.guide.post("services/a/suspend", {"reason": "系统维护"})
    assert suspended.ok() == {"service": "a", "suspended": True, "reason": "系统维护"}
    refused = await doors.guide.post("tickets", {"service": "a"})
    assert refused.code == (409, "service_closed")
    assert refused.body["reason"] == "suspended"
    await doors.at("w1", "open")
    assert (await doors.at("w1", "call"))["ticket"]["no"] == "A001"
    assert (await doors.supervisor.post("services/a/resume")).ok() == {
        "service": "a",
        "suspended": False,
        "reason": None,
    }
    await doors.issue("a")


async def test_a_service_is_suspended_and_resumed_once(doors: Doors) -> None:
    assert (await doors.guide.post("services/a/resume")).code == (409, "wrong_state")
    (await doors.guide.post("services/a/suspend", {"reason": "x"})).ok()
    refused = await doors.guide.post("services/a/suspend", {"reason": "x"})
    assert refused.code == (409, "wrong_state")
    assert refused.body["state"] == "suspended"


async def test_suspending_needs_a_service_a_reason_and_the_right_people(doors: Doors) -> None:
    assert (await doors.guide.post("services/none/suspend", {"reason": "x"})).code == (404, "no_such_service")
    assert (await doors.guide.post("services/none/resume")).code == (404, "no_such_service")
    assert (await doors.guide.post("services/a/suspend")).code == (400, "validation")
    for client in (doors.clerk["w1"], doors.kiosk, doors.display):
        assert (await client.post("services/a/suspend", {"reason": "x"})).code == (403, "forbidden")
        assert (await client.post("services/a/resume")).code == (403, "forbidden")
