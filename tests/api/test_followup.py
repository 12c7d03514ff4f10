"""The follow-up and promised cases over HTTP: every step by everybody, its form, its key, and what each may read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from qserver.auth.roles import ACCESS
from qserver.domain.lifecycle import Role
from qserver.domain.privacy import MASK
from qserver.domain.reviews import STEPS
from tests.api.doors import HALL, Client, Doors, Got, serving_at
from tests.servers import DataServer

BODIES: dict[str, dict[str, Any]] = {
    "assign": {"to": "li"},
    "verify": {"result": "valid", "note": "已核实"},
    "rectify": {"note": "已整改"},
    "revisit": {"result": "satisfied"},
    "close": {},
    "appeal": {"reason": "误评"},
    "uphold": {"reason": "属实"},
    "exclude": {"reason": "误评属实"},
}
BEFORE: dict[str, tuple[str, ...]] = {
    "assign": (),
    "verify": ("assign",),
    "rectify": ("assign", "verify"),
    "revisit": ("assign", "verify", "rectify"),
    "close": ("assign", "verify", "rectify", "revisit"),
    "appeal": (),
    "uphold": ("appeal",),
    "exclude": ("appeal",),
}
"""The steps before each."""


@pytest.fixture
async def doors(valkey: DataServer) -> AsyncIterator[Doors]:
    async with serving_at(valkey.url) as doors:
        for window in ("w1", "w2"):
            await doors.at(window, "open", {"staff": f"staff-{window}"})
        yield doors


async def complain(doors: Doors, window: str = "w1", number: int = 1, comment: str = "") -> str:
    """A review of a bad rating at the window; answers its id."""
    await doors.serve("a", window)
    item = {"rid": f"r{number}", "ticket": f"A{number:03d}", "leg": 1, "score": 1, "age_ms": 0, "comment": comment}
    (await doors.pad[window].post("ratings", {"items": [item]})).ok()
    return f"r{number:06d}"


async def post(client: Client, review: str, step: str, key: str = "", **body: Any) -> Got:
    return await client.post(f"reviews/{review}/{step}", BODIES[step] | body, key)


async def take(doors: Doors, review: str, *steps: str) -> None:
    for step in steps:
        (await post(doors.assessor, review, step)).ok()


def everybody(doors: Doors) -> dict[Role, Client]:
    """A client of each role that belongs to the hall; clerk and pad at the review's window."""
    return {
        Role.ADMIN: doors.admin, Role.SUPERVISOR: doors.supervisor, Role.ASSESSOR: doors.assessor,
        Role.GUIDE: doors.guide, Role.KIOSK: doors.kiosk, Role.CLERK: doors.clerk["w1"], Role.DISPLAY: doors.display,
        Role.PAD: doors.pad["w1"],
    }  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_is_taken_by_whom_the_table_names_and_by_nobody_else(doors: Doors, step: str) -> None:
    clients = everybody(doors)
    may = ACCESS[f"POST /api/v1/halls/{{hall}}/reviews/{{id}}/{step}"].roles
    assert may == STEPS[step].by | {Role.ADMIN}
    for number, (role, client) in enumerate(clients.items(), 1):
        review = await complain(doors, number=number)
        await take(doors, review, *BEFORE[step])
        got = await post(client, review, step)
        if role in STEPS[step].by or role is Role.ADMIN:
            assert got.ok()["review"]["history"][-1]["step"] == STEPS[step].event
        else:
            assert got.code == (403, "forbidden")
    elsewhere = await doors.enter("assessor", hall="h2")
    assert (await post(elsewhere, review, step)).code == (403, "forbidden")
    assert (await post(doors.nobody, review, step)).code == (401, "unauthorized")


async def test_the_whole_way_answers_with_the_full_history_at_every_step(doors: Doors) -> None:
    review = await complain(doors)
    for n, step in enumerate(("assign", "verify", "rectify", "revisit", "close"), 2):
        found = (await post(doors.supervisor, review, step)).ok()["review"]
        assert len(found["history"]) == n
        assert found == (await doors.supervisor.get(f"reviews/{review}")).ok()["review"]
    assert (found["state"], found["due_ms"], found["assignee"]) == ("closed", None, "li")
    assert (await doors.supervisor.get("reviews?state=closed")).ok()["reviews"] == [found]
    assert (await doors.supervisor.get("stats")).ok()["stats"]["open_reviews"] == 0


async def test_a_clerk_appeals_the_reviews_of_the_own_window_only(doors: Doors) -> None:
    mine, other = await complain(doors, "w1", 1), await complain(doors, "w2", 2)
    assert (await post(doors.clerk["w1"], other, "appeal")).code == (403, "forbidden")
    assert (await post(doors.clerk["w1"], mine, "appeal")).ok()["review"]["state"] == "appealed"
    assert (await doors.assessor.get(f"reviews/{other}")).ok()["review"]["state"] == "open"


async def test_a_step_out_of_turn_says_the_state(doors: Doors) -> None:
    review = await complain(doors)
    got = await post(doors.supervisor, review, "close")
    assert (got.code, got.body["state"]) == ((409, "wrong_state"), "open")
    await take(doors, review, "appeal", "uphold")
    again = await post(doors.clerk["w1"], review, "appeal")
    assert (again.code, again.body["upheld"]) == ((409, "wrong_state"), True)


@pytest.mark.parametrize(
    ("step", "body"),
    [
        ("assign", {}), ("assign", {"to": ""}), ("assign", {"to": "a\nb"}), ("assign", {"to": "li", "colour": 1}),
        ("verify", {"note": "x"}), ("verify", {"result": "maybe", "note": "x"}), ("verify", {"result": "valid"}),
        ("verify", {"result": "valid", "note": ""}), ("rectify", {}), ("rectify", {"note": "x" * 1001}),
        ("rectify", {"note": "\x00"}), ("revisit", {}), ("revisit", {"result": "valid"}), ("close", {"note": 3}),
        ("appeal", {}), ("appeal", {"reason": ""}), ("uphold", {}), ("exclude", {"note": "x"}),
    ],
)  # fmt: skip
async def test_a_step_of_the_wrong_form_is_refused(doors: Doors, step: str, body: dict[str, Any]) -> None:
    got = await doors.assessor.post(f"reviews/r000001/{step}", body)
    assert got.code == (400, "validation")


async def test_a_review_that_is_not_there_is_not_found(doors: Doors) -> None:
    for step in STEPS:
        for name in ("r000009", "A001"):
            got = await post(doors.assessor, name, step)
            assert (got.code, got.body["what"]) == ((404, "not_found"), "review")


async def test_a_step_repeated_under_its_key_happens_once(doors: Doors) -> None:
    review = await complain(doors)
    first = await post(doors.supervisor, review, "assign", "k1")
    again = await post(doors.supervisor, review, "assign", "k1")
    assert (first.replayed, again.replayed, again.body) == (False, True, first.body)
    other = await post(doors.supervisor, review, "assign", "k1", to="wang")
    assert other.code == (422, "idempotency_mismatch")
    refused = [await post(doors.supervisor, review, "close", "k2") for _ in range(2)]
    assert [one.code for one in refused] == [(409, "wrong_state")] * 2
    assert refused[1].replayed


async def test_what_was_said_is_masked_by_role_at_every_step(doors: Doors) -> None:
    review = await complain(doors, comment="电话 13800001234")
    await take(doors, review, "assign")
    (await post(doors.supervisor, review, "verify", note="已致电 138 0000 1234 核实")).ok()
    await take(doors, review, "rectify")
    said = await post(doors.supervisor, review, "revisit", comment="我是 110101199003071234，满意")
    await doors.clerk["w1"].post(f"reviews/{review}/appeal", {"reason": "工号 5 无误"})

    def words(got: Got) -> list[str]:
        history = got.ok()["review"]["history"]
        return [one[name] for one in history for name in ("comment", "note", "reason") if name in one]

    whole = ["电话 13800001234", "已致电 138 0000 1234 核实", "已整改", "我是 110101199003071234，满意", "工号 5 无误"]
    assert words(await doors.assessor.get(f"reviews/{review}")) == whole
    masked = [f"电话 {MASK}", f"已致电 {MASK} 核实", "已整改", f"我是 {MASK}，满意", "工号 5 无误"]
    assert words(await doors.supervisor.get(f"reviews/{review}")) == masked
    assert words(said) == masked[:4], "the answer to a step is masked like a reading"
    mine = [MASK, f"已致电 {MASK} 核实", "已整改", MASK, "工号 5 无误"]
    assert words(await doors.clerk["w1"].get(f"reviews/{review}")) == mine


async def accepted(doors: Doors, case: str) -> None:
    """A visit finished as an accepted case at w1."""
    await doors.issue("a")
    for command in ("call", "start"):
        await doors.at("w1", command)
    await doors.at("w1", "finish", {"outcome": "accepted", "case": case})


async def test_a_case_is_looked_at_and_completed(doors: Doors) -> None:
    await accepted(doors, "2026-BJ-1")
    for client in (doors.supervisor, doors.clerk["w2"], doors.admin):
        found = (await client.get("cases/2026-BJ-1")).ok()["case"]
        assert (found["id"], found["state"], found["due_ms"]) == ("2026-BJ-1", "accepted", None)
    done = (await doors.clerk["w2"].post("cases/2026-BJ-1/complete", {"note": "已寄出"}, "k")).ok()["case"]
    assert (done["state"], done["history"][-1]["note"]) == ("completed", "已寄出")
    again = await doors.clerk["w2"].post("cases/2026-BJ-1/complete", {"note": "已寄出"}, "k")
    assert (again.replayed, again.ok()["case"]) == (True, done)
    late = await doors.supervisor.post("cases/2026-BJ-1/complete")
    assert (late.code, late.body["state"]) == ((409, "wrong_state"), "completed")


async def test_open_cases_are_listed_all_of_them_or_the_clerks_own(doors: Doors) -> None:
    await accepted(doors, "C-1")
    await doors.at("w2", "open", {"staff": "zhao"})
    await doors.issue("a")
    for command in ("call", "start"):
        await doors.at("w2", command)
    await doors.at("w2", "finish", {"outcome": "accepted", "case": "C-2"})

    async def listed(client: Client, query: str = "") -> list[str]:
        return [case["id"] for case in (await client.get(f"cases?{query}")).ok()["cases"]]

    assert await listed(doors.supervisor) == await listed(doors.admin) == ["C-1", "C-2"]
    assert (await listed(doors.clerk["w1"]), await listed(doors.clerk["w2"])) == (["C-1"], ["C-2"])
    first = (await doors.supervisor.get("cases?limit=1")).ok()
    assert [case["id"] for case in first["cases"]] == ["C-1"]
    assert await listed(doors.supervisor, f"limit=1&after={first['next']}") == ["C-2"]
    (await doors.supervisor.post("cases/C-1/complete", {"note": "电话 13800001234"})).ok()
    assert await listed(doors.supervisor) == ["C-2"]
    assert (await doors.supervisor.get("cases?after=x")).code == (400, "validation")
    assert (await doors.guide.get("cases")).code == (403, "forbidden")


async def test_a_promise_that_is_broken_is_reviewed_under_its_window(doors: Doors) -> None:
    services = [HALL["services"][0] | {"case_limit": "6h"}, *HALL["services"][1:]]
    put = await doors.admin.ask("PUT", "/api/v1/halls/h1", msgspec.json.encode(HALL | {"services": services}))
    assert put.status == 200
    await accepted(doors, "C-1")
    await doors.time.pass_ms(6 * 3_600_000 + 1)
    await doors.time.sweep_all()
    (found,) = (await doors.clerk["w1"].get("reviews?source=case")).ok()["reviews"]
    case = (await doors.supervisor.get("cases/C-1")).ok()["case"]
    assert (case["overtime"], case["review"], found["window"]) == (True, found["id"], "w1")


@pytest.mark.parametrize("name", ["2026 年第 7 号", "a/b", "c:1?#", "x" * 64])
async def test_a_case_of_any_number_is_found_by_its_path(doors: Doors, name: str) -> None:

    await accepted(doors, name)
    assert (await doors.supervisor.get(f"cases/{quote(name, safe='')}")).ok()["case"]["id"] == name


@pytest.mark.parametrize("name", ["C-9", "%00", "x" * 65, "%0a", "%ff"])
async def test_a_case_that_is_not_there_is_not_found(doors: Doors, name: str) -> None:
    got = await doors.supervisor.get(f"cases/{name}")
    assert (got.code, got.body["what"]) == ((404, "not_found"), "case")
    assert (await doors.supervisor.post(f"cases/{name}/complete")).code == (404, "not_found")


async def test_cases_are_for_those_who_work_on_them(doors: Doors) -> None:
    await accepted(doors, "C-1")
    for client in (doors.guide, doors.kiosk, doors.pad["w1"], doors.display, doors.assessor):
        assert (await client.get("cases/C-1")).code == (403, "forbidden")
        assert (await client.post("cases/C-1/complete")).code == (403, "forbidden")


async def test_a_number_that_is_known_is_refused_at_the_finish(doors: Doors) -> None:
    await accepted(doors, "C-1")
    await doors.issue("a")
    for command in ("call", "start"):
        await doors.at("w1", command)
    got = await doors.clerk["w1"].post("windows/w1/finish", {"outcome": "accepted", "case": "C-1"})
    assert (got.code, got.body["what"], got.body["state"]) == ((409, "wrong_state"), "case", "accepted")
    await doors.at("w1", "finish", {"outcome": "accepted", "case": "C-2"})
