"""Ratings from the pads over HTTP: one finished service, one rating, whatever a pad repeats or keeps for later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.api.doors import Doors, serving_at
from tests.servers import DataServer

GONE = [{"rid": "r1", "status": "rejected", "code": "not_found"}]


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        await doors.at("w1", "open", {"staff": "li"})
        yield doors


def item(rid: str = "r1", ticket: str = "A001", score: int = 5, **more: Any) -> dict[str, Any]:
    return {"rid": rid, "ticket": ticket, "leg": 1, "score": score, "age_ms": 0} | more


async def rate(doors: Doors, *items: dict[str, Any], window: str = "w1") -> list[dict[str, Any]]:
    answer = (await doors.pad[window].post("ratings", {"items": list(items)})).ok()
    assert answer["now_ms"] == doors.time.at
    results: list[dict[str, Any]] = answer["results"]
    return results


async def test_a_finished_service_is_rated_once(doors: Doors) -> None:
    ticket = await doors.serve()
    prompt = (await doors.pad["w1"].get("windows/w1")).ok()["window"]["rate"]
    assert prompt == {"ticket": ticket["id"], "leg": 1, "until_ms": doors.time.at + 1_800_000}
    assert await rate(doors, item(score=4)) == [{"rid": "r1", "status": "recorded"}]
    assert (await doors.supervisor.get("tickets/A001")).ok()["ticket"]["rating"] == {
        "score": 4,
        "source": "active",
        "at_ms": doors.time.at,
    }
    assert (await doors.pad["w1"].get("windows/w1")).ok()["window"]["rate"] is None


async def test_a_rating_sent_again_is_a_duplicate_and_another_one_a_conflict(doors: Doors) -> None:
    await doors.serve()
    await rate(doors, item("r1", score=5))
    assert await rate(doors, item("r1", score=5), item("r2", score=1)) == [
        {"rid": "r1", "status": "duplicate"},
        {"rid": "r2", "status": "conflict"},
    ]
    assert (await doors.supervisor.get("tickets/A001")).ok()["ticket"]["rating"]["score"] == 5


async def test_the_same_rid_with_another_score_is_a_conflict_and_a_score_out_of_range_never_more_than_wrong(
    doors: Doors,
) -> None:
    await doors.serve()
    await rate(doors, item("r1", score=5))
    assert await rate(doors, item("r1", score=4), item("r1", score=6), item("r2", score=0)) == [
        {"rid": "r1", "status": "conflict"},
        {"rid": "r1", "status": "rejected", "code": "validation"},
        {"rid": "r2", "status": "rejected", "code": "validation"},
    ]
    assert (await doors.supervisor.get("tickets/A001")).ok()["ticket"]["rating"]["score"] == 5


async def test_one_batch_may_hold_the_same_service_twice_and_the_first_wins(doors: Doors) -> None:
    await doors.serve()
    results = await rate(doors, item("r1", score=3), item("r1", score=3), item("r2", score=5))
    assert [result["status"] for result in results] == ["recorded", "duplicate", "conflict"]


async def test_a_rating_kept_offline_counts_from_when_it_was_given(doors: Doors) -> None:
    await doors.serve()
    given = doors.time.at + 10_000
    await doors.time.pass_ms(3_600_000)
    (result,) = await rate(doors, item(age_ms=doors.time.at - given))
    assert result["status"] == "recorded"
    assert (await doors.supervisor.get("tickets/A001")).ok()["ticket"]["rating"]["at_ms"] == given


async def test_a_rating_given_after_the_time_for_it_is_rejected(doors: Doors) -> None:
    await doors.serve()
    await doors.time.pass_ms(1_800_001)
    assert await rate(doors, item()) == [{"rid": "r1", "status": "rejected", "code": "wrong_state"}]


async def test_a_rating_from_before_the_finish_is_rejected(doors: Doors) -> None:
    await doors.serve()
    assert await rate(doors, item(age_ms=6_000)) == [{"rid": "r1", "status": "rejected", "code": "validation"}]


@pytest.mark.parametrize("score", [0, 6, -1, 2**53])
async def test_a_score_out_of_range_rejects_its_item_alone(doors: Doors, score: int) -> None:
    await doors.serve()
    results = await rate(doors, item("bad", score=score), item("good"))
    assert results == [
        {"rid": "bad", "status": "rejected", "code": "validation"},
        {"rid": "good", "status": "recorded"},
    ]


async def test_what_is_not_finished_or_not_there_is_not_rated(doors: Doors) -> None:
    assert await rate(doors, item()) == GONE
    await doors.issue()
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    assert await rate(doors, item()) == [{"rid": "r1", "status": "rejected", "code": "wrong_state"}]
    assert await rate(doors, item(leg=7)) == [{"rid": "r1", "status": "rejected", "code": "wrong_state"}]


async def test_a_leg_that_ended_in_a_transfer_is_not_rated(doors: Doors) -> None:
    await doors.issue()
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    await doors.at("w1", "transfer", {"service": "b"})
    assert await rate(doors, item()) == [{"rid": "r1", "status": "rejected", "code": "wrong_state"}]


async def test_a_pad_rates_its_own_window_only(doors: Doors) -> None:
    await doors.serve()
    assert await rate(doors, item(), window="w2") == [{"rid": "r1", "status": "rejected", "code": "forbidden"}]


async def test_each_leg_of_a_visit_is_rated_by_itself(doors: Doors) -> None:
    await doors.serve("a", services=["b"])
    await doors.at("w1", "call")
    await doors.at("w1", "start")
    await doors.at("w1", "finish")
    assert [result["status"] for result in await rate(doors, item("r1", score=5), item("r2", score=3, leg=2))] == [
        "recorded",
        "recorded",
    ]
    legs = (await doors.supervisor.get("tickets/A001")).ok()["ticket"]["legs"]
    assert [leg["rating"]["score"] for leg in legs] == [5, 3]


@pytest.mark.parametrize("score", [1, 2])
async def test_a_negative_rating_opens_a_review_with_the_citizens_words(doors: Doors, score: int) -> None:
    await doors.serve()
    await rate(doors, item(score=score, reasons=["等太久"], aspects=["服务效率"], comment="太慢了"))
    (review,) = (await doors.assessor.get("reviews")).ok()["reviews"]
    assert (review["source"], review["window"], review["staff"], review["ticket"]) == (
        "rating",
        "w1",
        "li",
        "20261124-A001",
    )
    assert review["history"][0]["comment"] == "太慢了"


@pytest.mark.parametrize("score", [3, 4, 5])
async def test_a_good_rating_opens_no_review(doors: Doors, score: int) -> None:
    await doors.serve()
    await rate(doors, item(score=score))
    assert (await doors.assessor.get("reviews")).ok()["reviews"] == []


async def test_the_same_key_gives_the_first_results_again(doors: Doors) -> None:
    await doors.serve()
    first = await doors.pad["w1"].post("ratings", {"items": [item()]}, key="k1")
    again = await doors.pad["w1"].post("ratings", {"items": [item()]}, key="k1")
    assert again.body == first.body
    assert again.body["results"][0]["status"] == "recorded"
    assert (first.replayed, again.replayed) == (False, True)


async def test_fifty_ratings_go_in_one_batch_and_one_more_does_not(doors: Doors) -> None:
    await doors.serve()
    longest: dict[str, Any] = {"comment": "慢" * 1000, "reasons": ["久" * 300] * 10}
    results = await rate(doors, *(item(f"r{number}", f"A{number:03d}", **longest) for number in range(1, 51)))
    assert [result["status"] for result in results] == ["recorded"] + ["rejected"] * 49
    answer = await doors.pad["w1"].post("ratings", {"items": [item(f"r{number}") for number in range(51)]})
    assert answer.code == (400, "validation")
    assert (await doors.pad["w1"].post("ratings", {"items": []})).ok()["results"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rid": ""}, "rid"),
        ({"rid": "r" * 65}, "rid"),
        ({"score": "5"}, "score"),
        ({"score": 4.5}, "score"),
        ({"score": 2**60}, "score"),
        ({"leg": None}, "leg"),
        ({"ticket": ""}, "ticket"),
        ({"comment": "c" * 1001}, "comment"),
        ({"reasons": ["r"] * 11}, "reasons"),
        ({"reasons": ["r" * 301]}, "reasons[0]"),
        ({"n": "1", "sig": "0" * 64}, "n"),
        ({"n": 1, "sig": "00"}, "sig"),
        ({"colour": "red"}, None),
    ],
)
async def test_a_rating_of_the_wrong_form_is_rejected_alone_with_its_field(
    doors: Doors, change: dict[str, Any], field: str | None
) -> None:
    await doors.serve()
    bad, good = await rate(doors, item("bad") | change, item("good"))
    named = {"field": field} if field else {}
    assert bad == {"rid": change.get("rid", "bad"), "status": "rejected", "code": "validation"} | named
    assert good == {"rid": "good", "status": "recorded"}


@pytest.mark.parametrize("bad", [None, 5, "r1", [], {}, {"rid": 1}, [[[]]], {"rid": {"rid": "r1"}}])
async def test_what_is_no_rating_at_all_has_its_result_too(doors: Doors, bad: Any) -> None:
    await doors.serve()
    body = {"items": [item("r1"), bad, item("r2")]}
    first = await doors.pad["w1"].post("ratings", body, key="k")
    one, other, two = first.ok()["results"]
    assert (one["status"], two["status"]) == ("recorded", "conflict")
    assert (other["rid"], other["status"], other["code"]) == ("", "rejected", "validation")
    again = await doors.pad["w1"].post("ratings", body, key="k")
    assert (again.body, again.replayed) == (first.body, True)


@pytest.mark.parametrize(
    "bad",
    [b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"rid":"\\ud800"}', b'{"rid":1e999}', b"-0"],
)
async def test_hostile_json_in_one_item_never_costs_another(doors: Doors, bad: bytes) -> None:
    await doors.serve()
    good = msgspec.json.encode(item("good"))
    got = await doors.pad["w1"].ask("POST", "ratings", b'{"items":[' + bad + b"," + good + b"]}")
    if got.status == 400:  # no JSON reader takes that much
        assert got.code == (400, "validation")
        return
    one, two = got.ok()["results"]
    assert (one["status"], two) == ("rejected", {"rid": "good", "status": "recorded"})


async def test_a_batch_of_nothing_but_broken_ratings_is_answered(doors: Doors) -> None:
    results = await rate(doors, *({"rid": f"r{n}", "colour": "red"} for n in range(50)))
    assert [result["rid"] for result in results] == [f"r{n}" for n in range(50)]
    assert {result["status"] for result in results} == {"rejected"}


@pytest.mark.parametrize(
    "body",
    [{}, [], {"items": None}, {"items": {}}, {"items": "r"}, {"items": [], "more": 1}, {"items": [], "shown": 1}],
)
async def test_what_is_no_batch_is_refused(doors: Doors, body: Any) -> None:
    assert (await doors.pad["w1"].post("ratings", body)).code == (400, "validation")


async def test_nobody_but_the_pad_rates(doors: Doors) -> None:
    for client in (doors.clerk["w1"], doors.guide, doors.supervisor, doors.assessor, doors.display):
        assert (await client.post("ratings", {"items": []})).code == (403, "forbidden")
