"""The ticket's own link over HTTP: the holder looks, leaves, postpones and rates; guessing leads nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import structs

from qserver.auth import secrets
from qserver.store.answers import SYSTEM
from tests.api.doors import Client, Doors, Got, serving_at
from tests.servers import DataServer

STANDING = {"ticket", "ahead", "wait_estimate_ms"}
NAMES = {"service_name", "service_name_en", "window_name", "window_name_en", "time_zone", "then", "reasons"}


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        yield doors


class Holder:
    """Whoever holds a ticket's link."""

    def __init__(self, nobody: Client, url: str) -> None:
        self._client = nobody
        self.path = "/api/v1/t/" + url.rpartition("/")[2]

    async def look(self) -> Got:
        return await self._client.get(self.path)

    async def post(self, command: str, body: object = None, key: str = "") -> Got:
        return await self._client.post(f"{self.path}/{command}", body, key)


async def holder(doors: Doors, service: str = "a", **more: Any) -> Holder:
    return Holder(doors.nobody, (await doors.issue(service, **more))["url"])


async def served(doors: Doors, **more: Any) -> Holder:
    await doors.at("w1", "open", {"staff": "li"})
    ticket = await doors.serve(**more)
    secret = secrets.ticket_secret(doors.store.server_key, "h1", ticket["id"])
    return Holder(doors.nobody, f"/t/{secret}")


async def test_the_holder_sees_the_ticket_and_its_place(doors: Doors) -> None:
    await doors.issue("a")
    mine = await doors.issue("a")
    answer = (await Holder(doors.nobody, mine["url"]).look()).ok()
    assert {key: answer[key] for key in STANDING} == {key: mine[key] for key in STANDING}
    assert answer["ahead"] == 1


async def test_the_holder_reads_names_and_the_halls_time(doors: Doors) -> None:
    mine = await holder(doors, services=["b"])
    answer = (await mine.look()).ok()
    assert (answer["service_name"], answer["service_name_en"], answer["window_name"]) == ("综合", "", "")
    assert answer["then"] == [{"id": "b", "name": "社保", "name_en": ""}]
    assert answer["time_zone"] == "Asia/Shanghai"
    await doors.at("w1", "open")
    await doors.at("w1", "call")
    assert (await mine.look()).ok()["window_name"] == "一号窗口"


async def test_the_holder_is_offered_what_the_hall_offers_at_its_pads(doors: Doors) -> None:
    mine = await holder(doors)
    assert (await mine.look()).ok()["reasons"] == {}, "the hall names nothing of its own"
    hall = (await doors.store.hall("h1")).hall
    rating = structs.replace(hall.rating, reasons={"1": ["太慢"]}, indicators=["态度"], indicators_en=["Attitude"])
    await doors.store.configure(SYSTEM, structs.replace(hall, rating=rating))
    reasons = (await mine.look()).ok()["reasons"]
    assert (reasons["1"], reasons["2"]) == ([["太慢", ""]], [["态度", "Attitude"]])


async def test_what_the_hall_has_given_up_has_no_name(doors: Doors) -> None:
    mine = await holder(doors)
    (await mine.post("cancel")).ok()
    hall = (await doors.store.hall("h1")).hall
    services = [one for one in hall.services if one.id != "a"]
    windows = [structs.replace(one, services=[s for s in one.services if s != "a"]) for one in hall.windows]
    await doors.store.configure(SYSTEM, structs.replace(hall, services=services, windows=windows))
    answer = (await mine.look()).ok()
    assert (answer["service_name"], answer["service_name_en"], answer["then"]) == ("", "", [])


async def test_the_holder_sees_the_window_when_called(doors: Doors) -> None:
    mine = await holder(doors)
    await doors.at("w1", "open")
    await doors.at("w1", "call")
    answer = (await mine.look()).ok()
    assert (answer["ticket"]["state"], answer["ticket"]["window"], answer["ahead"]) == ("called", "w1", 0)


async def test_a_link_that_this_server_did_not_make_is_not_found(doors: Doors) -> None:
    mine = await holder(doors)
    other = mine.path[:-1] + ("A" if mine.path[-1] != "A" else "B")
    for path in (other, "/api/v1/t/x", "/api/v1/t/h1.20261124-A001.AAAAAAAAAAAAAAAAAAAAAAAA", mine.path + ".x"):
        assert (await doors.nobody.get(path)).code == (404, "not_found")
        assert (await doors.nobody.post(f"{path}/cancel")).code == (404, "not_found")


async def test_a_link_of_a_ticket_that_is_not_kept_any_more_is_not_found(doors: Doors) -> None:
    secret = secrets.ticket_secret(doors.store.server_key, "h1", "20251124-A001")
    assert (await doors.nobody.get(f"/api/v1/t/{secret}")).code == (404, "not_found")


async def test_a_link_needs_no_token_and_a_token_adds_nothing(doors: Doors) -> None:
    mine = await holder(doors)
    assert (await doors.admin.get(mine.path)).ok() == (await mine.look()).ok()


async def test_the_holder_leaves(doors: Doors) -> None:
    mine = await holder(doors)
    answer = (await mine.post("cancel")).ok()
    assert (answer["ticket"]["state"], answer["ahead"]) == ("cancelled", 0)
    refused = await mine.post("cancel")
    assert refused.code == (409, "wrong_state")
    assert refused.body["state"] == "cancelled"


async def test_the_holder_does_not_leave_once_served(doors: Doors) -> None:
    mine = await served(doors)
    assert (await mine.post("cancel")).code == (409, "wrong_state")
    assert (await mine.post("postpone")).code == (409, "wrong_state")


async def test_the_holder_lets_others_go_first(doors: Doors) -> None:
    mine = await holder(doors)
    for _ in range(4):
        await doors.time.pass_ms(1000)
        await doors.issue("a")
    answer = (await mine.post("postpone")).ok()
    assert (answer["ticket"]["state"], answer["ahead"]) == ("waiting", 2)


async def test_the_same_key_gives_the_first_answer_again_even_when_the_queue_moved_on(doors: Doors) -> None:
    mine = await holder(doors)
    for _ in range(4):
        await doors.time.pass_ms(1000)
        await doors.issue("a")
    first = await mine.post("postpone", {}, key="k1")
    await doors.at("w1", "open")
    await doors.at("w1", "call")
    again = await mine.post("postpone", {}, key="k1")
    assert again.body == first.body
    assert (first.replayed, again.replayed) == (False, True)
    assert (await mine.look()).ok()["ahead"] == 1


async def test_the_same_key_leaves_once(doors: Doors) -> None:
    mine = await holder(doors)
    first = await mine.post("cancel", {}, key="k1")
    again = await mine.post("cancel", {}, key="k1")
    assert first.ok() == again.ok()
    assert again.replayed


async def test_the_holder_rates_a_finished_service_by_the_link(doors: Doors) -> None:
    mine = await served(doors)
    await doors.time.pass_ms(3_600_000)
    answer = (await mine.post("rating", {"score": 4, "reasons": ["效率高"], "comment": "谢谢"})).ok()
    assert answer["ticket"]["rating"] == {"score": 4, "source": "active_late", "at_ms": doors.time.at}
    assert set(answer) == STANDING | NAMES


async def test_the_same_rating_again_changes_nothing_and_another_one_is_refused(doors: Doors) -> None:
    mine = await served(doors)
    first = (await mine.post("rating", {"score": 4})).ok()
    assert (await mine.post("rating", {"score": 4})).ok() == first
    refused = await mine.post("rating", {"score": 1})
    assert refused.code == (409, "wrong_state")
    assert refused.body["state"] == "rated"
    assert (await mine.look()).ok()["ticket"]["rating"]["score"] == 4


async def test_one_service_is_not_rated_on_the_pad_and_by_the_link(doors: Doors) -> None:
    mine = await served(doors)
    item = {"rid": "r1", "ticket": "A001", "leg": 1, "score": 5, "age_ms": 0}
    (await doors.pad["w1"].post("ratings", {"items": [item]})).ok()
    assert (await mine.post("rating", {"score": 1})).code == (409, "wrong_state")


async def test_the_service_finished_last_is_meant_unless_one_is_named(doors: Doors) -> None:
    mine = await served(doors, services=["b"])
    answer = (await mine.post("rating", {"score": 3})).ok()
    assert answer["ticket"]["leg"] == 2
    assert [leg["rating"] and leg["rating"]["score"] for leg in answer["ticket"]["legs"]] == [3, None]
    assert (await mine.post("rating", {"score": 3, "leg": 2})).code == (409, "wrong_state")
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    await doors.at("w1", "finish")
    answer = (await mine.post("rating", {"score": 5, "rid": "phone-1"})).ok()
    assert [leg["rating"]["score"] for leg in answer["ticket"]["legs"]] == [3, 5]


async def test_what_is_not_finished_is_not_rated(doors: Doors) -> None:
    mine = await holder(doors)
    refused = await mine.post("rating", {"score": 5})
    assert refused.code == (409, "wrong_state")
    assert refused.body["state"] == "waiting"


async def test_a_service_is_rated_by_its_link_for_five_working_days(doors: Doors) -> None:
    mine = await served(doors)
    await doors.time.pass_ms(7 * 86_400_000)
    (await mine.post("rating", {"score": 2})).ok()
    late = await served(doors)
    await doors.time.pass_ms(8 * 86_400_000)
    assert (await late.post("rating", {"score": 2})).code == (409, "wrong_state")


async def test_the_same_key_rates_once_and_answers_alike(doors: Doors) -> None:
    mine = await served(doors)
    first = await mine.post("rating", {"score": 5}, key="k1")
    await doors.time.pass_ms(1000)
    again = await mine.post("rating", {"score": 5}, key="k1")
    assert again.body == first.ok()
    assert again.replayed
    assert (await mine.post("rating", {"score": 4}, key="k1")).code == (422, "idempotency_mismatch")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"score": 0}, "score"),
        ({"score": 6}, "score"),
        ({"score": "5"}, "score"),
        ({"score": 5, "leg": 0}, "leg"),
        ({"score": 5, "comment": "c" * 1001}, "comment"),
        ({"score": 5, "window": "w1"}, ""),
    ],
)
async def test_a_rating_of_the_wrong_form_is_refused_with_its_field(
    doors: Doors, body: dict[str, Any], field: str
) -> None:
    mine = await served(doors)
    refused = await mine.post("rating", body)
    assert refused.code == (400, "validation")
    assert refused.body.get("field", "") == field


async def test_what_the_holder_did_stands_on_record_as_the_holders(doors: Doors) -> None:
    mine = await holder(doors)
    (await mine.post("cancel")).ok()
    entries = await doors.store.read_events(doors.store.partition("h1"))
    assert b"holder:h1:20261124-A001" in entries[-1][1][b"e"]


async def test_a_public_url_goes_before_the_address_a_request_came_by(valkey: DataServer) -> None:
    async with serving_at(valkey.url, "https://hall.example/q/") as doors:
        issued = await doors.issue("a")
        assert issued["url"].startswith("https://hall.example/q/t/h1.20261124-A001.")
        assert (await doors.guide.post("tickets/A001/reprint")).ok()["url"] == issued["url"]
