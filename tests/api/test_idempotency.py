"""The same key and the same body: the first answer again, whatever it was and however often it is asked."""

from __future__ import annotations

import asyncio
import string
from typing import Any

import pytest

from qserver.domain.lifecycle import Role
from tests.api.edge import Answer, Api, StartApi

HALL = "/api/v1/halls/h1"
TICKETS = f"{HALL}/tickets"


async def tickets(api: Api) -> int:
    return len((await api.ask("GET", TICKETS)).json["tickets"])


def same(first: Answer, again: Answer) -> bool:
    kinds = first.headers["Content-Type"] == again.headers["Content-Type"]
    return (
        again.replayed
        and not first.replayed
        and kinds
        and (first.status, first.content) == (again.status, again.content)
    )


async def test_a_repeat_gives_the_first_answer(api: Api) -> None:
    first = await api.ask("POST", TICKETS, {"service": "a"}, key="k")
    assert first.status == 201
    await api.ask("POST", TICKETS, {"service": "a"})
    for _ in range(3):
        assert same(first, await api.ask("POST", TICKETS, {"service": "a"}, key="k"))
    assert await tickets(api) == 2


async def test_without_a_key_every_request_counts(api: Api) -> None:
    for _ in range(2):
        assert not (await api.ask("POST", TICKETS, {"service": "a"})).replayed
    assert await tickets(api) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tickets", {"service": "none"}),  # refused by the function
        ("/tickets", {"service": 7}),  # refused by form
        ("/tickets", {"service": "a", "extra": 1}),
        ("/tickets/A999/cancel", {}),
        ("/windows/w1/recall", {}),
        ("/windows/w9/open", {}),
        ("/windows/W9/open", {}),  # no window could be called that
        ("/services/nope/suspend", {"reason": "x"}),
    ],
)
async def test_refusals_are_kept_too(api: Api, path: str, body: dict[str, Any]) -> None:
    first = await api.ask("POST", HALL + path, body, key="k")
    assert first.status in (400, 404, 409) and first.code
    if "W9" in path:
        return  # nothing is kept of what does not exist, and it is the same again anyway
    again = await api.ask("POST", HALL + path, body, key="k")
    assert same(first, again), (first, again)
    other = await api.ask("POST", HALL + path, body | {"reason": "another"}, key="k")
    assert (other.status, other.code) == (422, "idempotency_mismatch")


async def test_a_refusal_stands_even_when_it_would_be_granted_now(api: Api) -> None:
    refused = await api.ask("POST", f"{HALL}/windows/w1/call", by=Role.CLERK, key="k")
    assert refused.code == "window_not_open"
    await api.ask("POST", f"{HALL}/windows/w1/open", by=Role.CLERK)
    assert same(refused, await api.ask("POST", f"{HALL}/windows/w1/call", by=Role.CLERK, key="k"))
    assert (await api.ask("POST", f"{HALL}/windows/w1/call", by=Role.CLERK, key="new")).status == 200


async def test_that_nobody_waits_is_kept_too(api: Api) -> None:
    await api.ask("POST", f"{HALL}/windows/w1/open", by=Role.CLERK)
    first = await api.ask("POST", f"{HALL}/windows/w1/call", by=Role.CLERK, key="k")
    assert first.json == {"ticket": None, "finished": None}
    await api.ask("POST", TICKETS, {"service": "a"})
    assert same(first, await api.ask("POST", f"{HALL}/windows/w1/call", by=Role.CLERK, key="k"))


@pytest.mark.parametrize(
    "other", [b'{"service": "a"}', b'{"service":"b"}', b'{"service":"a"}\n', b"", b"{", b'{"service":"a","x":1}']
)
async def test_another_body_is_a_mismatch_byte_by_byte(api: Api, other: bytes) -> None:
    json = {"Content-Type": "application/json"}
    first = await api.ask("POST", TICKETS, data=b'{"service":"a"}', key="k", headers=json)
    assert first.status == 201
    answer = await api.ask("POST", TICKETS, data=other, key="k", headers=json)
    assert (answer.status, answer.code) == (422, "idempotency_mismatch"), answer
    assert same(first, await api.ask("POST", TICKETS, data=b'{"service":"a"}', key="k", headers=json))
    assert await tickets(api) == 1


async def test_a_body_of_another_form_first_and_a_good_one_after_is_a_mismatch(api: Api) -> None:
    first = await api.ask("POST", TICKETS, {"service": 1}, key="k")
    assert first.code == "validation"
    assert (await api.ask("POST", TICKETS, {"service": "a"}, key="k")).code == "idempotency_mismatch"
    assert same(first, await api.ask("POST", TICKETS, {"service": 1}, key="k"))
    assert await tickets(api) == 0


async def test_a_body_that_is_no_json_is_kept_too(api: Api) -> None:
    plain = {"Content-Type": "text/plain"}
    first = await api.ask("POST", TICKETS, data=b"hello", key="k", headers=plain)
    assert first.status == 415
    assert same(first, await api.ask("POST", TICKETS, data=b"hello", key="k", headers=plain))


async def test_scope_is_token_method_and_path(api: Api) -> None:
    first = await api.ask("POST", TICKETS, {"service": "a"}, by=Role.GUIDE, key="k")
    for answer in (
        await api.ask("POST", TICKETS, {"service": "a"}, by=Role.KIOSK, key="k"),
        await api.ask("POST", TICKETS, {"service": "a"}, by=await api.token(Role.GUIDE, token_id="g2"), key="k"),
        await api.ask("POST", f"{TICKETS}/A001/reprint", by=Role.GUIDE, key="k"),
        await api.ask("POST", f"{TICKETS}/A002/reprint", by=Role.GUIDE, key="k"),
        await api.ask("POST", TICKETS, {"service": "a"}, by=Role.GUIDE, key="K"),
    ):
        assert answer.status in (200, 201) and not answer.replayed, answer
    assert same(first, await api.ask("POST", TICKETS, {"service": "a"}, by=Role.GUIDE, key="k"))


async def test_concurrent_twins_are_one(start_api: StartApi) -> None:
    one = await start_api()
    two = await start_api(furnish=False)
    two.tokens = one.tokens
    answers = await asyncio.gather(
        *(
            api.ask("POST", TICKETS, {"service": "a"}, key=f"k{n}", headers={"Host": "hall.example"})
            for n in range(5)
            for api in (one, two) * 8
        )
    )
    assert await tickets(one) == 5
    assert len({answer.content for answer in answers}) == 5
    assert sum(not answer.replayed for answer in answers) == 5
    assert {answer.status for answer in answers} == {201}


async def test_concurrent_twins_that_are_refused_are_one(start_api: StartApi) -> None:
    one = await start_api()
    two = await start_api(furnish=False)
    two.tokens = one.tokens
    for body in ({"service": "none"}, {"service": 1}):
        key = f"k{body['service']}"
        answers = await asyncio.gather(*(api.ask("POST", TICKETS, body, key=key) for api in (one, two) * 8))
        assert len({answer.content for answer in answers}) == 1
        assert sum(not answer.replayed for answer in answers) == 1, body


async def test_concurrent_twins_of_different_bodies_never_both_count(api: Api) -> None:
    for n in range(10):
        answers = await asyncio.gather(
            *(api.ask("POST", TICKETS, {"service": "ab"[i % 2]}, key=f"k{n}") for i in range(6))
        )
        assert sorted({answer.status for answer in answers}) == [201, 422]
    assert await tickets(api) == 10


async def test_who_may_not_is_not_kept(api: Api) -> None:
    assert (await api.ask("POST", TICKETS, {"service": "a"}, by=Role.PAD, key="k")).status == 403
    assert (await api.ask("POST", TICKETS, {"service": "b"}, by=Role.PAD, key="k")).status == 403
    assert (await api.ask("POST", TICKETS, {"service": "a"}, by="none", key="k")).status == 401


async def test_a_key_on_other_methods_changes_nothing(api: Api) -> None:
    one = await api.ask("GET", TICKETS, key="k")
    await api.ask("POST", TICKETS, {"service": "a"})
    two = await api.ask("GET", TICKETS, key="k")
    assert not two.replayed and one.content != two.content


@pytest.mark.parametrize("key", ["x" * 255, "!", " ~", string.punctuation, "a b"])
async def test_keys_of_all_printable_forms(api: Api, key: str) -> None:
    first = await api.ask("POST", TICKETS, {"service": "a"}, key=key)
    assert first.status == 201
    assert same(first, await api.ask("POST", TICKETS, {"service": "a"}, key=key))


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "号"])
async def test_keys_that_are_none(api: Api, key: str) -> None:
    answer = await api.ask("POST", TICKETS, {"service": "a"}, headers={"Idempotency-Key": key})
    assert (answer.status, answer.code) == (400, "validation")
    assert await tickets(api) == 0


async def test_answers_of_reading_commands_are_kept_by_the_frame(api: Api) -> None:
    await api.ask("POST", TICKETS, {"service": "a"})
    first = await api.ask("POST", f"{TICKETS}/A001/reprint", by=Role.GUIDE, key="k")
    assert first.status == 200
    await api.ask("POST", f"{TICKETS}/A001/cancel", by=Role.GUIDE)
    assert same(first, await api.ask("POST", f"{TICKETS}/A001/reprint", by=Role.GUIDE, key="k"))


async def test_a_ticket_holder_has_keys_of_its_own(api: Api) -> None:
    urls = [(await api.ask("POST", TICKETS, {"service": "a"})).json["url"] for _ in range(2)]
    links = [f"/api/v1/t/{url.rpartition('/')[2]}/cancel" for url in urls]
    firsts = [await api.ask("POST", link, by="", key="k") for link in links]
    assert [first.status for first in firsts] == [200, 200] and firsts[0].content != firsts[1].content
    for link, first in zip(links, firsts, strict=True):
        assert same(first, await api.ask("POST", link, by="", key="k"))
