"""The clerk cannot reach the right to rate: by the role table, and by trying whatever a clerk's token is good for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from qserver.api import app
from qserver.api.examples import BODIES
from qserver.auth import roles, secrets
from qserver.auth.principal import Principal
from qserver.auth.roles import ACCESS, SECRET, allowed
from qserver.domain.lifecycle import Role
from tests.api.doors import Client, Doors, serving_at
from tests.pads import Hand
from tests.servers import DataServer
from tests.store.follow import events

H = "/api/v1/halls/{hall}"
RATES = f"POST {H}/ratings"
GIVES_A_LINK = {f"POST {H}/tickets", f"POST {H}/tickets/{{no}}/reprint"}
"""What answers with a ticket's link, by which its holder rates."""
ENDS_THE_SESSION = {"POST /api/v1/logout"}
MAKES_A_PAD = {"POST /api/v1/tokens", "POST /api/v1/pairings"}


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        await doors.at("w1", "open", {"staff": "li"})
        yield doors


def test_no_row_of_the_table_lets_a_clerk_rate_or_make_who_may() -> None:
    clerk = Principal("c", Role.CLERK, "h1", "w1", "", 0)
    assert GIVES_A_LINK | MAKES_A_PAD | {RATES} <= ACCESS.keys()
    for key in GIVES_A_LINK | MAKES_A_PAD | {RATES}:
        assert not allowed(clerk, key, "h1", "w1"), key
    assert ACCESS[RATES].roles == frozenset({Role.PAD, Role.ADMIN})
    assert [key for key in ACCESS if key.endswith("/rating") and ACCESS[key].roles is not SECRET] == []
    assert Role.PAD not in roles.PEOPLE, "nobody logs in as a pad"


async def logged_in(doors: Doors) -> Client:
    """A clerk who came with a password."""
    person = {"id": "1024", "role": "clerk", "password": "青山不老 绿水长流"}
    (await doors.admin.post("staff", person)).ok(201)
    body = {"hall": "h1", "staff": "1024", "password": person["password"], "window": "w1"}
    session = (await doors.nobody.post("/api/v1/login", body)).ok()
    assert session["role"] == "clerk"
    client = await doors.enter("clerk", "w1")
    client.token = session["token"]
    return client


@pytest.mark.parametrize("by", ["token", "password"])
async def test_nothing_that_a_clerk_can_ask_for_rates_or_gives_what_rates(doors: Doors, by: str) -> None:
    clerk = doors.clerk["w1"] if by == "token" else await logged_in(doors)
    done = await doors.serve()
    await doors.issue()
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    pad, hand = Hand(doors.pad["w1"].token), Hand(clerk.token)
    tried: list[Any] = [
        None,
        {},
        {"items": [{"rid": "r", "ticket": done["id"], "leg": 1, "score": 5, "age_ms": 0}]},
        hand.body(hand.item(done["id"]), shown=[hand.prompt(done["id"])]),
        pad.body(pad.item(done["id"])),  # with the pad's signature, but not with its token
        {"score": 5, "leg": 1, "rid": "r"},
        {"role": "pad", "hall": "h1", "window": "w1"},
        {"role": "clerk", "hall": "h1", "window": "w1"},
        {"code": clerk.token},
    ]
    heard = []
    for key in sorted({route.key for route in app.routes()} - ENDS_THE_SESSION):
        method, path = key.split(" ")
        for no in (done["no"], done["id"], "A002"):
            parts = {"hall": "h1", "window": "w1", "no": no, "secret": f"h1.{no}.{'x' * 24}", "service": "a"}
            url = re.sub(r"{(\w+)}", lambda match: parts.get(match[1], "none"), path)  # noqa: B023
            bodies = [None] if method == "GET" else [*tried, BODIES.get(key)]
            for body in bodies:
                if method in ("GET", "DELETE"):
                    answer = await clerk.ask(method, url)
                else:
                    answer = await (clerk.post(url, body) if method == "POST" else clerk.ask(method, url, b"{}"))
                assert answer.status < 500, (key, answer)
                assert key not in GIVES_A_LINK | MAKES_A_PAD | {RATES} or answer.status == 403, (key, answer)
                heard.append(str(answer.body))
    assert {event.kind for event in await events(doors.time)} & {"rating.recorded", "rating.shown"} == set()
    told = "\n".join(heard)
    for ticket in await doors.store.day_tickets("h1"):
        assert ticket.rating is None
        assert secrets.ticket_secret(doors.store.server_key, "h1", ticket.id) not in told
    assert doors.pad["w1"].token not in told and "qs_" not in told.replace(clerk.token, "")


async def test_a_clerks_token_pairs_no_page_and_a_code_for_a_pad_makes_no_clerk(doors: Doors) -> None:
    clerk = doors.clerk["w1"]
    asked = {"role": "pad", "hall": "h1", "window": "w1"}
    assert (await clerk.post("/api/v1/pairings", asked)).code == (403, "forbidden")
    code = (await doors.supervisor.post("/api/v1/pairings", asked)).ok()["code"]
    paired = (await doors.nobody.post("/api/v1/pair", {"code": code})).ok()
    assert (paired["role"], paired["window"]) == ("pad", "w1")
    assert (await clerk.post("/api/v1/pair", {"code": code})).status in (400, 401, 404), "it worked once"
    clerk.token = paired["token"]
    assert (await clerk.post("windows/w1/call")).code == (403, "forbidden")
