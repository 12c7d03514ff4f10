"""What every request goes through: who may what, which form, health, headers, a data server that is away."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import yarl
from aiohttp import web

from qserver.api.access_log import AccessLog
from qserver.api.limits import Limits
from qserver.api.paths import Endpoint
from qserver.api.routing import Body, Call, Reply, Route
from qserver.auth import secrets
from qserver.auth.roles import ACCESS, OPEN, SECRET
from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM
from tests import servers
from tests.api.edge import Api, StartApi

HALL = "/api/v1/halls/h1"
EVERY = "supervisor assessor guide kiosk clerk display pad analytics"
MAY: dict[str, str] = {
    # What the interface promises, by hand: request -> roles besides admin.
    f"PUT {HALL}": "",
    f"GET {HALL}": EVERY,
    "GET /api/v1/halls": EVERY,
    f"POST {HALL}/notices": "supervisor",
    "POST /api/v1/tokens": "",
    "GET /api/v1/tokens": "",
    "DELETE /api/v1/tokens/none": "",
    "POST /api/v1/pairings": "supervisor",
    "POST /api/v1/logout": EVERY,
    "POST /api/v1/password": EVERY,
    f"GET {HALL}/staff": "supervisor assessor",
    f"POST {HALL}/staff": "supervisor",
    f"GET {HALL}/staff/none": "supervisor assessor",
    **{f"POST {HALL}/staff/none/{one}": "supervisor" for one in ("change", "password", "disable", "enable")},
    f"GET {HALL}/staff/none/events": "assessor",
    f"POST {HALL}/tickets": "guide kiosk",
    f"GET {HALL}/tickets": "guide clerk supervisor assessor",
    f"GET {HALL}/tickets/A001": "guide clerk supervisor assessor",
    f"POST {HALL}/tickets/A001/cancel": "guide kiosk supervisor",
    f"POST {HALL}/tickets/A001/return": "guide kiosk clerk supervisor",
    f"POST {HALL}/tickets/A001/reprioritise": "guide supervisor",
    f"POST {HALL}/tickets/A001/reprint": "guide kiosk",
    f"GET {HALL}/queues": EVERY,
    f"POST {HALL}/services/a/suspend": "supervisor guide",
    f"POST {HALL}/services/a/resume": "supervisor guide",
    f"GET {HALL}/windows": "supervisor assessor guide clerk display pad",
    f"GET {HALL}/windows/w1": "supervisor assessor guide clerk display pad",
    f"GET {HALL}/windows/w2": "supervisor assessor guide clerk",
    **{f"POST {HALL}/windows/w1/{one}": "clerk supervisor" for one in ("open", "close", "pause", "resume")},
    **{f"POST {HALL}/windows/w2/{one}": "supervisor" for one in ("open", "close", "pause", "resume")},
    **{
        f"POST {HALL}/windows/w1/{one}": "clerk"
        for one in ("call", "recall", "start", "finish", "miss", "hold", "unhold", "transfer", "undo")
    },
    f"POST {HALL}/windows/w2/call": "",
    f"POST {HALL}/ratings": "pad",
    f"GET {HALL}/reviews": "supervisor assessor clerk",
    f"GET {HALL}/reviews/none": "supervisor assessor clerk",
    **{f"POST {HALL}/reviews/none/{one}": "supervisor assessor" for one in ("assign", "verify", "rectify", "revisit")},
    f"POST {HALL}/reviews/none/close": "supervisor assessor",
    f"POST {HALL}/reviews/none/appeal": "supervisor assessor clerk",
    f"POST {HALL}/reviews/none/uphold": "assessor",
    f"POST {HALL}/reviews/none/exclude": "assessor",
    f"GET {HALL}/cases": "clerk supervisor",
    f"GET {HALL}/cases/c1": "clerk supervisor",
    f"POST {HALL}/cases/c1/complete": "clerk supervisor",
    f"GET {HALL}/workdays/2026-11": EVERY,
    f"GET {HALL}/board": EVERY,
    f"GET {HALL}/pads": "supervisor assessor",
    f"GET {HALL}/stats": "supervisor assessor",
    f"GET {HALL}/reports/day/2026-11-24": "supervisor assessor",
    f"GET {HALL}/reports/month/2026-11": "supervisor assessor",
    "PUT /api/v1/events/g1": "analytics",
    "GET /api/v1/events/g1": "analytics",
    "POST /api/v1/events/g1/ack": "analytics",
    "DELETE /api/v1/events/g1": "analytics",
    "POST /api/v1/webhooks": "",
    "GET /api/v1/webhooks": "",
    "DELETE /api/v1/webhooks/none": "",
    **{f"POST /api/v1/webhooks/none/{one}": "" for one in ("change", "rotate", "enable", "test", "redeliver")},
    "GET /api/v1/webhooks/none/dead": "",
}


def stands(api: Api, request: str) -> Endpoint | None:
    """The endpoint a request leads to."""
    method, path = request.split(" ")
    found = api.frame.paths.find(path)
    return found[0].endpoints.get(method) if found else None


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_may_what_is_promised_and_nothing_else(api: Api, role: Role) -> None:
    for request, roles in MAY.items():
        if stands(api, request) is None:
            continue
        method, path = request.split(" ")
        answer = await api.ask(method, path, by=role)
        may = role is Role.ADMIN or role.value in roles.split()
        assert (answer.status == 403) is not may, (request, role, answer)
        assert answer.status not in (401, 500), (request, answer)
        if not may:
            assert answer.code == "forbidden"


async def test_no_route_is_missing_from_the_promise(api: Api) -> None:
    promised = {endpoint.key for request in MAY if (endpoint := stands(api, request))}
    by_token = {one.key for one in api.frame.endpoints if one.access.roles not in (OPEN, SECRET)}
    assert by_token == promised
    rows = {key for key, access in ACCESS.items() if access.roles not in (OPEN, SECRET) and not key.startswith("topic")}
    patterns = {row.replace("{hall}", "h1") for row in rows}
    missing = {row for row in patterns if not any(_fits(row, request) for request in MAY)}
    assert not missing


def _fits(row: str, request: str) -> bool:
    parts, asked = row.split("/"), request.split("/")
    return len(parts) == len(asked) and all(a == b or a.startswith("{") for a, b in zip(parts, asked, strict=True))


async def test_a_route_that_stands_not_in_the_table_is_refused_at_the_start(api: Api) -> None:
    async def nothing(_: Call) -> Reply:
        return Reply(None)

    with pytest.raises(LookupError, match="GET /api/v1/other does not stand in the role table"):
        api.frame.paths.add(Route("GET", "/api/v1/other", nothing))
    with pytest.raises(ValueError, match="stands twice"):
        api.frame.paths.add(Route("GET", "/livez", nothing))


async def test_a_body_type_must_forbid_unknown_fields() -> None:
    class Lax(msgspec.Struct):
        x: int = 0

    async def nothing(_: Call) -> Reply:
        return Reply(None)

    with pytest.raises(TypeError, match="must forbid unknown fields"):
        Endpoint(Route("GET", "/livez", nothing, body=Lax))


async def test_every_other_hall_is_forbidden_to_a_bound_token(api: Api) -> None:
    for role in set(Role) - {Role.ADMIN}:
        assert (await api.ask("GET", "/api/v1/halls/h2", by=role)).code == "forbidden"
    spanning = await api.token(Role.ASSESSOR, "")
    assert (await api.ask("GET", "/api/v1/halls/h2", by=spanning)).code == "not_found"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer x y", "qs_a_b", "Bearer " + "a" * 4000]
)
async def test_without_a_valid_token_there_is_nothing_but_unauthorized(api: Api, header: str) -> None:
    answer = await api.ask("GET", HALL, by="", headers={"Authorization": header} if header else {})
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    answer = await api.ask("GET", HALL, by="", headers={"Authorization": f"bearer  {api.tokens[Role.GUIDE]}"})
    assert answer.status == 200


async def test_no_such_route_and_no_such_method(api: Api) -> None:
    for path in ("/api", "/api/v1", "/api/v1/none", f"{HALL}/", "/api/v1//halls", f"{HALL}/tickets/A001/fly", "/none"):
        assert (await api.ask("GET", path)).code == "not_found", path
    answer = await api.ask("DELETE", f"{HALL}/tickets")
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "method_not_allowed", "GET, POST")
    answer = await api.ask("POST", "/livez", by="")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


async def test_head_is_get_without_its_body(api: Api) -> None:
    got, head = await api.ask("GET", HALL), await api.ask("HEAD", HALL)
    assert (head.status, head.content, head.headers["Content-Length"]) == (200, b"", str(len(got.content)))


@pytest.mark.parametrize("path", ["/livez", "/none", "/api/none", HALL, "/docs", "/openapi.json"])
async def test_every_answer_carries_the_security_headers(api: Api, path: str) -> None:
    answer = await api.ask("GET", path, by="")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "Server" not in answer.headers


async def test_a_mistake_of_ours_says_nothing_but_its_number(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(api.store, "queues", broken)
    answer = await api.ask("GET", f"{HALL}/queues")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"secret" not in answer.content
    assert f"error {answer.json['error']}" in caplog.text and "secret of the house" in caplog.text


async def test_a_ticket_link_needs_no_token_and_no_other_secret_works(api: Api) -> None:
    issued = (await api.ask("POST", f"{HALL}/tickets", {"service": "a"})).json
    secret = issued["url"].rpartition("/")[2]
    assert (await api.ask("GET", f"/api/v1/t/{secret}", by="")).json["ticket"]["id"] == issued["ticket"]["id"]
    other = secrets.ticket_secret(b"other key", "h1", issued["ticket"]["id"])
    for bad in (secret[:-1], secret + "A", other, "h1.20261122-A001", "%00", "..", "x" * 3000):
        answer = await api.ask("GET", f"/api/v1/t/{bad}", by="")
        assert answer.status == 404, (bad, answer)


async def test_while_the_data_server_is_away_everybody_is_told_to_come_again(
    api: Api, valkey: servers.DataServer
) -> None:
    guide = api.tokens[Role.GUIDE]
    assert (await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=guide)).status == 201
    valkey.kill9()
    unseen = secrets.token_text(api.store.server_key, "unseen")
    for token in (guide, unseen, "a guess"):
        answer = await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=token, key="away")
        assert (answer.status, answer.code) == (503, "unavailable"), (token, answer)
        assert int(answer.headers["Retry-After"]) >= 1
    assert (await api.ask("GET", HALL, by="")).status == 401  # that no token came needs no look-up
    assert (await api.ask("GET", "/livez", by="")).status == 200
    assert (await api.ask("GET", "/readyz", by="")).status == 503
    valkey.restart()
    async with asyncio.timeout(30):
        while (
            answer := await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=guide, key="away")
        ).status == 503:
            await asyncio.sleep(0)
    assert answer.status == 201
    assert (await api.ask("GET", "/readyz", by="")).json == {"status": "ok"}


async def test_a_process_about_to_end_says_so(start_api: StartApi) -> None:
    api = await start_api(draining=lambda: True)
    assert (await api.ask("GET", "/readyz", by="")).code == "unavailable"
    assert (await api.ask("GET", "/livez", by="")).status == 200


async def test_metrics_count_requests_by_route_and_take_others_lines(start_api: StartApi) -> None:
    def others() -> list[str]:
        return ["qserver_other 7"]

    def broken() -> list[str]:
        raise RuntimeError

    api = await start_api(metrics=[others, broken])
    await api.ask("GET", HALL)
    await api.ask("GET", "/nowhere/at/all/secret")
    answer = await api.ask("GET", "/metrics", by="")
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.content.decode()
    assert 'qserver_http_requests_total{method="GET",route="/api/v1/halls/{hall}",status="200"} 1' in text
    assert 'qserver_http_request_seconds_count{method="GET",route="/api/v1/halls/{hall}"} 1' in text
    assert "qserver_other 7" in text and "a provider failed" in text
    assert "secret" not in text
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2, line


async def test_the_access_log_is_json_and_knows_no_secrets(start_api: StartApi) -> None:
    written: list[str] = []
    log = AccessLog(written.append, sample=1, every_s=3600)
    api = await start_api(access_log=log)
    issued = (await api.ask("POST", f"{HALL}/tickets", {"service": "a"})).json
    secret = issued["url"].rpartition("/")[2]
    await api.ask("GET", f"/api/v1/t/{secret}", by="")
    await api.ask("GET", f"/api/v1/t/{secret}x", by="a guess")
    await log.stop()
    rows = [msgspec.json.decode(line) for line in "".join(written).splitlines()]
    assert [(row["route"], row["status"]) for row in rows] == [
        ("POST /api/v1/halls/{hall}/tickets", 201),
        ("GET /api/v1/t/{secret}", 200),
        ("GET /api/v1/t/{secret}", 404),
    ]
    assert rows[0]["hall"] == "h1" and rows[0]["actor"].startswith("admin")
    text = "".join(written)
    assert secret.rpartition(".")[2] not in text and "guess" not in text and api.tokens[Role.ADMIN] not in text


async def test_the_access_log_is_sampled_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    log = AccessLog(written.append, sample=10)
    for _ in range(95):
        log.add("GET /x", 200, 0.001, "a", "h1", "::1")
    for _ in range(5):
        log.add("GET /x", 503, 0.001, "a", "h1", "::1")
    await log.stop()
    assert len("".join(written).splitlines()) == 10 + 5
    written.clear()
    monkeypatch.setattr("qserver.api.access_log.QUEUE_MAX", 10_000)
    for _ in range(10_007):
        log.add("GET /x", 500, 0.001, "a", "h1", "::1")
    await log.stop()
    assert len("".join(written).splitlines()) == 10_000 and log.dropped == 7


async def test_pages_and_sockets_stand_beside_the_api(start_api: StartApi) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="page")

    async def socket(request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        await answer.send_str("welcome")
        await answer.close()
        return answer

    api = await start_api(pages=[web.get("/guide", page), web.get("/t/{secret}", page)], websocket=socket)
    assert (await api.ask("GET", "/guide", by="")).content == b"page"
    assert (await api.ask("GET", "/t/abc", by="")).content == b"page"
    answer = await api.ask("POST", "/guide", by="")
    assert (answer.code, answer.headers["Allow"]) == ("method_not_allowed", "GET, HEAD")
    assert (await api.ask("GET", "/nowhere", by="")).code == "not_found"
    async with api.client.ws_connect("/ws") as ws:
        assert await ws.receive_str() == "welcome"


async def test_a_query_string_is_read_strictly(api: Api) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "limit=", "other=1", "limit=1&limit=2", "state=flying"):
        answer = await api.ask("GET", f"{HALL}/tickets?{query}")
        assert (answer.status, answer.code) == (400, "validation"), (query, answer)
    assert (await api.ask("GET", f"{HALL}/tickets?limit=1")).status == 200
    assert (await api.ask("GET", f"{HALL}/queues?x=1")).code == "validation"


async def test_a_part_of_a_path_that_looks_wrong_does_not_exist(api: Api) -> None:
    await api.ask("POST", f"{HALL}/tickets", {"service": "a"})
    for path, code in {
        "/api/v1/halls/H1": "not_found",
        "/api/v1/halls/h1:t": "not_found",
        "/api/v1/halls/h1%0a": "not_found",
        "/api/v1/halls/%7Bp0%7D": "not_found",
        f"{HALL}/windows/W1": "no_such_window",
        f"{HALL}/windows/w%2F1": "no_such_window",
        f"{HALL}/tickets/A001%00": "not_found",
        f"{HALL}/tickets/%F0%9F%98%80": "not_found",
        f"{HALL}/tickets/%ff": "not_found",
    }.items():
        answer = await api.ask("GET", yarl.URL(path, encoded=True))
        assert (answer.status, answer.code) == (404, code), (path, answer)
    assert (await api.ask("GET", yarl.URL("/api/v1/halls/%68%31", encoded=True))).status == 200


async def test_what_a_handler_gives_back_becomes_the_answer(api: Api) -> None:
    class Given(Body, frozen=True, kw_only=True):
        x: int = 3

    async def handler(call: Call) -> object:
        return {"x": call.body.x, "actor": call.op.actor, "hall": call.hall, "part": call.params["no"]}

    ACCESS["POST /api/v1/halls/{hall}/tickets/{no}/test"] = ACCESS["GET /api/v1/halls"]
    try:
        api.frame.paths.add(Route("POST", "/api/v1/halls/{hall}/tickets/{no}/test", handler, body=Given, status=202))
    finally:
        del ACCESS["POST /api/v1/halls/{hall}/tickets/{no}/test"]
    answer = await api.ask("POST", f"{HALL}/tickets/A001/test")
    assert answer.status == 202
    assert answer.json == {"x": 3, "actor": "admin--", "hall": "h1", "part": "A001"}


async def test_two_processes_share_everything_but_memory(start_api: StartApi) -> None:
    one, two = await start_api(), await start_api(furnish=False, limits=Limits(0, 0))
    assert (await two.ask("GET", HALL, by=one.tokens[Role.GUIDE])).status == 200
    await one.store.revoke_token(SYSTEM, "guide-h1-")
    async with asyncio.timeout(10):
        while (await two.ask("GET", HALL, by=one.tokens[Role.GUIDE])).status != 401:
            await asyncio.sleep(0)
