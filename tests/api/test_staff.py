"""Staff as an admin and a supervisor see to them, and the trail of what one person did."""

from __future__ import annotations

from typing import Any

import pytest

from qserver.auth.roles import PEOPLE
from qserver.domain.lifecycle import Role
from qserver.feed import trail
from qserver.store.answers import SYSTEM
from tests.api.edge import Api
from tests.api.people import PASSWORD, STAFF, hire, log_in, sit
from tests.halls import small_hall

HALL = "/api/v1/halls/h1"


async def test_somebody_is_added_listed_changed_disabled_and_enabled(api: Api) -> None:
    made = (await hire(api, "1024", name="李敏", windows=["w1"])).json["staff"]
    assert made | {"created_ms": 0, "password_ms": 0} == {
        "id": "1024", "name": "李敏", "role": "clerk", "windows": ["w1"], "created_ms": 0, "password_ms": 0,
        "disabled_ms": None, "locked_until_ms": None, "login_ms": None,
    }  # fmt: skip
    await hire(api, "1001", "guide")
    listed = (await api.ask("GET", STAFF, by=Role.ASSESSOR)).json["staff"]
    assert [one["id"] for one in listed] == ["1001", "1024"]
    changed = await api.ask("POST", f"{STAFF}/1024/change", {"name": "李 敏", "windows": []})
    assert (changed.json["staff"]["name"], changed.json["staff"]["windows"]) == ("李 敏", [])
    assert (await api.ask("POST", f"{STAFF}/1024/disable")).json["staff"]["disabled_ms"] > 0
    assert (await api.ask("POST", f"{STAFF}/1024/disable")).status == 200
    assert (await api.ask("POST", f"{STAFF}/1024/enable")).json["staff"]["disabled_ms"] is None
    await sit(api)
    assert (await api.ask("GET", f"{STAFF}/1024")).json["staff"]["login_ms"] > 0


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"id": "1", "role": "clerk"}, "validation"),
        ({"id": "1", "role": "clerk", "password": "short"}, "validation"),
        ({"id": "1", "role": "clerk", "password": "x" * 129}, "validation"),
        ({"id": "a b", "role": "clerk", "password": PASSWORD}, "validation"),
        ({"id": "1/2", "role": "clerk", "password": PASSWORD}, "validation"),
        ({"id": "holder:x", "role": "clerk", "password": PASSWORD}, "validation"),
        ({"id": "system", "role": "clerk", "password": PASSWORD}, "validation"),
        ({"id": "anonymous", "role": "clerk", "password": PASSWORD}, "validation"),
        ({"id": "guide-h1-", "role": "clerk", "password": PASSWORD}, "in_use"),
        ({"id": "1", "role": "clerk", "password": PASSWORD, "name": "a\nb"}, "validation"),
        ({"id": "1", "role": "clerk", "password": PASSWORD, "windows": ["w9"]}, "no_such_window"),
        ({"id": "1", "role": "clerk", "password": PASSWORD, "hall": "h2"}, "validation"),
        *(({"id": "1", "role": role.value, "password": PASSWORD}, "validation") for role in Role if role not in PEOPLE),
    ],
)
async def test_who_makes_no_sense_is_not_added(api: Api, wanted: dict[str, Any], code: str) -> None:
    answer = await api.ask("POST", STAFF, wanted)
    assert answer.code == code
    assert (await api.ask("GET", STAFF)).json["staff"] == []


async def test_nobody_is_added_twice_and_a_repeat_adds_nobody(api: Api) -> None:
    body = {"id": "1024", "role": "clerk", "password": PASSWORD}
    first, again = [await api.ask("POST", STAFF, body, key="k") for _ in range(2)]
    assert (first.status, again.status, again.replayed, again.content) == (201, 201, True, first.content)
    assert (await api.ask("POST", STAFF, body)).code == "in_use"
    assert (await api.ask("POST", "/api/v1/halls/none/staff", body)).code == "not_found"
    await api.store.configure(SYSTEM, small_hall("h2"))
    assert (await api.ask("POST", "/api/v1/halls/h2/staff", body)).status == 201  # another hall's is another person
    assert (await log_in(api, hall="h2")).json["hall"] == "h2"


async def test_a_supervisor_sees_to_clerks_and_guides_only(api: Api) -> None:
    ask: dict[str, Any] = {"by": Role.SUPERVISOR}
    for role in ("clerk", "guide"):
        body = {"id": role, "role": role, "password": PASSWORD}
        assert (await api.ask("POST", STAFF, body, **ask)).status == 201
        assert (await api.ask("POST", f"{STAFF}/{role}/disable", **ask)).status == 200
    for role in ("supervisor", "assessor", "admin"):
        body = {"id": f"the-{role}", "role": role, "password": PASSWORD}
        assert (await api.ask("POST", STAFF, body, **ask)).code == "forbidden"
        assert (await api.ask("POST", STAFF, body)).status == 201
        assert (await api.ask("POST", f"{STAFF}/clerk/change", {"role": role}, **ask)).code == "forbidden"
        at = f"{STAFF}/the-{role}"
        assert (await api.ask("POST", f"{at}/password", {"password": PASSWORD}, **ask)).code == "forbidden"
        for command in ("disable", "enable"):
            assert (await api.ask("POST", f"{at}/{command}", **ask)).code == "forbidden"
        assert (await api.ask("POST", f"{at}/change", {"role": "clerk"}, **ask)).code == "forbidden"
    assert (await api.ask("POST", f"{STAFF}/clerk/change", {}, **ask)).code == "validation"
    assert (await api.ask("POST", f"{STAFF}/nobody/disable", **ask)).code == "not_found"
    assert (await api.ask("GET", f"{STAFF}/*", **ask)).code == "not_found"


async def test_a_halls_staff_are_found_among_many(api: Api) -> None:
    """More than a page of the data server's scan, and a hall whose id another one's begins with."""
    for hall in ("h1", "h", "h10"):
        for n in range(700):
            await api.store.add_staff(SYSTEM, hall, f"s{n:04}", name="", role="clerk", hashed="x")
    assert [one.id for one in await api.store.staff("h1")] == [f"s{n:04}" for n in range(700)]
    assert await api.store.staff("h2") == []


# The trail


async def events(api: Api, staff: str, **query: Any) -> list[str]:
    """Kinds of a whole trail, over all its pages."""
    found: list[str] = []
    after = ""
    while True:
        params = "&".join(f"{name}={value}" for name, value in {**query, "after": after}.items() if value != "")
        page = (await api.ask("GET", f"{STAFF}/{staff}/events?{params}", by=Role.ASSESSOR)).json
        found += [event["type"].removeprefix("qserver.") for event in page["events"]]
        if page["next"] is None:
            return found
        after = page["next"]


async def a_day(api: Api) -> list[str]:
    """What two clerks at one window and a device leave; answers the kinds of the first clerk's trail."""
    await hire(api, "a")
    await hire(api, "b")
    first = await sit(api, "a")
    at = f"{HALL}/windows/w1"
    await api.ask("POST", f"{at}/open", by=first)
    await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE)
    for command in ("call", "recall", "start", "finish"):
        assert (await api.ask("POST", f"{at}/{command}", by=first)).status == 200
    await api.ask("POST", f"{at}/close", by=Role.SUPERVISOR)
    second = await sit(api, "b")
    await api.ask("POST", f"{at}/open", by=second)
    await api.ask("POST", "/api/v1/logout", by=second)
    return [
        "staff.added", "token.created", "staff.logged_in", "window.opened", "ticket.called", "ticket.recalled",
        "ticket.started", "ticket.finished", "rating.prompted", "token.revoked",
    ]  # fmt: skip


async def test_the_trail_holds_what_a_person_did_and_what_was_done_about_it(api: Api) -> None:
    wanted = await a_day(api)
    assert await events(api, "a") == wanted
    assert (await events(api, "b"))[-2:] == ["token.revoked", "staff.logged_out"]
    assert await events(api, "nobody") == []
    await api.store.configure(SYSTEM, small_hall("h2"))
    other = await api.ask("GET", "/api/v1/halls/h2/staff/a/events")
    assert other.json == {"events": [], "next": None}


@pytest.mark.parametrize("looked_at", [1, 2, 3, 7])
@pytest.mark.parametrize("limit", [1, 4])
async def test_a_trail_in_pages_is_the_whole_trail(
    api: Api, monkeypatch: pytest.MonkeyPatch, looked_at: int, limit: int
) -> None:
    monkeypatch.setattr(trail, "LOOKED_AT", looked_at)
    assert await events(api, "a", limit=limit) == []
    wanted = await a_day(api)
    assert await events(api, "a", limit=limit) == wanted


async def test_a_cursor_of_nobodys_is_refused(api: Api) -> None:
    for after in ("x", "1-1", "1-1.2-2.3-3", "9" * 99):
        assert (await api.ask("GET", f"{STAFF}/a/events?after={after}")).code == "validation"


async def test_reviews_are_read_by_whose_work_they_are_about(api: Api) -> None:
    await hire(api, "a")
    await hire(api, "b")
    numbers = {}
    for staff, window in (("a", "w1"), ("b", "w1"), ("a", "w3")):
        token = await sit(api, staff, window)
        at = f"{HALL}/windows/{window}"
        await api.ask("POST", f"{at}/open", by=token)
        issued = (await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE)).json
        for command in ("call", "start", "finish"):
            assert (await api.ask("POST", f"{at}/{command}", by=token)).status == 200
        link = issued["url"].rpartition("/")[2]
        assert (await api.ask("POST", f"/api/v1/t/{link}/rating", {"score": 1}, by="")).status == 200
        numbers[staff, window] = issued["ticket"]["id"]
    mine = await sit(api, "a", "w2")  # whichever window it is today
    seen = (await api.ask("GET", f"{HALL}/reviews", by=mine)).json["reviews"]
    assert {review["ticket"] for review in seen} == {numbers["a", "w1"], numbers["a", "w3"]}
    everyone = (await api.ask("GET", f"{HALL}/reviews", by=Role.SUPERVISOR)).json["reviews"]
    (others,) = [review["id"] for review in everyone if review["staff"] == "b"]
    assert (await api.ask("GET", f"{HALL}/reviews/{others}", by=mine)).code == "forbidden"
    assert (await api.ask("POST", f"{HALL}/reviews/{others}/appeal", {"reason": "x"}, by=mine)).code == "forbidden"
    appealed = await api.ask("POST", f"{HALL}/reviews/{seen[0]['id']}/appeal", {"reason": "误评"}, by=mine)
    assert appealed.json["review"]["history"][-1]["actor"] == "a"
    device = (await api.ask("GET", f"{HALL}/reviews", by=Role.CLERK)).json["reviews"]
    assert {review["window"] for review in device} == {"w1"}
