"""Negative reviews over HTTP: who reads which, and how much of the citizen's words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest

from qserver.api.messages import ReviewFilter, SourceFilter, StepName
from qserver.domain.privacy import MASK
from qserver.domain.reviews import SOURCES, STEPS, ReviewState
from qserver.store.answers import SYSTEM
from tests.api.doors import Client, Doors, serving_at
from tests.servers import DataServer

WORDS = "太慢了，我的电话 138-0000-1234，身份证 11010119900307123X，等了45分钟"


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        for window in ("w1", "w2"):
            await doors.at(window, "open", {"staff": f"staff-{window}"})
        yield doors


async def complain(doors: Doors, window: str = "w1", number: int = 1, **more: Any) -> None:
    """A served ticket at the window, rated badly there."""
    await doors.serve("a", window)
    item = {"rid": f"r{number}", "ticket": f"A{number:03d}", "leg": 1, "score": 1, "age_ms": 0} | more
    results = (await doors.pad[window].post("ratings", {"items": [item]})).ok()["results"]
    assert results[0]["status"] == "recorded"


async def run_over(doors: Doors, window: str = "w1") -> None:
    """A service over its limit of ten minutes, flagged when it ends."""
    await doors.issue("a")
    await doors.at(window, "call")
    await doors.at(window, "start")
    await doors.time.pass_ms(601_000)
    await doors.at(window, "finish")


async def listed(client: Client, query: str = "") -> list[str]:
    return [review["id"] for review in (await client.get(f"reviews?{query}")).ok()["reviews"]]


async def test_a_bad_rating_and_an_overtime_are_two_reviews_by_who_said_them(doors: Doors) -> None:
    await complain(doors)
    await run_over(doors)
    first, second = (await doors.assessor.get("reviews")).ok()["reviews"]
    assert (first["id"], first["source"], first["state"], first["leg"]) == ("r000001", "rating", "open", 1)
    assert (second["id"], second["source"], second["ticket"]) == ("r000002", "overtime", "20261124-A002")
    assert second["history"][0]["actor"] != ""
    assert second["history"][0]["spent_ms"] == 601_000
    assert (await doors.assessor.get("reviews/r000002")).ok()["review"] == second


async def test_reviews_are_listed_by_state_and_source_page_by_page(doors: Doors) -> None:
    await complain(doors)
    for _ in range(3):
        await run_over(doors)
    assert await listed(doors.supervisor, "source=overtime") == ["r000002", "r000003", "r000004"]
    assert await listed(doors.supervisor, "state=open&source=rating") == ["r000001"]
    assert await listed(doors.supervisor, "state=closed") == []
    assert await listed(doors.supervisor, "state=&source=&after=") == [f"r{n:06d}" for n in range(1, 5)]
    found, after = [], ""
    while after is not None:
        page = (await doors.supervisor.get(f"reviews?limit=3&after={after}")).ok()
        found += [review["id"] for review in page["reviews"]]
        after = page["next"]
    assert found == [f"r{n:06d}" for n in range(1, 5)]


async def test_what_is_to_be_handled_is_listed_and_the_newest_first(doors: Doors) -> None:
    for _ in range(3):
        await run_over(doors)
    for step in ("appeal", "exclude"):
        (await doors.assessor.post(f"reviews/r000002/{step}", {"reason": "误评"})).ok()
    assert await listed(doors.supervisor, "pending=true") == ["r000001", "r000003"]
    assert await listed(doors.supervisor, "pending=true&latest=true") == ["r000003", "r000001"]
    assert await listed(doors.supervisor, "pending=false&latest=true") == ["r000003", "r000002", "r000001"]
    assert await listed(doors.clerk["w2"], "pending=true") == []


async def test_a_review_says_who_they_are_that_it_names(doors: Doors) -> None:
    await doors.store.add_staff(SYSTEM, "h1", "staff-w1", name="李敏", role="clerk", hashed="x")
    await doors.store.add_staff(SYSTEM, "h2", "900", name="别的大厅", role="supervisor", hashed="x")
    await complain(doors)
    first = (await doors.supervisor.get("reviews/r000001")).ok()
    pad = first["review"]["history"][0]["actor"]
    assert first["actors"] == {
        "staff-w1": {"role": "clerk", "name": "李敏", "person": True},
        pad: {"role": "pad", "name": "", "person": False},
    }
    step = (await doors.supervisor.post("reviews/r000001/assign", {"to": "900"})).ok()
    assert "actors" not in step, "a kept answer says the same for ever, names change"
    again = (await doors.supervisor.get("reviews/r000001")).ok()
    me = again["review"]["history"][1]["actor"]
    assert again["actors"] == first["actors"] | {me: {"role": "supervisor", "name": "", "person": False}}
    await doors.store.revoke_token(SYSTEM, pad)
    assert pad not in (await doors.supervisor.get("reviews/r000001")).ok()["actors"], "nothing is known of it any more"


async def test_an_answer_names_the_steps_that_are_the_callers_to_take(doors: Doors) -> None:
    await complain(doors)

    async def steps(client: Client) -> list[str]:
        found: list[str] = (await client.get("reviews/r000001")).ok()["steps"]
        return found

    assert await steps(doors.supervisor) == ["assign", "appeal"]
    assert await steps(doors.clerk["w1"]) == ["appeal"]
    assigned = (await doors.supervisor.post("reviews/r000001/assign", {"to": "li"})).ok()
    assert assigned["steps"] == ["assign", "verify", "appeal"]
    (await doors.supervisor.post("reviews/r000001/verify", {"result": "invalid", "note": "不属实"})).ok()
    assert await steps(doors.supervisor) == ["close", "appeal"]
    appealed = (await doors.clerk["w1"].post("reviews/r000001/appeal", {"reason": "误评"})).ok()
    assert appealed["steps"] == []
    assert await steps(doors.supervisor) == []
    assert await steps(doors.assessor) == ["uphold", "exclude"]
    assert await steps(doors.admin) == ["uphold", "exclude"]
    (await doors.assessor.post("reviews/r000001/uphold", {"reason": "属实"})).ok()
    assert await steps(doors.clerk["w1"]) == [], "an appeal is heard once"


async def test_a_clerk_reads_the_reviews_of_the_own_window_only(doors: Doors) -> None:
    await complain(doors, "w1", 1)
    await complain(doors, "w2", 2)
    assert await listed(doors.clerk["w1"]) == ["r000001"]
    assert await listed(doors.clerk["w2"]) == ["r000002"]
    assert await listed(doors.clerk["w3"]) == []
    (await doors.clerk["w1"].get("reviews/r000001")).ok()
    assert (await doors.clerk["w1"].get("reviews/r000002")).code == (403, "forbidden")


async def test_the_citizens_words_are_whole_for_the_assessor_only(doors: Doors) -> None:
    await complain(doors, comment=WORDS)

    async def comment(client: Client) -> set[str]:
        (in_list,) = (await client.get("reviews")).ok()["reviews"]
        alone = (await client.get("reviews/r000001")).ok()["review"]
        return {review["history"][0]["comment"] for review in (in_list, alone)}

    assert await comment(doors.assessor) == {WORDS}
    assert await comment(doors.admin) == {WORDS}
    assert await comment(doors.supervisor) == {f"太慢了，我的电话 {MASK}，身份证 {MASK}，等了45分钟"}
    assert await comment(doors.clerk["w1"]) == {MASK}


@pytest.mark.parametrize("name", ["r000009", "A001", "x", "%00"])
async def test_a_review_that_is_not_there_is_not_found(doors: Doors, name: str) -> None:
    assert (await doors.assessor.get(f"reviews/{name}")).code == (404, "not_found")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "after=r1", "colour=red", "state=foo", "source=foo", "pending=so"]
)
async def test_a_wrong_question_about_reviews_is_refused(doors: Doors, query: str) -> None:
    assert (await doors.assessor.get(f"reviews?{query}")).code == (400, "validation")


def test_the_states_and_sources_one_may_ask_for_are_the_follow_ups() -> None:
    assert set(get_args(ReviewFilter)) == {"", *ReviewState}
    assert set(get_args(SourceFilter)) == {"", *SOURCES}
    assert get_args(StepName) == tuple(STEPS)


async def test_reviews_are_for_those_who_follow_them_up(doors: Doors) -> None:
    for client in (doors.guide, doors.kiosk, doors.pad["w1"], doors.display):
        assert (await client.get("reviews")).code == (403, "forbidden")
        assert (await client.get("reviews/r000001")).code == (403, "forbidden")
