"""Webhooks over the interface: made, shown once, listed, tested, rotated, sent again; by admins, in their own hall."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from qserver.domain.lifecycle import Role
from qserver.hooks.hooks import Hooks
from qserver.store.answers import SYSTEM, Failed, Settlement
from tests.api.edge import Api, StartApi
from tests.halls import small_hall
from tests.hooks.receivers import answering, receiving

WEBHOOKS = "/api/v1/webhooks"
WANTED: dict[str, Any] = {"url": "https://oa.example/hook", "kinds": ["review.opened", "overtime.*"]}


async def made(api: Api, by: Role | str = Role.ADMIN, **wanted: Any) -> dict[str, Any]:
    answer = await api.ask("POST", WEBHOOKS, WANTED | wanted, by=by)
    assert answer.status == 201, answer
    found: dict[str, Any] = answer.json
    return found


async def test_its_secret_is_shown_once(api: Api) -> None:
    one = await made(api, name="督办", hall="h1")
    assert one["secret"].startswith("whsec_")
    listed = await api.ask("GET", WEBHOOKS)
    shown = {name: value for name, value in one.items() if name != "secret"}
    assert listed.json == {"webhooks": [shown]}
    assert (shown["state"], shown["sent"], shown["error"], shown["hall"]) == ("active", 0, None, "h1")
    assert b"whsec" not in listed.content and b'secret"' not in listed.content
    removed = await api.ask("DELETE", f"{WEBHOOKS}/{one['id']}")
    assert removed.json == shown and b"whsec" not in removed.content
    assert (await api.ask("GET", WEBHOOKS)).json == {"webhooks": []}
    for method, path in (("DELETE", ""), ("POST", "/rotate"), ("POST", "/enable"), ("POST", "/test"), ("GET", "/dead")):
        answer = await api.ask(method, f"{WEBHOOKS}/{one['id']}{path}")
        assert (answer.status, answer.code) == (404, "not_found"), path


async def test_a_repeated_command_shows_the_same_secret(api: Api) -> None:
    first, again = [await api.ask("POST", WEBHOOKS, WANTED, key="k") for _ in range(2)]
    assert (again.status, again.content, again.replayed) == (201, first.content, True)
    assert len((await api.ask("GET", WEBHOOKS)).json["webhooks"]) == 1
    path = f"{WEBHOOKS}/{first.json['id']}/rotate"
    rotated, again = [await api.ask("POST", path, {}, key="r") for _ in range(2)]
    assert (again.content, again.replayed) == (rotated.content, True)
    assert rotated.json["secret"] != first.json["secret"]
    assert rotated.json["previous_secret_until_ms"] > first.json["created_ms"]
    at_once = await api.ask("POST", path, {"overlap_ms": 0})
    assert at_once.json["previous_secret_until_ms"] is None
    assert len({first.json["secret"], rotated.json["secret"], at_once.json["secret"]}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://oa.example/"}, {"url": "http://user:pass@oa.example/"}, {"url": ""}, {"url": "http://127.0.0.1/"},
        {"url": "http://[fe80::1]/"}, {"url": "http://192.168.1.1/"}, {"url": "x" * 2001}, {"kinds": []},
        {"kinds": ["nothing.*"]}, {"kinds": ["ticket.flown"]}, {"kinds": ["qserver.ticket.called"]},
        {"kinds": ["Ticket.called"]}, {"kinds": ["*"] * 51}, {"hall": "H1"}, {"name": "x" * 101}, {"secret": "mine"},
    ],
)  # fmt: skip
async def test_one_that_makes_no_sense_is_not_made(api: Api, wrong: dict[str, Any]) -> None:
    answer = await api.ask("POST", WEBHOOKS, WANTED | wrong)
    assert (answer.status, answer.code) == (400, "validation"), answer
    assert (await api.ask("GET", WEBHOOKS)).json == {"webhooks": []}
    assert await api.store._topology.call("ctl", "HLEN", "q:{ctl}:groups") == 0


async def test_there_is_a_bound_and_a_hall_must_exist(api: Api) -> None:
    assert (await api.ask("POST", WEBHOOKS, WANTED | {"hall": "none"})).code == "not_found"
    answers = await asyncio.gather(*(api.ask("POST", WEBHOOKS, WANTED) for _ in range(103)))
    assert sorted({answer.status for answer in answers}) == [201, 400]
    assert len((await api.ask("GET", WEBHOOKS)).json["webhooks"]) == 100


async def test_an_admin_bound_to_a_hall_stays_in_it(api: Api) -> None:
    await api.store.configure(SYSTEM, small_hall("h2"))
    bound = await api.token(Role.ADMIN, "h1")
    for hall in ({}, {"hall": "h2"}):
        assert (await api.ask("POST", WEBHOOKS, WANTED | hall, by=bound)).code == "forbidden"
    other, every, mine = await made(api, hall="h2"), await made(api), await made(api, bound, hall="h1")
    assert [one["id"] for one in (await api.ask("GET", WEBHOOKS, by=bound)).json["webhooks"]] == [mine["id"]]
    for one in (other, every):
        for method, path in (
            ("DELETE", ""),
            ("POST", "/change"),
            ("POST", "/rotate"),
            ("POST", "/enable"),
            ("POST", "/test"),
            ("GET", "/dead"),
        ):
            answer = await api.ask(method, f"{WEBHOOKS}/{one['id']}{path}", by=bound)
            assert (answer.status, answer.code) == (404, "not_found"), path
        assert (await api.ask("POST", f"{WEBHOOKS}/{one['id']}/redeliver", {}, by=bound)).code == "not_found"
    assert len((await api.ask("GET", WEBHOOKS)).json["webhooks"]) == 3


async def test_a_test_says_what_the_receiver_answers(start_api: StartApi) -> None:
    store = (await start_api(furnish=False)).store
    hooks = Hooks(store, "any")
    api = await start_api(hooks=hooks)
    async with receiving() as receiver:
        one = await made(api, url=receiver.url)
        path = f"{WEBHOOKS}/{one['id']}/test"
        good = await api.ask("POST", path, key="t")
        assert good.json | {"took_ms": 0} == {
            "delivered": True, "id": receiver.ids[0], "status": 204, "error": None, "took_ms": 0
        }  # fmt: skip
        event = Webhook(one["secret"]).verify(receiver.came[0].body, dict(receiver.came[0].headers))
        assert event["data"]["webhook"] == one["id"]
        again = await api.ask("POST", path, key="t")
        assert again.content == good.content and again.replayed and len(set(receiver.ids)) == 1
        assert (await api.ask("POST", path)).json["id"] not in good.json["id"]
        receiver.answer = answering(503)
        bad = (await api.ask("POST", path)).json
        assert (bad["delivered"], bad["status"], bad["error"]) == (False, 503, "answered 503")
        assert (await api.ask("GET", WEBHOOKS)).json["webhooks"][0]["failed"] == 0, "nothing is recorded"
    gone = (await api.ask("POST", path)).json
    assert (gone["status"], gone["error"]) == (None, "the connection is refused")
    await hooks.stop()


async def test_a_name_that_leads_into_the_house_is_refused_by_default(api: Api) -> None:
    one = await made(api, url="http://localhost:6379/")
    answer = await api.ask("POST", f"{WEBHOOKS}/{one['id']}/test")
    assert answer.json["error"] == "the address is not allowed: webhook_targets is public"


async def test_dead_letters_are_listed_page_by_page_and_sent_again(api: Api) -> None:
    one = await made(api, hall="h1")
    store, path = api.store, f"{WEBHOOKS}/{one['id']}"
    body = msgspec.json.encode(
        {
            "id": "h1:2026-11-24:A001:1:ticket.called:2", "source": "/halls/h1", "type": "qserver.ticket.called",
            "time": "2026-11-24T00:00:00.000Z", "subject": "A001", "sequence": "7", "partitionkey": "h1",
            "data": {"at_ms": 1},
        }
    ).decode()  # fmt: skip
    await store.take_hook(SYSTEM, one["id"], "p", 1000, 1)
    events = [Failed(f"e{n}", "ticket.called", body, 1, 10, -1, "answered 500") for n in range(5)]
    await store.settle_hook(
        SYSTEM, one["id"], "p", Settlement([], events, "", [], 0, 5, 5, False, 0, False, "answered 500", 1)
    )
    info = (await api.ask("GET", WEBHOOKS)).json["webhooks"][0]
    assert (info["state"], info["dead"], info["failed"], info["error"]) == ("away", 5, 5, "answered 500")
    seen, after = [], ""
    while after is not None:
        page = (await api.ask("GET", f"{path}/dead?limit=2&after={after}")).json
        seen += page["letters"]
        after = page["next"]
    assert [letter["letter"] for letter in seen] == [1, 2, 3, 4, 5]
    assert seen[0]["event"]["type"] == "qserver.ticket.called" and seen[0]["error"] == "answered 500"
    assert (await api.ask("GET", f"{path}/dead?after=x")).code == "validation"
    assert (await api.ask("POST", f"{path}/redeliver", {"letters": [2, 4, 77]}, key="k")).json == {"letters": 2}
    again = await api.ask("POST", f"{path}/redeliver", {"letters": [2, 4, 77]}, key="k")
    assert again.json == {"letters": 2} and again.replayed
    assert (await api.ask("POST", f"{path}/redeliver", {"letters": []})).code == "validation"
    assert (await api.ask("POST", f"{path}/redeliver")).json == {"letters": 3}
    info = (await api.ask("GET", WEBHOOKS)).json["webhooks"][0]
    assert (info["dead"], info["waiting"]) == (0, 5)
    assert (await api.ask("POST", f"{path}/enable")).code == "wrong_state"


async def test_what_is_given_is_changed_and_the_rest_stays(api: Api) -> None:
    one = await made(api, name="督办", hall="h1")
    before = {name: value for name, value in one.items() if name != "secret"}
    path = f"{WEBHOOKS}/{one['id']}/change"
    for wanted in ({"kinds": ["ticket.*"]}, {"url": "https://new.example/x"}, {"name": "新办公系统"}, {}, {"name": ""}):
        answer = await api.ask("POST", path, wanted)
        before |= wanted
        assert answer.json == before and b"whsec" not in answer.content
    first, again = [await api.ask("POST", path, {"name": "k"}, key="k") for _ in range(2)]
    assert (again.content, again.replayed) == (first.content, True)
    assert (await api.ask("GET", WEBHOOKS)).json["webhooks"] == [first.json]
    await api.ask("PUT", "/api/v1/events/g", {"from": "start"})
    batch = (await api.ask("GET", "/api/v1/events/g")).json["events"]
    changed = [event for event in batch if event["type"] == "qserver.webhook.changed"]
    assert len(changed) == 5, "what changes nothing is no event"
    assert "new.example" not in str(changed)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://user:pass@oa.example/"}, {"url": "http://127.0.0.1/"}, {"url": ""}, {"kinds": []},
        {"kinds": ["nothing.*"]}, {"hall": "h1"}, {"secret": "mine"}, {"name": "x" * 101}, {"url": 5},
    ],
)  # fmt: skip
async def test_a_change_that_makes_no_sense_changes_nothing(api: Api, wrong: dict[str, Any]) -> None:
    one = await made(api)
    answer = await api.ask("POST", f"{WEBHOOKS}/{one['id']}/change", {"name": "new"} | wrong)
    assert (answer.status, answer.code) == (400, "validation"), answer
    (found,) = (await api.ask("GET", WEBHOOKS)).json["webhooks"]
    assert found == {name: value for name, value in one.items() if name != "secret"}


async def test_what_is_done_to_webhooks_is_on_record_without_where_they_lead(api: Api) -> None:
    one = await made(api, hall="h1")
    await api.ask("POST", f"{WEBHOOKS}/{one['id']}/rotate")
    await api.ask("DELETE", f"{WEBHOOKS}/{one['id']}")
    await api.ask("PUT", "/api/v1/events/g", {"from": "start"})
    batch = (await api.ask("GET", "/api/v1/events/g")).json["events"]
    found = [event for event in batch if event["type"].startswith("qserver.webhook.")]
    assert [event["type"].rpartition(".")[2] for event in found] == ["created", "rotated", "removed"]
    for event in found:
        assert event["data"]["webhook"] == one["id"] and event["data"]["of"] == "h1"
        assert "oa.example" not in str(event) and "whsec" not in str(event)


async def test_no_analytics_token_reaches_a_webhooks_group(api: Api) -> None:
    one = await made(api)
    spanning = await api.token(Role.ANALYTICS, "")
    for name in (f"webhook:{one['id']}", f"webhook%3A{one['id']}"):
        for method in ("GET", "DELETE"):
            answer = await api.ask(method, f"/api/v1/events/{name}", by=spanning)
            assert answer.code in ("not_found", "validation")
    assert len((await api.ask("GET", WEBHOOKS)).json["webhooks"]) == 1
    assert await api.store._topology.call("ctl", "HLEN", "q:{ctl}:groups") == 1
