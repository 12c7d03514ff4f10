"""Sending visits on 受审分离, over HTTP: who may, what is answered and refused, what citizen and feed are told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.doors import Doors, Got, serving_at
from tests.servers import DataServer


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


async def serving(doors: Doors, **more: object) -> str:
    """A ticket of service a in service at w1; answers its link's path."""
    await doors.at("w1", "open", {"staff": "li"})
    url = (await doors.issue("a", **more))["url"]
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    return "/api/v1" + str(url)[str(url).index("/t/") :]


async def finish(doors: Doors, body: object, key: str = "") -> Got:
    return await doors.clerk["w1"].post("windows/w1/finish", body, key)


async def test_a_finish_sends_the_visit_on_and_answers_with_its_next_leg(doors: Doors) -> None:
    await serving(doors, services=["b"])
    await doors.time.pass_ms(60_000)
    ticket = (await finish(doors, {"outcome": "accepted", "case": "C-1", "then": "few", "then_window": "w3"})).ok()[
        "ticket"
    ]
    assert (ticket["state"], ticket["service"], ticket["services"], ticket["leg"]) == ("waiting", "few", ["b"], 2)
    assert (ticket["to_window"], ticket["window"], ticket["case"]) == ("w3", None, "C-1")
    assert [(leg["service"], leg["outcome"]) for leg in ticket["legs"]] == [("a", "accepted"), ("few", None)]
    case = (await doors.supervisor.get("cases/C-1")).ok()["case"]
    assert (case["state"], case["leg"], case["window"]) == ("accepted", 1, "w1")
    await doors.at("w3", "open")
    assert (await doors.at("w3", "call"))["ticket"]["no"] == "A001"
    await doors.at("w3", "start")
    assert (await doors.at("w3", "finish"))["ticket"]["service"] == "b"


async def test_an_undone_finish_takes_the_leg_back(doors: Doors) -> None:
    await serving(doors)
    (await finish(doors, {"then": "b"})).ok()
    ticket = (await doors.at("w1", "undo"))["ticket"]
    assert (ticket["state"], ticket["leg"], ticket["services"], len(ticket["legs"])) == ("serving", 1, [], 1)
    await doors.at("w3", "open")
    assert (await doors.at("w3", "call"))["ticket"] is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"then": "none"}, (404, "no_such_service")),
        ({"then": "b", "then_window": "w9"}, (404, "no_such_window")),
        ({"then_window": "w9"}, (404, "no_such_window")),
        ({"then": "b", "case": "C-1"}, (400, "validation")),
        ({"then": "b", "outcome": "accepted"}, (400, "validation")),
        ({"then": "b", "outcome": "missed"}, (400, "validation")),
        ({"then": "b", "position": "first"}, (400, "validation")),
    ],
)
async def test_a_finish_that_is_refused_sends_nobody_on(doors: Doors, body: object, code: tuple[int, str]) -> None:
    await serving(doors)
    assert (await finish(doors, body)).code == code
    window = (await doors.clerk["w1"].get("windows/w1")).ok()["window"]
    assert (window["state"], window["ticket"], window["leg"]) == ("serving", "A001", 1)


async def test_only_a_ticket_in_service_is_sent_on(doors: Doors) -> None:
    await doors.at("w1", "open")
    await doors.issue("a")
    await doors.at("w1", "call")
    refused = await finish(doors, {"then": "b"})
    assert (refused.code, refused.body["state"]) == ((409, "wrong_state"), "called")


async def test_only_the_windows_own_clerk_sends_on(doors: Doors) -> None:
    await serving(doors)
    for client in (doors.clerk["w2"], doors.supervisor, doors.guide, doors.pad["w1"], doors.display, doors.assessor):
        assert (await client.post("windows/w1/finish", {"then": "b"})).code == (403, "forbidden")


async def test_the_same_key_sends_on_once_and_another_body_is_refused(doors: Doors) -> None:
    await serving(doors)
    first, again = [await finish(doors, {"then": "b"}, key="k") for _ in range(2)]
    assert (first.ok(), first.replayed, again.ok(), again.replayed) == (again.body, False, first.body, True)
    assert (await finish(doors, {"then": "few"}, key="k")).code == (422, "idempotency_mismatch")
    queues = (await doors.guide.get("queues")).ok()["queues"]
    assert {one["service"]: one["waiting"] for one in queues}["b"] == 1


async def test_the_holder_is_told_the_service_and_the_window_to_wait_for(doors: Doors) -> None:
    link = await serving(doors, services=["few"])
    (await finish(doors, {"then": "b", "then_window": "w1"})).ok()
    told = (await doors.nobody.get(link)).ok()
    assert (told["service_name"], told["window_name"], told["ticket"]["to_window"]) == ("社保", "一号窗口", "w1")
    assert [one["id"] for one in told["then"]] == ["few"]


async def test_the_holder_rates_the_leg_that_was_finished_while_the_visit_goes_on(doors: Doors) -> None:
    link = await serving(doors)
    (await finish(doors, {"then": "b"})).ok()
    rated = (await doors.nobody.post(f"{link}/rating", {"score": 4})).ok()["ticket"]
    assert [leg["rating"] and leg["rating"]["score"] for leg in rated["legs"]] == [4, None]
    assert (rated["state"], rated["rating"]) == ("waiting", None)


async def test_the_feed_tells_a_leg_that_was_added_from_one_that_was_asked_for(doors: Doors) -> None:
    (await doors.admin.ask("PUT", "/api/v1/events/g", b'{"from": "start"}')).ok(201)
    await serving(doors, services=["b"])
    (await finish(doors, {"then": "few", "then_window": "w3"})).ok()
    await doors.at("w3", "open")
    await doors.at("w3", "call")
    await doors.at("w3", "start")
    await doors.at("w3", "finish")
    batch = (await doors.admin.get("/api/v1/events/g?max=1000&wait_ms=0")).ok()["events"]
    told = [one["data"] for one in batch if one["type"] == "qserver.ticket.finished"]
    said = [{name: one[name] for name in ("next_service", "sent_on", "to_window") if name in one} for one in told]
    assert said == [{"next_service": "few", "sent_on": True, "to_window": "w3"}, {"next_service": "b"}]
