"""The analytics feed through the door: forms, acknowledgements, scope, waiting, refusals."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web

from qserver.api import events
from qserver.api.app import application
from qserver.api.events import accepted
from qserver.auth import secrets
from qserver.auth.authenticator import Authenticator
from qserver.domain.lifecycle import Role
from qserver.feed import pull
from qserver.store.answers import SYSTEM, Op
from qserver.store.store import Store
from tests.api.edge import Answer, Api
from tests.halls import small_hall

GROUP = "/api/v1/events/bi"
BY = Role.ANALYTICS


async def issue(api: Api, count: int, hall: str = "h1") -> None:
    for _ in range(count):
        await api.store.issue(Op("guide-1"), hall, "a")


async def pulled(api: Api, query: str = "", path: str = GROUP, by: Role | str = BY, **headers: str) -> Answer:
    answer = await api.ask("GET", path + query, by=by, headers=headers)
    assert answer.status == 200, answer
    return answer


async def ack(api: Api, cursor: str, by: Role | str = BY) -> Answer:
    return await api.ask("POST", GROUP + "/ack", {"cursor": cursor}, by=by)


async def test_what_happened_is_pulled_until_acknowledged(api: Api) -> None:
    made = await api.ask("PUT", GROUP, by=BY)
    assert (made.status, made.json["group"], made.json["hall"]) == (201, "bi", "h1")
    await issue(api, 3)
    first = (await pulled(api)).json
    assert [event["data"]["ticket"][-4:] for event in first["events"]] == ["A001", "A002", "A003"]
    assert (first["lag"], first["truncated"]) == (3, False)
    assert (await pulled(api)).json == first
    assert (await ack(api, first["cursor"])).json == {"cursor": first["cursor"]}
    empty = (await pulled(api)).json
    assert empty == {"events": [], "cursor": first["cursor"], "lag": 0, "truncated": False}


async def test_events_are_cloudevents(api: Api) -> None:
    await api.ask("PUT", GROUP, {"from": "start"}, by=BY)
    await issue(api, 1)
    configured, issued = (await pulled(api)).json["events"]
    assert configured["type"] == "qserver.hall.configured"
    data = issued["data"]
    at_ms, day = data.pop("at_ms"), data.pop("day")
    assert data.pop("ticket") == day.replace("-", "") + "-A001"
    assert data.items() >= {"hall": "h1", "leg": 1, "n": 1, "service": "a", "actor": "guide-1"}.items()
    assert issued["time"].endswith(f".{at_ms % 1000:03}Z")
    assert issued | {"data": {}, "time": ""} == {
        "specversion": "1.0",
        "id": f"h1:{day}:A001:1:ticket.issued:1",
        "source": "/halls/h1",
        "type": "qserver.ticket.issued",
        "time": "",
        "subject": f"{day.replace('-', '')}-A001",
        "sequence": "2",
        "partitionkey": "h1",
        "datacontenttype": "application/json",
        "data": {},
    }


async def test_the_three_forms_hold_the_same(api: Api) -> None:
    await api.ask("PUT", GROUP, {"from": "start"}, by=BY)
    await issue(api, 4)
    in_json = await pulled(api)
    assert in_json.headers["Content-Type"] == "application/json"
    packed = await pulled(api, Accept="application/msgpack")
    assert packed.headers["Content-Type"] == "application/msgpack"
    assert msgspec.msgpack.decode(packed.content) == in_json.json
    array = await pulled(api, Accept="application/cloudevents-batch+json")
    assert array.headers["Content-Type"] == "application/cloudevents-batch+json"
    assert array.json == in_json.json["events"]
    assert array.headers["Qserver-Cursor"] == in_json.json["cursor"]
    assert (array.headers["Qserver-Lag"], array.headers["Qserver-Truncated"]) == ("5", "false")


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", events.JSON),
        ("*/*", events.JSON),
        ("text/html", events.JSON),
        ("application/json, application/msgpack", events.JSON),
        ("application/msgpack, */*;q=0.1", events.MSGPACK),
        ("application/json;q=0.5, application/msgpack;q=0.9", events.MSGPACK),
        ("application/msgpack;q=0", events.JSON),
        ("application/msgpack;q=x", events.JSON),
        ("Application/CloudEvents-Batch+JSON; charset=utf-8", events.ARRAY),
    ],
)
def test_the_form_is_the_one_liked_best(header: str, form: str) -> None:
    assert accepted(header) == form


async def test_a_batch_of_thousands_is_whole(api: Api) -> None:
    await api.ask("PUT", GROUP, by=BY)
    await asyncio.gather(*(issue(api, 50) for _ in range(24)))
    batch = (await pulled(api, "?max=5000")).json
    assert [int(event["sequence"]) for event in batch["events"]] == list(range(2, 1202))
    assert len((await pulled(api)).json["events"]) == 1000, "what is given when nothing is said"


async def test_a_waiting_request_is_answered_by_the_next_event(api: Api) -> None:
    await api.ask("PUT", GROUP, by=BY)
    waiting = asyncio.create_task(pulled(api, "?wait_ms=50000"))
    while b"qserver_feed_waiting 1" not in (await api.ask("GET", "/metrics")).content:
        pass
    await issue(api, 1)
    assert [event["type"] for event in (await waiting).json["events"]] == ["qserver.ticket.issued"]


async def test_a_process_that_ends_answers_who_waits(valkey_store: Store) -> None:
    await valkey_store.configure(SYSTEM, small_hall())
    authenticator = Authenticator(valkey_store)
    await authenticator.start()
    app = application(valkey_store, authenticator)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    text = secrets.token_text(valkey_store.server_key, "t")
    await valkey_store.create_token(SYSTEM, token_id="t", role="analytics", digest=secrets.digest(text))
    session = ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}", headers={"Authorization": f"Bearer {text}"})
    try:
        assert (await session.put(GROUP)).status == 201
        waiting = asyncio.create_task(session.get(GROUP, params={"wait_ms": 50_000}))
        while app[events.FEED].watch.waiting == 0:
            await asyncio.sleep(0)
        await runner.cleanup()
        assert (await (await waiting).json())["events"] == []
    finally:
        await session.close()
        await runner.cleanup()
        await authenticator.close()


async def test_nobody_waits_for_a_client_that_has_left(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "LOOK_S", 0.01)
    await api.ask("PUT", GROUP, by=BY)
    waiting = asyncio.create_task(pulled(api, "?wait_ms=50000"))
    while b"qserver_feed_waiting 1" not in (await api.ask("GET", "/metrics")).content:
        pass
    waiting.cancel()
    while b"qserver_feed_waiting 0" not in (await api.ask("GET", "/metrics")).content:
        pass


async def test_the_group_of_a_halls_token_sees_that_hall_and_nobody_elses_group(api: Api) -> None:
    await api.store.configure(SYSTEM, small_hall("h2"))
    second = await api.token(Role.ANALYTICS, "h2")
    city = await api.token(Role.ANALYTICS, "")
    for by in (BY, second, city):
        assert (await api.ask("PUT", GROUP, by=by)).status == 201, "each scope has names of its own"
    await issue(api, 2)
    await issue(api, 1, "h2")
    seen = {}
    for name, by in {"h1": BY, "h2": second, "all": city}.items():
        seen[name] = sorted(event["source"] for event in (await pulled(api, by=by)).json["events"])
    assert seen == {"h1": ["/halls/h1"] * 2, "h2": ["/halls/h2"], "all": ["/halls/h1"] * 2 + ["/halls/h2"]}
    cursor = (await pulled(api, by=city)).json["cursor"]
    assert (await ack(api, cursor, by=second)).code == "validation"
    assert len((await pulled(api, by=second)).json["events"]) == 1


async def test_an_administrator_and_the_citys_analytics_share_their_groups(api: Api) -> None:
    city = await api.token(Role.ANALYTICS, "")
    await api.ask("PUT", GROUP, by=city)
    await issue(api, 1)
    assert (await pulled(api, by=Role.ADMIN)).json == (await pulled(api, by=city)).json


async def test_parts_of_a_group_are_acknowledged_apart(api: Api) -> None:
    await api.ask("PUT", GROUP, by=BY)
    await issue(api, 30)
    found = []
    for k in (1, 2, 3):
        batch = (await pulled(api, f"?shard={k}/3")).json
        found += [int(event["sequence"]) for event in batch["events"]]
        assert (await ack(api, batch["cursor"])).status == 200
    assert sorted(found) == list(range(2, 32))


async def test_a_removed_group_is_gone(api: Api) -> None:
    await api.ask("PUT", GROUP, by=BY)
    assert (await api.ask("DELETE", GROUP, by=BY)).status == 204
    assert (await api.ask("DELETE", GROUP, by=BY)).code == "not_found"
    assert (await api.ask("GET", GROUP, by=BY)).code == "not_found"
    cursor = "0" * 40
    assert (await api.ask("POST", GROUP + "/ack", {"cursor": cursor}, by=BY)).code == "validation"


async def test_registering_again_is_no_mistake_and_moves_nothing(api: Api) -> None:
    first = await api.ask("PUT", GROUP, by=BY)
    await issue(api, 1)
    again = await api.ask("PUT", GROUP, {"from": "start"}, by=BY)
    assert (first.status, again.status, again.json) == (201, 200, first.json)
    assert len((await pulled(api)).json["events"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", GROUP, {"from": "yesterday"}),
        ("PUT", GROUP, {"start": True}),
        ("PUT", "/api/v1/events/-bi", None),
        ("PUT", "/api/v1/events/" + "x" * 65, None),
        ("GET", GROUP + "?max=0", None),
        ("GET", GROUP + "?max=5001", None),
        ("GET", GROUP + "?max=x", None),
        ("GET", GROUP + "?wait_ms=60001", None),
        ("GET", GROUP + "?wait_ms=-1", None),
        ("GET", GROUP + "?shard=5/4", None),
        ("GET", GROUP + "?shard=0/1", None),
        ("GET", GROUP + "?from=start", None),
        ("POST", GROUP + "/ack", None),
        ("POST", GROUP + "/ack", {}),
        ("POST", GROUP + "/ack", {"cursor": ""}),
        ("POST", GROUP + "/ack", {"cursor": 1}),
        ("POST", GROUP + "/ack", {"cursor": "AAAA"}),
        ("POST", GROUP + "/ack", {"cursor": "号票"}),
        ("POST", GROUP + "/ack", {"cursor": "x" * 32_769}),
    ],
)
async def test_what_cannot_be_meant_is_refused(api: Api, method: str, path: str, body: Any) -> None:
    await api.ask("PUT", GROUP, by=BY)
    answer = await api.ask(method, path, body, by=BY)
    assert (answer.status, answer.code) == (400, "validation"), answer


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN, Role.ANALYTICS}))
async def test_only_analytics_may(api: Api, role: Role) -> None:
    for method, path in (("PUT", GROUP), ("GET", GROUP), ("DELETE", GROUP), ("POST", GROUP + "/ack")):
        assert (await api.ask(method, path, by=role)).code == "forbidden"


async def test_a_repeated_acknowledgement_is_answered_as_before(api: Api) -> None:
    await api.ask("PUT", GROUP, by=BY)
    await issue(api, 2)
    cursor = (await pulled(api)).json["cursor"]
    first = await api.ask("POST", GROUP + "/ack", {"cursor": cursor}, by=BY, key="k1")
    again = await api.ask("POST", GROUP + "/ack", {"cursor": cursor}, by=BY, key="k1")
    assert (first.json, first.replayed, again.json, again.replayed) == (
        {"cursor": cursor},
        False,
        {"cursor": cursor},
        True,
    )


async def test_the_feed_counts_itself(api: Api) -> None:
    await api.ask("PUT", GROUP, by=BY)
    await issue(api, 2)
    await pulled(api)
    assert b"\nqserver_feed_delivered_total 2\n" in (await api.ask("GET", "/metrics", by="")).content
