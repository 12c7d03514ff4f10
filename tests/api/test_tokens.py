"""Tokens and pairing codes: made once, shown once, revoked at once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from qserver.auth import secrets
from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM
from tests.api.edge import Api, StartApi
from tests.halls import small_hall

TOKENS = "/api/v1/tokens"
HALL = "/api/v1/halls/h1"


async def test_a_token_is_shown_once_and_works(api: Api) -> None:
    wanted = {"role": "clerk", "hall": "h1", "window": "w2", "name": "二号"}
    answer = await api.ask("POST", TOKENS, wanted)
    assert answer.status == 201
    made = answer.json
    assert wanted.items() <= made.items()
    assert made["created_ms"] > 0 and made["expires_ms"] is None and made["revoked_ms"] is None
    assert (await api.ask("POST", f"{HALL}/windows/w2/open", by=made["token"])).status == 200
    assert (await api.ask("POST", f"{HALL}/windows/w1/open", by=made["token"])).code == "forbidden"

    listed = await api.ask("GET", TOKENS)
    assert made["token"].encode() not in listed.content and b"digest" not in listed.content
    assert secrets.digest(made["token"]).encode() not in listed.content
    assert next(one for one in listed.json["tokens"] if one["id"] == made["id"])["name"] == "二号"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({}, "validation"),
        ({"role": "king"}, "validation"),
        ({"role": "guide"}, "validation"),
        ({"role": "clerk", "hall": "h1"}, "validation"),
        ({"role": "pad", "hall": "h1"}, "validation"),
        ({"role": "admin", "window": "w1"}, "validation"),
        ({"role": "guide", "hall": "H1"}, "validation"),
        ({"role": "guide", "hall": "h1", "token": "mine"}, "validation"),
        ({"role": "guide", "hall": "h1", "name": "x" * 101}, "validation"),
        ({"role": "guide", "hall": "h1", "expires_ms": -1}, "validation"),
        ({"role": "guide", "hall": "none"}, "not_found"),
        ({"role": "clerk", "hall": "h1", "window": "w9"}, "no_such_window"),
    ],
)
async def test_a_token_that_makes_no_sense_is_not_made(api: Api, wanted: dict[str, Any], code: str) -> None:
    before = (await api.ask("GET", TOKENS)).json
    assert (await api.ask("POST", TOKENS, wanted)).code == code
    assert (await api.ask("POST", "/api/v1/pairings", wanted)).status in (400, 404)
    assert (await api.ask("GET", TOKENS)).json == before


async def test_roles_that_may_span_halls_need_none(api: Api) -> None:
    for role in ("admin", "assessor", "analytics"):
        made = (await api.ask("POST", TOKENS, {"role": role})).json
        assert made["hall"] is None
        assert (await api.ask("GET", HALL, by=made["token"])).status == 200


async def test_a_repeated_command_shows_the_same_token(api: Api) -> None:
    first = await api.ask("POST", TOKENS, {"role": "guide", "hall": "h1"}, key="k")
    again = await api.ask("POST", TOKENS, {"role": "guide", "hall": "h1"}, key="k")
    assert (again.status, again.content, again.replayed) == (201, first.content, True)
    other = await api.ask("POST", TOKENS, {"role": "guide", "hall": "h1"})
    assert other.json["token"] != first.json["token"]


async def test_an_admin_bound_to_a_hall_stays_in_it(api: Api) -> None:
    await api.store.configure(SYSTEM, small_hall("h2"))
    bound = await api.token(Role.ADMIN, "h1")
    other = (await api.ask("POST", TOKENS, {"role": "guide", "hall": "h2"})).json
    for wanted in ({"role": "admin"}, {"role": "guide", "hall": "h2"}):
        assert (await api.ask("POST", TOKENS, wanted, by=bound)).code == "forbidden"
        assert (await api.ask("POST", "/api/v1/pairings", wanted, by=bound)).code == "forbidden"
    listed = (await api.ask("GET", TOKENS, by=bound)).json["tokens"]
    assert {one["hall"] for one in listed} == {"h1"}
    assert (await api.ask("DELETE", f"{TOKENS}/{other['id']}", by=bound)).code == "not_found"
    assert (await api.ask("GET", "/api/v1/halls/h2", by=other["token"])).status == 200
    assert (await api.ask("POST", TOKENS, {"role": "guide", "hall": "h1"}, by=bound)).status == 201


async def test_revocation_works_with_the_next_request(api: Api) -> None:
    made = (await api.ask("POST", TOKENS, {"role": "guide", "hall": "h1"})).json
    assert (await api.ask("GET", HALL, by=made["token"])).status == 200
    answer = await api.ask("DELETE", f"{TOKENS}/{made['id']}")
    assert answer.status == 200 and answer.json["revoked_ms"] >= made["created_ms"]
    assert (await api.ask("GET", HALL, by=made["token"])).status == 401
    assert (await api.ask("DELETE", f"{TOKENS}/{made['id']}")).code == "not_found"
    assert made["id"] not in {one["id"] for one in (await api.ask("GET", TOKENS)).json["tokens"]}


async def test_revocation_reaches_other_processes_and_their_sockets(start_api: StartApi) -> None:
    here, there = await start_api(), await start_api(furnish=False)
    made = (await here.ask("POST", TOKENS, {"role": "guide", "hall": "h1"})).json
    assert (await there.ask("GET", HALL, by=made["token"])).status == 200
    told: asyncio.Queue[str] = asyncio.Queue()
    there.auth.on_revoked(told.put_nowait)
    await here.ask("DELETE", f"{TOKENS}/{made['id']}")
    assert await asyncio.wait_for(told.get(), 10) == made["id"]
    assert (await there.ask("GET", HALL, by=made["token"])).status == 401


async def test_an_expired_token_is_unauthorized(api: Api) -> None:
    past = (await api.store.now()) - 1
    made = (await api.ask("POST", TOKENS, {"role": "guide", "hall": "h1", "expires_ms": past})).json
    assert (await api.ask("GET", HALL, by=made["token"])).status == 401
    made = (await api.ask("POST", TOKENS, {"role": "guide", "hall": "h1", "expires_ms": past + 600_000})).json
    assert (await api.ask("GET", HALL, by=made["token"])).status == 200


async def test_a_pairing_code_becomes_a_token_once(api: Api) -> None:
    made = await api.ask("POST", "/api/v1/pairings", {"role": "pad", "hall": "h1", "window": "w1"}, by=Role.SUPERVISOR)
    assert made.status == 200
    now = await api.store.now()
    assert 0 < made.json["expires_ms"] - now <= 600_000
    code = {"code": made.json["code"]}
    paired = await api.ask("POST", "/api/v1/pair", code, by="", key="one")
    assert paired.status == 200
    assert paired.json | {"token": ""} == {"token": "", "role": "pad", "hall": "h1", "window": "w1"}
    assert (await api.ask("GET", f"{HALL}/windows/w1", by=paired.json["token"])).status == 200
    again = await api.ask("POST", "/api/v1/pair", code, by="", key="one")
    assert again.replayed and again.content == paired.content
    for answer in [await api.ask("POST", "/api/v1/pair", code, by="", key=key) for key in ("", "two")]:
        assert (answer.status, answer.code) == (404, "not_found")


async def test_codes_that_are_none(api: Api) -> None:
    for code in ("", "x", "a.b", secrets.pairing_code(b"other", "p1"), "c" * 201):
        answer = await api.ask("POST", "/api/v1/pair", {"code": code}, by="")
        assert answer.status in (400, 404), answer


async def test_twins_pair_one_device(api: Api) -> None:
    made = (await api.ask("POST", "/api/v1/pairings", {"role": "display", "hall": "h1"})).json
    ask = [api.ask("POST", "/api/v1/pair", {"code": made["code"]}, by="") for _ in range(8)]
    answers = await asyncio.gather(*ask)
    assert sorted(answer.status for answer in answers) == [200] + [404] * 7


@pytest.mark.parametrize("role", ["admin", "assessor", "analytics"])
async def test_a_supervisor_hands_out_nothing_above_itself(api: Api, role: str) -> None:
    answer = await api.ask("POST", "/api/v1/pairings", {"role": role, "hall": "h1"}, by=Role.SUPERVISOR)
    assert answer.code == "forbidden"
    await api.store.configure(SYSTEM, small_hall("h2"))
    answer = await api.ask("POST", "/api/v1/pairings", {"role": "guide", "hall": "h2"}, by=Role.SUPERVISOR)
    assert answer.code == "forbidden"


async def test_a_refusal_kept_before_the_command_was_reached_stands(api: Api) -> None:
    wanted = {"role": "guide", "hall": "h2"}
    refused = await api.ask("POST", TOKENS, wanted, key="k")
    assert refused.code == "not_found"
    await api.store.configure(SYSTEM, small_hall("h2"))
    again = await api.ask("POST", TOKENS, wanted, key="k")
    assert (again.status, again.content, again.code, again.replayed) == (404, refused.content, "not_found", True)
    assert (await api.ask("POST", TOKENS, wanted, key="new")).status == 201


async def test_a_check_that_would_fail_now_does_not_hide_a_token_given_before(api: Api) -> None:
    wanted = {"role": "pad", "hall": "h1", "window": "w3"}
    made = await api.ask("POST", TOKENS, wanted, key="k")
    smaller = small_hall()
    await api.store.configure(SYSTEM, msgspec.structs.replace(smaller, windows=smaller.windows[:2]))
    assert made.status == 201
    assert (await api.ask("POST", TOKENS, wanted, key="k")).code == "no_such_window"
    assert (await api.ask("GET", f"{HALL}/board", by=made.json["token"])).status == 200
