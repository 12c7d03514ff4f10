"""Tickets over HTTP: taking one, looking at one, listing the day's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
import pytest

from qserver.api import messages
from qserver.auth import secrets
from qserver.domain.lifecycle import State
from qserver.store.records import TicketRecord
from tests.api.doors import DAY, Doors, serving_at
from tests.servers import DataServer


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


# Taking a ticket


async def test_a_guide_takes_a_ticket_and_is_told_the_place_in_the_queue(doors: Doors) -> None:
    first = await doors.issue("a")
    second = (await doors.guide.post("tickets", {"service": "a"})).ok(201)
    assert first["ticket"]["no"] == "A001"
    assert second["ticket"] | {"legs": None} == {
        "id": "20261124-A002",
        "no": "A002",
        "hall": "h1",
        "day": DAY,
        "service": "a",
        "services": [],
        "to_window": None,
        "priority": "normal",
        "channel": "guide",
        "state": "waiting",
        "leg": 1,
        "window": None,
        "staff": None,
        "issued_ms": doors.time.at,
        "first_called_ms": None,
        "called_ms": None,
        "started_ms": None,
        "finished_ms": None,
        "calls": 0,
        "held_ms": 0,
        "wait_ms": None,
        "walk_ms": None,
        "service_ms": None,
        "overtime": {"wait": False, "service": False},
        "rating": None,
        "outcome": None,
        "case": None,
        "returns": 0,
        "unreliable": False,
        "hold_since_ms": None,
        "legs": None,
    }
    assert len(second["ticket"]["legs"]) == 1
    assert (first["ahead"], second["ahead"]) == (0, 1)
    low, high = second["wait_estimate_ms"]
    assert 0 < low < high


async def test_the_url_leads_to_the_ticket_through_the_address_the_request_came_by(doors: Doors) -> None:
    answer = await doors.issue("a")
    assert answer["url"].startswith(f"{doors.base}/t/h1.20261124-A001.")
    secret = answer["url"].rpartition("/")[2]
    assert secrets.read_ticket_secret(doors.store.server_key, secret) == ("h1", "20261124-A001")


async def test_every_wish_about_a_ticket_is_recorded(doors: Doors) -> None:
    body = {
        "service": "a",
        "services": ["b", "few"],
        "priority": "elder",
        "channel": "appointment",
        "window": "w2",
        "person": "zhang san",
        "phone": "+86 138-0000-0000",
    }
    ticket = (await doors.guide.post("tickets", body)).ok(201)["ticket"]
    assert (ticket["services"], ticket["priority"], ticket["channel"]) == (["b", "few"], "elder", "appointment")


async def test_the_channel_is_the_tokens_own_unless_said_otherwise(doors: Doors) -> None:
    assert (await doors.issue("a"))["ticket"]["channel"] == "guide"
    assert (await doors.kiosk.post("tickets", {"service": "a"})).ok(201)["ticket"]["channel"] == "kiosk"
    assert (await doors.issue("a", channel="phone"))["ticket"]["channel"] == "phone"


async def test_a_persons_id_is_kept_only_hashed_and_shown_to_nobody(doors: Doors, valkey: DataServer) -> None:
    answer = await doors.issue("a", person="110101199003071234", phone="13800000000")
    assert "110101199003071234" not in msgspec.json.encode(answer).decode()
    assert "13800000000" not in msgspec.json.encode(answer).decode()
    for key in valkey.ask("KEYS", "*"):
        for command in ("DUMP",):
            assert b"110101199003071234" not in (valkey.ask(command, key) or b"")
    tag = doors.store.tag(doors.store.partition("h1"))
    packed = valkey.ask("HGET", f"q:{{{tag}}}:h:h1:t", "20261124-A001")
    record = msgspec.msgpack.decode(packed, type=TicketRecord)
    assert record.person == secrets.person_hash(doors.store.server_key, "h1", "110101199003071234")


async def test_the_same_person_holds_one_ticket_per_service(doors: Doors) -> None:
    await doors.issue("a", person="p1")
    refused = await doors.guide.post("tickets", {"service": "a", "person": "p1"})
    assert refused.code == (409, "already_waiting")
    assert refused.body["ticket"] == "A001"
    await doors.issue("b", person="p1")
    await doors.issue("a", person="p2")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"service": "none"}, (404, "no_such_service")),
        ({"service": "a", "services": ["none"]}, (404, "no_such_service")),
        ({"service": "a", "window": "w9"}, (404, "no_such_window")),
        ({"service": "shut"}, (409, "service_closed")),
    ],
)
async def test_what_the_hall_does_not_have_or_give_now_is_refused(
    doors: Doors, body: dict[str, Any], code: tuple[int, str]
) -> None:
    assert (await doors.guide.post("tickets", body)).code == code


async def test_a_quota_is_used_up_once(doors: Doors) -> None:
    await doors.issue("few")
    assert (await doors.guide.post("tickets", {"service": "few"})).code == (409, "quota_reached")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"service": 5}, "service"),
        ({"service": "A B"}, "service"),
        ({"service": "a", "colour": "red"}, ""),
        ({"service": "a", "services": "b"}, "services"),
        ({"service": "a", "services": ["a"] * 21}, "services"),
        ({"service": "a", "services": ["a", "B"]}, "services[1]"),
        ({"service": "a", "priority": "vip"}, "priority"),
        ({"service": "a", "priority": ""}, "priority"),
        ({"service": "a", "channel": "pigeon"}, "channel"),
        ({"service": "a", "window": "W1"}, "window"),
        ({"service": "a", "person": ""}, "person"),
        ({"service": "a", "person": "p" * 129}, "person"),
        ({"service": "a", "phone": "12"}, "phone"),
        ({"service": "a", "phone": "call me"}, "phone"),
        ({"service": "a", "phone": "1380000\n"}, "phone"),
        ([], ""),
        ("a", ""),
    ],
)
async def test_a_wrong_value_is_refused_with_its_field(doors: Doors, body: object, field: str) -> None:
    refused = await doors.guide.post("tickets", body)
    assert refused.code == (400, "validation")
    assert refused.body.get("field", "") == field


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"service": "\\ud800"}', b"null", b"[" * 5000])
async def test_what_is_no_json_is_refused(doors: Doors, content: bytes) -> None:
    assert (await doors.guide.ask("POST", "tickets", content)).code == (400, "validation")


async def test_absent_and_null_are_the_same_wish(doors: Doors) -> None:
    nothing = dict.fromkeys(("services", "channel", "window", "person", "phone"))
    assert (await doors.issue("a", **nothing))["ticket"]["channel"] == "guide"


async def test_the_same_key_gives_the_same_ticket_url_and_place_again(doors: Doors) -> None:
    first = await doors.guide.post("tickets", {"service": "a", "person": "p1"}, key="k1")
    await doors.issue("a")
    again = await doors.guide.post("tickets", {"service": "a", "person": "p1"}, key="k1")
    assert (first.status, first.replayed) == (201, False)
    assert (again.status, again.replayed) == (201, True)
    assert again.body == first.body


async def test_the_same_key_with_another_body_is_refused(doors: Doors) -> None:
    await doors.guide.post("tickets", {"service": "a"}, key="k1")
    assert (await doors.guide.post("tickets", {"service": "b"}, key="k1")).code == (422, "idempotency_mismatch")


async def test_a_refusal_is_kept_under_its_key_too(doors: Doors) -> None:
    await doors.issue("few")
    for replayed in (False, True):
        got = await doors.guide.post("tickets", {"service": "few"}, key="k1")
        assert got.code == (409, "quota_reached")
        assert got.replayed is replayed


async def test_only_guides_kiosks_and_the_admin_take_tickets(doors: Doors) -> None:
    for client in (doors.supervisor, doors.clerk["w1"], doors.display, doors.pad["w1"], doors.assessor):
        assert (await client.post("tickets", {"service": "a"})).code == (403, "forbidden")
    assert (await doors.nobody.post("tickets", {"service": "a"})).code == (401, "unauthorized")
    (await doors.admin.post("tickets", {"service": "a"})).ok(201)


async def test_a_guide_of_another_hall_is_refused(doors: Doors) -> None:
    stranger = await doors.enter("guide", hall="h2")
    assert (await stranger.post("tickets", {"service": "a"})).code == (403, "forbidden")


async def test_a_hall_that_does_not_exist_is_not_found(doors: Doors) -> None:
    path = "/api/v1/halls/h9/tickets"
    assert (await doors.admin.post(path, {"service": "a"})).code == (404, "not_found")
    assert (await doors.admin.get(path)).code == (404, "not_found")


# Looking


async def test_a_ticket_is_found_by_its_number_and_by_its_id(doors: Doors) -> None:
    issued = (await doors.issue("a"))["ticket"]
    for name in ("A001", "20261124-A001"):
        assert (await doors.supervisor.get(f"tickets/{name}")).ok() == {"ticket": issued}


@pytest.mark.parametrize("name", ["A002", "20261123-A001", "a", "..", "%00", "x" * 100])
async def test_a_ticket_that_is_not_there_is_not_found(doors: Doors, name: str) -> None:
    await doors.issue("a")
    assert (await doors.guide.get(f"tickets/{name}")).code[0] == 404


async def test_tickets_are_listed_in_order_of_issue_page_by_page(doors: Doors) -> None:
    issued = [(await doors.issue(service))["ticket"]["no"] for service in "aabab"]
    listed: list[str] = []
    after = ""
    while after is not None:
        page = (await doors.guide.get(f"tickets?limit=2&after={after}")).ok()
        assert len(page["tickets"]) <= 2
        listed += [ticket["no"] for ticket in page["tickets"]]
        after = page["next"]
    assert listed == issued == ["A001", "A002", "B001", "A003", "B002"]


async def test_tickets_are_listed_by_state_and_service(doors: Doors) -> None:
    for service in "aab":
        await doors.issue(service)
    (await doors.guide.post("tickets/A001/cancel")).ok()

    async def numbers(query: str) -> list[str]:
        return [ticket["no"] for ticket in (await doors.clerk["w1"].get(f"tickets?{query}")).ok()["tickets"]]

    assert await numbers("state=waiting") == ["A002", "B001"]
    assert await numbers("state=cancelled") == ["A001"]
    assert await numbers("service=b") == ["B001"]
    assert await numbers("state=&service=&after=") == ["A001", "A002", "B001"]
    assert await numbers("service=b&state=cancelled") == []


async def test_yesterdays_tickets_are_not_listed_but_found_by_id(doors: Doors) -> None:
    await doors.issue("a")
    await doors.time.pass_ms(86_400_000)
    await doors.issue("b")
    assert [t["no"] for t in (await doors.guide.get("tickets")).ok()["tickets"]] == ["B001"]
    assert (await doors.guide.get("tickets/20261124-A001")).ok()["ticket"]["state"] == "expired"
    assert (await doors.guide.get("tickets/A001")).code == (404, "not_found")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "state=lost", "after=x", "colour=red", "state=waiting&state=held"]
)
async def test_a_wrong_question_about_tickets_is_refused(doors: Doors, query: str) -> None:
    assert (await doors.guide.get(f"tickets?{query}")).code == (400, "validation")


@pytest.mark.parametrize("service", ["zz", "none", "A", "a%20b"])
async def test_tickets_of_a_service_that_the_hall_does_not_have_are_no_such_service(doors: Doors, service: str) -> None:
    assert (await doors.guide.get(f"tickets?service={service}")).code == (404, "no_such_service")


async def test_tickets_are_for_those_who_work_with_them(doors: Doors) -> None:
    await doors.issue("a")
    for client in (doors.guide, doors.clerk["w2"], doors.supervisor, doors.assessor, doors.admin):
        (await client.get("tickets")).ok()
        (await client.get("tickets/A001")).ok()
    for client in (doors.kiosk, doors.display, doors.pad["w1"]):
        assert (await client.get("tickets")).code == (403, "forbidden")
        assert (await client.get("tickets/A001")).code == (403, "forbidden")


def test_the_states_one_may_ask_for_are_the_life_cycles() -> None:
    assert set(get_args(messages.StateFilter)) == {"", *State}
