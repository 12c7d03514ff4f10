"""Halls over HTTP: made, read, changed only as they were read; notices."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM
from tests.api.edge import Api
from tests.halls import small_hall

H1, H2 = "/api/v1/halls/h1", "/api/v1/halls/h2"


def definition(hall: str = "h2", **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(small_hall(hall, **changes))
    return found


async def test_a_hall_is_made_and_changed(api: Api) -> None:
    made = await api.ask("PUT", H2, definition())
    assert made.status == 201
    assert made.json["id"] == "h2"
    again = await api.ask("PUT", H2, definition())
    assert (again.status, again.headers["ETag"]) == (200, made.headers["ETag"])
    changed = await api.ask("PUT", H2, definition(name="新名"))
    assert changed.status == 200 and changed.headers["ETag"] != made.headers["ETag"]
    read = await api.ask("GET", H2)
    assert (read.json, read.headers["ETag"]) == (changed.json, changed.headers["ETag"])


async def test_names_default_to_ids(api: Api) -> None:
    small = {
        "id": "h2",
        "services": [{"id": "x", "prefix": "X"}],
        "windows": [{"id": "w1", "services": ["x"]}],
    }
    made = (await api.ask("PUT", H2, small)).json
    assert (made["name"], made["services"][0]["name"], made["windows"][0]["name"]) == ("h2", "x", "w1")
    assert made["time_zone"] == "Asia/Shanghai" and made["day_starts"] == "04:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "h3"},
        {"unknown": 1},
        {"services": []},
        {"services": [{"id": "a", "prefix": "A"}, {"id": "a", "prefix": "B"}]},
        {"windows": [{"id": "w1", "services": ["none"]}]},
        {"time_zone": "Mars/Olympus"},
        {"day_starts": "25:00"},
        {"windows": "all"},
    ],
)
async def test_a_definition_with_mistakes_changes_nothing(api: Api, changes: dict[str, Any]) -> None:
    answer = await api.ask("PUT", H2, definition() | changes)
    assert (answer.status, answer.code) == (400, "validation")
    assert answer.json["detail"]
    assert (await api.ask("GET", H2)).code == "not_found"


async def test_only_what_was_read_is_changed(api: Api) -> None:
    tag = (await api.ask("PUT", H2, definition())).headers["ETag"]
    newer = (await api.ask("PUT", H2, definition(name="one"), headers={"If-Match": tag})).headers["ETag"]
    for header in (tag, '"none"', "none", f"W/{newer}", f'{tag}, "other"', ""):
        answer = await api.ask("PUT", H2, definition(name="two"), headers={"If-Match": header})
        assert (answer.status, answer.code) == (412, "precondition_failed"), header
    assert (await api.ask("GET", H2)).json["name"] == "one"
    answer = await api.ask("PUT", H2, definition(name="two"), headers={"If-Match": f'"other", {newer}'})
    assert answer.status == 200
    assert (await api.ask("PUT", H2, definition(name="three"), headers={"If-Match": "*"})).status == 200
    for header in ("*", tag):
        answer = await api.ask("PUT", "/api/v1/halls/h3", definition("h3"), headers={"If-Match": header})
        assert answer.code == "precondition_failed"


async def test_of_two_who_change_the_same_one_wins(api: Api) -> None:
    tag = (await api.ask("PUT", H2, definition())).headers["ETag"]
    answers = await asyncio.gather(
        *(api.ask("PUT", H2, definition(name=f"n{n}"), headers={"If-Match": tag}) for n in range(6))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 5


async def test_what_did_not_change_is_not_sent_again(api: Api) -> None:
    tag = (await api.ask("GET", H1)).headers["ETag"]
    for header in (tag, "*", f'"x", W/{tag}'):
        answer = await api.ask("GET", H1, headers={"If-None-Match": header})
        assert (answer.status, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert (await api.ask("GET", H1, headers={"If-None-Match": '"x"'})).status == 200


async def test_what_is_in_use_stays(api: Api) -> None:
    assert (await api.ask("POST", f"{H1}/windows/w1/open", by=Role.CLERK)).status == 200
    body = definition("h1")
    body["windows"] = body["windows"][1:]
    assert (await api.ask("PUT", H1, body)).code == "in_use"
    assert (await api.ask("POST", f"{H1}/windows/w1/close", by=Role.CLERK)).status == 200
    assert (await api.ask("PUT", H1, body)).status == 200


async def test_a_large_hall_has_room(api: Api) -> None:
    services = [{"id": f"s{n}", "prefix": "A", "name": "办理事项" * 60} for n in range(200)]
    windows = [{"id": f"w{n}", "services": ["s1", "s2"]} for n in range(400)]
    answer = await api.ask("PUT", H2, {"id": "h2", "services": services, "windows": windows})
    assert answer.status == 201, answer


async def test_halls_are_listed_as_far_as_the_token_reaches(api: Api) -> None:
    await api.store.configure(SYSTEM, small_hall("h2"))
    for by, expected in ((Role.ADMIN, ["h1", "h2"]), (Role.GUIDE, ["h1"])):
        answer = await api.ask("GET", "/api/v1/halls", by=by)
        assert [one["id"] for one in answer.json["halls"]] == expected
    assert (await api.ask("GET", "/api/v1/halls", by=await api.token(Role.ASSESSOR, ""))).json["halls"][1]["id"] == "h2"


async def test_notices_come_and_go(api: Api) -> None:
    posted = await api.ask("POST", f"{H1}/notices", {"text": "今日 16:30 停止取号"}, by=Role.SUPERVISOR, key="n")
    assert posted.status == 200 and posted.json["notice"]["text"] == "今日 16:30 停止取号"
    again = await api.ask("POST", f"{H1}/notices", {"text": "今日 16:30 停止取号"}, by=Role.SUPERVISOR, key="n")
    assert again.replayed and again.content == posted.content
    assert (await api.ask("GET", f"{H1}/board")).json["board"]["notices"] == [posted.json["notice"]]
    assert (await api.ask("POST", f"{H1}/notices", {"text": ""})).status == 200
    assert (await api.ask("GET", f"{H1}/board")).json["board"]["notices"] == []
    assert (await api.ask("POST", f"{H1}/notices", {"text": "x" * 301})).code == "validation"
