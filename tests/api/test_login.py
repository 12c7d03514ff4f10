"""Logging in: who may, what a session is and when it ends, and that nobody learns more from being refused."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import argon2
import msgspec
import pytest

from qserver.api.limits import Limits
from qserver.auth import secrets
from qserver.auth.login import Terms
from qserver.domain.lifecycle import Role
from qserver.store import keys
from qserver.store.answers import SYSTEM
from qserver.store.gate import CONTROL
from tests.api.edge import Answer, Api, StartApi
from tests.api.people import LOGIN, OTHER, PASSWORD, STAFF, hire, log_in, recorded, sit
from tests.halls import small_hall

HALL = "/api/v1/halls/h1"
W1 = f"{HALL}/windows/w1"


async def test_a_session_is_a_token_of_the_persons_role_that_ends(api: Api) -> None:
    await hire(api, name="李敏")
    answer = await log_in(api)
    now = await api.store.now()
    session = answer.json
    assert session | {"token": "", "expires_ms": 0} == {
        "token": "", "role": "clerk", "hall": "h1", "window": "w1", "staff": "1024", "name": "李敏", "expires_ms": 0,
    }  # fmt: skip
    assert 0 <= now + 12 * 3_600_000 - session["expires_ms"] < 60_000
    assert (await api.ask("POST", f"{W1}/open", by=session["token"])).status == 200
    assert (await api.ask("POST", f"{HALL}/windows/w2/open", by=session["token"])).code == "forbidden"
    assert (await api.ask("GET", f"{HALL}/stats", by=session["token"])).code == "forbidden"


async def test_a_role_that_works_at_no_window_logs_in_without(api: Api) -> None:
    for staff, role in (("supervisor", "supervisor"), ("guide", "guide"), ("boss", "admin")):
        await hire(api, staff, role)
    assert (await api.ask("GET", f"{HALL}/stats", by=await sit(api, "supervisor", None))).status == 200
    boss = await sit(api, "boss", None)
    assert (await api.ask("GET", "/api/v1/tokens", by=boss)).status == 200
    await api.store.configure(SYSTEM, small_hall("h2"))
    assert (await api.ask("GET", "/api/v1/halls/h2", by=boss)).code == "forbidden"
    assert (await log_in(api, "guide", window="w1")).code == "validation"
    await hire(api)
    assert (await log_in(api, window=None)).code == "validation"
    for _ in range(3):  # the password was right each time: nobody is locked out for a wrong window
        assert (await log_in(api, window="w9")).code == "no_such_window"
        assert (await log_in(api, window=None)).code == "validation"
    assert (await log_in(api)).status == 200


async def test_a_clerk_logs_in_at_its_own_windows_only(api: Api) -> None:
    await hire(api, windows=["w1", "w2"])
    assert (await log_in(api, window="w2")).status == 200
    assert (await log_in(api, window="w3")).code == "forbidden"
    assert (await log_in(api, "none", window="w3")).code == "unauthorized"  # who it is comes first


async def test_every_way_not_to_be_let_in_looks_the_same(api: Api) -> None:
    await hire(api)
    await hire(api, "gone")
    await api.ask("POST", f"{STAFF}/gone/disable")
    await api.store.configure(SYSTEM, small_hall("h2"))
    answers = [
        await log_in(api, password="wrong"),
        await log_in(api, "nobody"),
        await log_in(api, "gone"),
        await log_in(api, hall="h2"),
    ]
    assert {(answer.status, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert b"1024" not in answers[0].content and PASSWORD.encode() not in answers[0].content


async def test_as_much_is_hashed_for_who_is_unknown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await hire(api)
    worked: list[str] = []
    for name in ("hash", "verify"):
        real = getattr(argon2.PasswordHasher, name)

        def counted(*args: Any, _real: Any = real, _name: str = name, **more: Any) -> Any:
            worked.append(_name)
            return _real(*args, **more)

        monkeypatch.setattr(argon2.PasswordHasher, name, counted)
    await log_in(api, "nobody")
    await log_in(api, password="wrong")
    assert worked == ["hash", "verify"]


@pytest.mark.parametrize("staff", ["1024", "nobody"])
async def test_too_many_wrong_passwords_lock_a_name_whether_somebody_has_it_or_not(
    start_api: StartApi, staff: str
) -> None:
    api = await start_api(terms=Terms(wrong_max=3))
    await hire(api)
    tries = [await log_in(api, staff, "wrong") for _ in range(4)]
    assert [answer.code for answer in tries] == ["unauthorized"] * 3 + ["rate_limited"]
    assert 0 < int(tries[-1].headers["Retry-After"]) <= 900
    locked = await log_in(api, staff)  # with the right one, too
    assert (locked.status, locked.code) == (429, "rate_limited")
    other = await start_api(furnish=False, terms=Terms(wrong_max=3))  # and in every process
    assert (await log_in(other, staff)).code == "rate_limited"


async def test_the_supervisor_sees_a_lock_and_lifts_it(start_api: StartApi) -> None:
    api = await start_api(terms=Terms(wrong_max=2))
    await hire(api)
    for _ in range(3):
        await log_in(api, password="wrong")
    (seen,) = (await api.ask("GET", STAFF, by=Role.SUPERVISOR)).json["staff"]
    assert 0 < seen["locked_until_ms"] - await api.store.now() <= 900_000
    told = [event for event in await recorded(api.store) if event.kind.startswith("staff.")]
    assert [event.kind for event in told] == ["staff.added", "staff.refused", "staff.refused", "staff.locked"]
    assert told[-1].staff == "1024" and told[-1].more()["of"] == "h1"
    assert told[-1].more()["until_ms"] == seen["locked_until_ms"]
    lifted = await api.ask("POST", f"{STAFF}/1024/enable", by=Role.SUPERVISOR)
    assert lifted.json["staff"]["locked_until_ms"] is None
    assert (await log_in(api)).status == 200


async def test_a_log_in_forgets_the_wrong_ones_before_it(start_api: StartApi) -> None:
    api = await start_api(terms=Terms(wrong_max=3))
    await hire(api)
    for _ in range(3):
        for _ in range(2):
            assert (await log_in(api, password="wrong")).status == 401
        assert (await log_in(api)).status == 200


async def test_guesses_that_come_at_once_are_not_more_than_one_after_the_other(start_api: StartApi) -> None:
    api = await start_api(terms=Terms(wrong_max=3), limits=Limits(0, 0, logins=0))
    await hire(api)
    answers = await asyncio.gather(*(log_in(api, password=f"wrong {n}") for n in range(10)))
    assert sorted(answer.status for answer in answers) == [401] * 3 + [429] * 7


async def test_tries_are_bounded_by_address_and_by_person(start_api: StartApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qserver.api.login.PER_PERSON", 1 / 1000)  # so slow that nothing comes back within the test
    monkeypatch.setattr("qserver.api.login.BURST_S", 3000.0)
    api = await start_api(limits=Limits(0, 0, logins=2 * 60 / 3000))
    await hire(api)
    answers = [await log_in(api, f"nobody-{n}") for n in range(3)]
    assert [answer.status for answer in answers] == [401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    api = await start_api(limits=Limits(0, 0, logins=0))
    assert [(await log_in(api)).status for _ in range(4)] == [200, 200, 200, 429]


async def test_a_flood_of_log_ins_waits_and_then_is_told_to_come_again(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qserver.auth.passwords.WAITING_MAX", 0)
    monkeypatch.setattr("qserver.auth.passwords.Passwords.__init__.__defaults__", (1, 1))
    api = await start_api()
    answers = await asyncio.gather(*(log_in(api, f"nobody-{n}") for n in range(8)))
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {401, 503} and statuses.count(401) >= 2
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 503)
    assert (await log_in(api, "nobody-9")).status == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"hall": "h1", "staff": "1024"},
        {"hall": "h1", "staff": "1024", "password": ""},
        {"hall": "h1", "staff": "1024", "password": "x" * 129},
        {"hall": "h1", "staff": "h1/1024", "password": "x"},
        {"hall": "h1", "staff": "*", "password": "x"},
        {"hall": "h1", "staff": "1024\n", "password": "x"},
        {"hall": "*", "staff": "1024", "password": "x"},
        {"hall": "h1", "staff": 1024, "password": "x"},
        {"hall": "h1", "staff": "1024", "password": "x", "role": "admin"},
    ],
)
async def test_what_is_no_log_in_is_refused_unread(api: Api, body: dict[str, Any]) -> None:
    answer = await api.ask("POST", LOGIN, body, by="")
    assert (answer.status, answer.code) == (400, "validation")
    assert not [event for event in await recorded(api.store) if event.kind.startswith("staff.")]


async def test_a_password_is_the_same_however_a_keyboard_composes_it(api: Api) -> None:
    await api.ask("POST", STAFF, {"id": "7", "role": "clerk", "password": "Café 12345"})
    assert (await log_in(api, "7", "Cafe\u0301 １２３４５")).status == 200
    assert (await log_in(api, "7", "cafe 12345")).status == 401


# Sessions end


async def test_the_second_clerk_takes_a_window_over_openly_and_the_first_is_told(api: Api) -> None:
    await hire(api, "a")
    await hire(api, "b")
    first = await sit(api, "a")
    await api.ask("POST", f"{W1}/open", by=first)
    number = (await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE)).json["ticket"]["id"]
    await api.ask("POST", f"{W1}/call", by=first)
    second = await sit(api, "b")
    refused = await api.ask("POST", f"{W1}/start", by=first)
    assert (refused.status, refused.code) == (401, "unauthorized")
    assert (refused.json["reason"], refused.json["by"]) == ("taken_over", "b")
    window = (await api.ask("GET", W1, by=second)).json["window"]
    assert (window["staff"], window["state"], window["ticket"]) == ("b", "called", number[-4:])  # nothing is lost
    assert (await api.ask("POST", f"{W1}/start", by=second)).json["ticket"]["staff"] == "b"
    told = await recorded(api.store, api.store.partition("h1"))
    (event,) = [event for event in told if event.kind == "window.taken_over"]
    assert (event.staff, event.actor, event.more()["from_staff"]) == ("b", "b", "a")


async def test_a_clerk_whose_window_is_another_ones_by_the_record_commands_nothing(api: Api) -> None:
    """However it came to that: here a device opens the window in somebody's name."""
    await hire(api)
    mine = await sit(api)
    await api.ask("POST", f"{W1}/open", by=mine)
    await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE)
    await api.ask("POST", f"{W1}/open", {"staff": "someone"}, by=Role.CLERK)
    for command in ("call", "recall", "start", "finish", "miss", "undo", "close", "resume"):
        answer = await api.ask("POST", f"{W1}/{command}", by=mine)
        assert (answer.status, answer.code, answer.json["staff"]) == (409, "taken_over", "someone"), command
    reason = {"reason": "x"}
    bodies = {"pause": reason, "hold": reason, "unhold": {"ticket": "A001"}, "transfer": {"service": "b"}}
    for command, body in bodies.items():
        assert (await api.ask("POST", f"{W1}/{command}", body, by=mine)).code == "taken_over", command
    assert (await api.ask("POST", f"{W1}/open", by=mine)).json["window"]["staff"] == "1024"
    assert (await api.ask("POST", f"{W1}/call", by=mine)).json["ticket"]["staff"] == "1024"


async def test_nobody_opens_a_window_in_anothers_name_after_logging_in(api: Api) -> None:
    await hire(api)
    await hire(api, "boss", "supervisor")
    clerk, boss = await sit(api), await sit(api, "boss", None)
    for by in (clerk, boss):
        assert (await api.ask("POST", f"{W1}/open", {"staff": "2048"}, by=by)).code == "forbidden"
    assert (await api.ask("POST", f"{W1}/open", {"staff": "1024"}, by=clerk)).json["window"]["staff"] == "1024"
    assert (await api.ask("POST", f"{W1}/open", by=boss)).json["window"]["staff"] == "1024"  # stays the clerk's
    assert (await api.ask("POST", f"{W1}/open", {"staff": "2048"}, by=Role.CLERK)).json["window"]["staff"] == "2048"


async def test_a_log_out_ends_the_session_and_leaves_the_window(api: Api) -> None:
    await hire(api)
    token = await sit(api)
    await api.ask("POST", f"{W1}/open", by=token)
    assert (await api.ask("POST", "/api/v1/logout", by=token)).status == 204
    refused = await api.ask("GET", W1, by=token)
    assert (refused.status, refused.json["reason"]) == (401, "logged_out")
    assert (await api.ask("GET", W1)).json["window"]["state"] == "idle"
    assert (await api.ask("POST", "/api/v1/logout", by=Role.CLERK)).code == "wrong_state"


async def test_logging_out_again_is_answered_alike_and_ends_nothing_else(api: Api) -> None:
    await hire(api)
    token = await sit(api)
    answers = await asyncio.gather(*(api.ask("POST", "/api/v1/logout", by=token, key="k") for _ in range(5)))
    answers.append(await api.ask("POST", "/api/v1/logout", by=token))
    assert [(one.status, one.content) for one in answers] == [(204, b"")] * 6
    assert len([event for event in await recorded(api.store) if event.kind == "token.revoked"]) == 1
    later = await sit(api)
    assert (await api.ask("POST", "/api/v1/logout", by=token)).status == 204
    assert (await api.ask("GET", W1, by=later)).status == 200, "another session of the same person goes on"


async def test_only_the_holder_of_a_session_that_ended_is_told_so(api: Api) -> None:
    await hire(api)
    never = secrets.token_text(api.store.server_key, "nobodys")
    revoked = await api.token(Role.GUIDE, token_id="tablet")
    await api.ask("DELETE", "/api/v1/tokens/tablet")
    for by in (never, revoked, "x" * 40, ""):
        assert (await api.ask("POST", "/api/v1/logout", by=by)).status == 401
    token = await sit(api)
    await api.ask("POST", f"{STAFF}/1024/disable")
    assert (await api.ask("POST", "/api/v1/logout", by=token)).status == 204


async def test_a_body_of_the_wrong_form_with_a_password_is_refused_anew_under_its_key(api: Api) -> None:
    for _ in range(2):
        refused = await api.ask("POST", LOGIN, {"hall": "h1", "staff": "1024", "pasword": PASSWORD}, by="", key="k")
        assert (refused.code, refused.replayed) == ("validation", False)
    await hire(api)
    assert (await log_in(api, key="k")).status == 200, "nothing was kept that the right body would not fit"


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("disable", None, "disabled"),
        ("password", {"password": OTHER}, "password"),
        ("change", {"windows": ["w2"]}, "changed"),
        ("change", {"role": "guide"}, "changed"),
    ],
)
async def test_what_takes_the_right_away_ends_every_session_at_once(
    start_api: StartApi, path: str, body: Any, reason: str
) -> None:
    here, there = await start_api(), await start_api(furnish=False)
    await hire(here)
    tokens = [await sit(here, window=window) for window in ("w1", "w2")]
    for token in tokens:
        assert (await there.ask("GET", HALL, by=token)).status == 200
    told: asyncio.Queue[str] = asyncio.Queue()
    there.auth.on_revoked(told.put_nowait)
    assert (await here.ask("POST", f"{STAFF}/1024/{path}", body)).status == 200
    async with asyncio.timeout(10):
        heard = {await told.get() for _ in tokens}
    assert len(heard) == 2
    for token in tokens:
        for api in (here, there):
            refused = await api.ask("GET", HALL, by=token)
            assert (refused.status, refused.json.get("reason")) == (401, reason)
    if path == "disable":
        assert (await log_in(here)).status == 401
        await here.ask("POST", f"{STAFF}/1024/enable")
        assert (await log_in(here)).status == 200
    if path == "password":
        assert [(await log_in(here, password=one)).status for one in (PASSWORD, OTHER)] == [401, 200]


async def test_sessions_are_listed_and_revoked_like_tokens(api: Api) -> None:
    await hire(api)
    token = await sit(api)
    (listed,) = [one for one in (await api.ask("GET", "/api/v1/tokens")).json["tokens"] if one["staff"]]
    assert (listed["staff"], listed["role"], listed["hall"], listed["window"]) == ("1024", "clerk", "h1", "w1")
    assert (await api.ask("DELETE", f"/api/v1/tokens/{listed['id']}")).json["revoked_ms"] > 0
    assert (await api.ask("GET", HALL, by=token)).json["reason"] == "revoked"
    assert (await api.ask("DELETE", f"/api/v1/tokens/{listed['id']}")).code == "not_found"
    assert listed["id"] not in {one["id"] for one in (await api.ask("GET", "/api/v1/tokens")).json["tokens"]}


async def test_a_session_ends_by_itself(start_api: StartApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api = await start_api(terms=Terms(session_ms=600_000))
    await hire(api)
    token = await sit(api)
    assert (await api.ask("GET", HALL, by=token)).status == 200
    now = await api.store.now()
    monkeypatch.setattr(api.auth, "now_ms", lambda: now + 600_001)
    refused = await api.ask("GET", HALL, by=token)
    assert (refused.status, refused.json["reason"]) == (401, "expired")


async def test_a_person_has_few_sessions_and_no_trace_of_old_ones_stays(api: Api) -> None:
    await hire(api, "guide", "guide")
    tokens = [await sit(api, "guide", None) for _ in range(10)]
    statuses = [(await api.ask("GET", HALL, by=token)).status for token in tokens]
    assert statuses == [401] * 2 + [200] * 8
    person = await api.store.person("h1", "guide")
    assert len(person.sessions) == 8
    assert await api.store.token_by_digest(secrets.digest(tokens[0])) is None


# Asked twice


async def test_a_repeated_log_in_is_the_same_session(api: Api) -> None:
    await hire(api)
    first, again = [await log_in(api, key="k") for _ in range(2)]
    assert (again.status, again.replayed, again.content) == (200, True, first.content)
    assert (await log_in(api, password="wrong", key="k")).status == 401  # a key is no password
    assert (await log_in(api, window="w2", key="k")).code == "idempotency_mismatch"
    assert (await log_in(api)).json["token"] != first.json["token"]


async def test_a_late_repeat_does_not_take_the_window_back(api: Api) -> None:
    await hire(api, "a")
    await hire(api, "b")
    await log_in(api, "a", key="k")
    second = await sit(api, "b")
    await api.ask("POST", f"{W1}/open", by=second)
    again = await log_in(api, "a", key="k")
    assert again.replayed
    assert (await api.ask("GET", W1)).json["window"]["staff"] == "b"
    assert (await api.ask("GET", W1, by=again.json["token"])).json["reason"] == "taken_over"


async def test_of_many_who_log_in_at_once_one_has_the_window(api: Api) -> None:
    names = ["a", "b", "c", "d"]
    for name in names:
        await hire(api, name)
    await api.ask("POST", f"{W1}/open", {"staff": "before"}, by=Role.CLERK)
    answers = await asyncio.gather(*(log_in(api, name) for name in names))
    last = [one for one in answers if (await api.ask("GET", W1, by=one.json["token"])).status == 200]
    assert len(last) == 1
    holder = last[0].json
    if (await api.ask("GET", W1)).json["window"]["staff"] != holder["staff"]:
        await api.ask("POST", f"{W1}/open", by=holder["token"])
    await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE)
    called = await api.ask("POST", f"{W1}/call", by=holder["token"])
    assert called.json["ticket"]["staff"] == holder["staff"]


async def test_a_press_repeated_after_logging_in_again_is_done_once(api: Api) -> None:
    await hire(api)
    for _ in range(2):
        await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE)
    token = await sit(api)
    await api.ask("POST", f"{W1}/open", by=token)
    first = await api.ask("POST", f"{W1}/call", {"finish": False}, by=token, key="press")
    again = await api.ask("POST", f"{W1}/call", {"finish": False}, by=await sit(api), key="press")
    assert (again.replayed, again.content) == (True, first.content)


async def test_keys_of_two_people_are_apart(api: Api) -> None:
    await hire(api, "a")
    await hire(api, "b")
    for staff, window in (("a", "w1"), ("b", "w2")):
        token = await sit(api, staff, window)
        answer = await api.ask("POST", f"{HALL}/windows/{window}/open", by=token, key="same")
        assert answer.json["window"]["staff"] == staff and not answer.replayed


# One's own password


async def test_ones_own_password_is_set_by_who_knows_it(api: Api) -> None:
    await hire(api, "g", "guide")
    here, elsewhere = await sit(api, "g", None), await sit(api, "g", None)
    ask: dict[str, Any] = {"by": here}
    wrong = await api.ask("POST", "/api/v1/password", {"password": "wrong", "new": OTHER}, **ask)
    assert (wrong.status, wrong.code) == (403, "forbidden")
    change = {"password": PASSWORD, "new": OTHER}
    assert (await api.ask("POST", "/api/v1/password", change, **ask)).status == 204
    assert (await api.ask("POST", "/api/v1/password", change, **ask)).status == 204  # its answer was lost
    assert (await api.ask("GET", HALL, by=here)).status == 200
    assert (await api.ask("GET", HALL, by=elsewhere)).json["reason"] == "password"
    assert (await log_in(api, "g", window=None)).status == 401
    assert (await log_in(api, "g", OTHER, window=None)).status == 200
    assert (await api.ask("POST", "/api/v1/password", change, by=Role.GUIDE)).code == "wrong_state"


async def test_a_password_is_set_once_under_its_key(api: Api) -> None:
    await hire(api, "g", "guide")
    here = await sit(api, "g", None)
    change = {"password": PASSWORD, "new": OTHER}
    assert (await api.ask("POST", "/api/v1/password", change, by=here, key="k")).status == 204
    again = await api.ask("POST", "/api/v1/password", change, by=here, key="k")
    assert (again.status, again.headers["Idempotency-Replayed"]) == (204, "true")
    other = {"password": OTHER, "new": PASSWORD}
    assert (await api.ask("POST", "/api/v1/password", other, by=here, key="k")).code == "idempotency_mismatch"
    assert (await log_in(api, "g", OTHER, window=None)).status == 200


def _texts(answers: list[Answer]) -> bytes:
    return b"".join(answer.content for answer in answers)


async def test_no_password_and_no_hash_comes_out_anywhere(
    start_api: StartApi, caplog: pytest.LogCaptureFixture
) -> None:
    api = await start_api()
    answers = [await hire(api), await hire(api, "b")]
    answers += [
        await api.ask("POST", STAFF, {"id": "c", "role": "clerk", "password": PASSWORD}, key="k"),
        await api.ask("POST", STAFF, {"id": "d", "role": "clerk", "password": PASSWORD, "pasword": PASSWORD}),
        await log_in(api, key="k"),
        await log_in(api, password=OTHER),
        await api.ask("POST", f"{STAFF}/b/password", {"password": OTHER}, key="k"),
        await api.ask("GET", STAFF),
        await api.ask("GET", f"{STAFF}/1024"),
        await api.ask("GET", f"{STAFF}/1024/events"),
        await api.ask("GET", "/api/v1/tokens"),
    ]
    person = await api.store.person("h1", "1024")
    secret = [PASSWORD, OTHER, person.hash, "argon2", *person.sessions]
    found = _texts(answers)
    for partition in (CONTROL, api.store.partition("h1")):
        entries = await api.store.read_events(partition)
        found += b"".join(value for _, fields in entries for value in fields.values())
    found += caplog.text.encode()
    assert not [one for one in secret if one.encode() in found]


async def test_nothing_that_is_kept_makes_a_password_quick_to_guess(api: Api) -> None:
    """Under a key a digest of the body is kept for hours: never a quick one of a body with a password in it."""
    bodies = {
        "POST " + STAFF: {"id": "c", "role": "clerk", "password": PASSWORD},
        "POST " + STAFF + "/c/password": {"password": PASSWORD},
        "POST " + LOGIN: {"hall": "h1", "staff": "c", "password": PASSWORD, "window": "w1"},
    }
    quick = {hashlib.blake2b(PASSWORD.encode(), digest_size=16).digest()}
    for request, body in bodies.items():
        method, path = request.split(" ")
        data = msgspec.json.encode(body)
        quick.add(hashlib.blake2b(data, digest_size=16).digest())
        headers = {"Content-Type": "application/json"}
        by = "" if path == LOGIN else Role.ADMIN
        assert (await api.ask(method, path, data=data, key="k", headers=headers, by=by)).status < 300
    kept: list[bytes] = []
    for name in keys.control_keys()[3:5]:
        rows: Any = await api.store._topology.call(keys.CONTROL_TAG, "HVALS", name)
        kept += rows
    assert len(kept) == 3
    assert not {row[:16] for row in kept} & quick
    assert all(PASSWORD.encode() not in row for row in kept)
    repeat = await api.ask("POST", STAFF, {"id": "c", "role": "clerk", "password": OTHER}, key="k")
    assert repeat.code == "idempotency_mismatch"
