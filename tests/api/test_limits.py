"""How much may be asked, by whom, and who is never refused."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from qserver.api import limits as limits_module
from qserver.api.limits import InFlight, Limits, Rate
from qserver.auth import secrets
from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM
from tests.api.edge import Answer, Api, StartApi
from tests.halls import small_hall

HALL = "/api/v1/halls/h1"


async def statuses(api: Api, times: int, path: str, by: Role | str = Role.GUIDE) -> list[int]:
    return [(await api.ask("GET", path, by=by)).status for _ in range(times)]


def slowly(per_second: float) -> float:
    """So slow a refill that none happens within a test, with bursts of `per_second`... which is one request."""
    return per_second / 1000


async def test_one_token_is_bounded_and_others_are_not(start_api: StartApi) -> None:
    api = await start_api(limits=Limits(per_token=slowly(1), per_address=0))
    assert (await api.ask("GET", HALL, by=Role.GUIDE)).status == 200
    answer = await api.ask("GET", HALL, by=Role.GUIDE)
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 1000
    assert (await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE)).status == 429
    assert (await api.ask("GET", HALL, by=Role.KIOSK)).status == 200


async def test_forbidden_requests_count_as_well(start_api: StartApi) -> None:
    api = await start_api(limits=Limits(per_token=slowly(1), per_address=0))
    assert await statuses(api, 2, f"{HALL}/stats", by=Role.PAD) == [403, 429]


async def test_a_refusal_for_haste_is_not_kept(start_api: StartApi) -> None:
    api = await start_api(limits=Limits(per_token=slowly(1), per_address=0))
    await api.ask("GET", HALL, by=Role.GUIDE)
    answer = await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=Role.GUIDE, key="k")
    assert answer.status == 429
    free = await start_api(furnish=False)
    answer = await free.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=api.tokens[Role.GUIDE], key="k")
    assert answer.status == 201


async def test_guesses_are_bounded_by_address_and_devices_there_are_not(start_api: StartApi) -> None:
    api = await start_api(limits=Limits(per_token=0, per_address=slowly(1)))
    assert (await api.ask("GET", HALL, by="")).status == 401
    unknown = secrets.token_text(b"k" * 32, "x")
    for by in ("", "a guess", unknown):
        answer = await api.ask("GET", HALL, by=by)
        assert (answer.status, answer.code) == (429, "rate_limited"), by
        assert int(answer.headers["Retry-After"]) >= 1
    for _ in range(3):
        assert (await api.ask("GET", HALL, by=Role.GUIDE)).status == 200
    revoked = secrets.token_text(api.store.server_key, "never-made")
    assert (await api.ask("GET", HALL, by=revoked)).status == 429
    # A token that was not seen before is a device's nevertheless.
    assert (await api.ask("GET", HALL, by=await api.token(Role.KIOSK, token_id="new"))).status == 200


async def test_codes_and_links_cannot_be_guessed_fast(start_api: StartApi) -> None:
    api = await start_api(limits=Limits(per_token=0, per_address=slowly(1)))
    first = await api.ask("POST", "/api/v1/pair", {"code": "x"}, by="")
    assert (first.status, (await api.ask("POST", "/api/v1/pair", {"code": "y"}, by="")).status) == (404, 429)
    assert (await api.ask("GET", "/api/v1/t/h1.20261122-A001.x", by="")).status == 429


async def test_a_holder_is_bounded_by_its_ticket_not_by_its_address(start_api: StartApi) -> None:
    api = await start_api(limits=Limits(per_token=slowly(1), per_address=slowly(1)))
    await api.ask("GET", HALL, by="")  # the address has nothing left
    links = []
    for role in (Role.GUIDE, Role.KIOSK):
        url = (await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, by=role)).json["url"]
        links.append(f"/api/v1/t/{url.rpartition('/')[2]}")
    assert [await statuses(api, 2, link, by="") for link in links] == [[200, 429], [200, 429]]


async def test_health_pages_and_sockets_are_exempt(start_api: StartApi) -> None:
    async def socket(request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        await answer.close()
        return answer

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="page")

    limits = Limits(per_token=slowly(1), per_address=slowly(1))
    api = await start_api(limits=limits, websocket=socket, pages=[web.get("/guide", page)])
    assert await statuses(api, 2, HALL, by="") == [401, 429]
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/docs.js", "/guide"):
        for by in ("", Role.GUIDE, "a guess"):
            assert await statuses(api, 3, path, by=by) == [200] * 3, path
    for _ in range(3):
        async with api.client.ws_connect("/ws"):
            pass


async def test_no_limit_means_none(start_api: StartApi) -> None:
    api = await start_api(limits=Limits(per_token=0, per_address=0))
    assert set(await statuses(api, 60, HALL, by="")) == {401}
    assert set(await statuses(api, 60, HALL)) == {200}


class Gate:
    """Holds a command back until it is let go, so that work stays in flight for as long as a test wants."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        queues = api.store.queues

        async def held(hall: str) -> object:
            self.entered.release()
            await self.open.wait()
            return await queues(hall)

        monkeypatch.setattr(api.store, "queues", held)

    async def fill(self, api: Api, hall: str, times: int) -> list[asyncio.Task[Answer]]:
        tasks = [asyncio.create_task(api.ask("GET", f"/api/v1/halls/{hall}/queues")) for _ in range(times)]
        for _ in range(times):
            await asyncio.wait_for(self.entered.acquire(), 10)
        return tasks


async def test_one_halls_flood_leaves_room_for_others(start_api: StartApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api = await start_api(limits=Limits(0, 0, in_flight=8))
    await api.store.configure(SYSTEM, small_hall("h2"))
    gate = Gate(api, monkeypatch)
    tasks = await gate.fill(api, "h1", 8)
    answer = await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, key="k")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    tasks += await gate.fill(api, "h2", 4)
    assert (await api.ask("POST", "/api/v1/halls/h2/tickets", {"service": "a"})).status == 503
    assert (await api.ask("GET", "/livez", by="")).status == 200
    assert b"qserver_http_in_flight 12" in (await api.ask("GET", "/metrics", by="")).content
    gate.open.set()
    assert {answer.status for answer in await asyncio.gather(*tasks)} == {200}
    answer = await api.ask("POST", f"{HALL}/tickets", {"service": "a"}, key="k")
    assert answer.status == 201 and not answer.replayed
    assert api.frame.in_flight == 0


async def test_who_is_turned_away_at_the_door_is_counted_and_told_when_to_come_again(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(limits=Limits(0, 0, in_flight=8))
    monkeypatch.setattr(limits_module, "STALLED_S", -1.0)  # what was answered before does not count
    path = f"{HALL}/tickets"
    assert (await api.ask("POST", path, {"service": "a"})).status == 201  # from here on the path is known
    gate = Gate(api, monkeypatch)
    tasks = await gate.fill(api, "h1", 8)
    answers = [await api.ask("POST", path, {"service": "a"}, by=by) for by in (Role.ADMIN, "unknown")]
    assert {(answer.status, answer.code, answer.headers["Retry-After"]) for answer in answers} == {
        (503, "unavailable", "1")
    }
    metrics = (await api.ask("GET", "/metrics", by="")).content.decode()
    assert 'method="POST",route="/api/v1/halls/{hall}/tickets",status="503"} 2' in metrics
    gate.open.set()
    assert {answer.status for answer in await asyncio.gather(*tasks)} == {200}
    assert (await api.ask("POST", path, {"service": "a"}, by="unknown")).status == 401


# The bookkeeping itself


def test_a_rate_lets_through_its_burst_and_then_its_pace() -> None:
    rate = Rate(10)
    assert [rate.take("a", 100.0) for _ in range(12)] == [0] * 10 + [1, 1]
    assert rate.take("b", 100.0) == 0
    assert rate.take("a", 100.1) == 0
    assert rate.take("a", 100.1) > 0
    assert [rate.take("a", 200.0) for _ in range(11)] == [0] * 10 + [1]


def test_a_rate_says_when_to_come_again() -> None:
    rate = Rate(0.1)
    assert rate.take("a", 0.0) == 0
    wait = rate.take("a", 0.0)
    assert wait == 10
    assert rate.take("a", wait - 1.0) == 1
    assert rate.take("a", float(wait)) == 0


def test_a_rate_of_nothing_is_off() -> None:
    assert {Rate(0).take("a", 0.0) for _ in range(1000)} == {0}


def test_accounts_are_bounded_and_who_owes_most_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "ACCOUNTS_MAX", 100)
    rate = Rate(1)
    rate.take("greedy", 5.0)
    for n in range(1000):
        rate.take(f"x{n}", 5.0 - n / 1e6)
        assert len(rate._paid) <= 101
    assert rate.take("greedy", 5.0) > 0


def entered(work: InFlight, hall: str, times: int, now_s: float = 0.0) -> int:
    """How many of so many come in; who does not is not followed by one who does."""
    found = [work.enter(hall, now_s) for _ in range(times)]
    assert found == sorted(found, reverse=True)
    return sum(found)


def test_in_flight_is_shared_equally_under_pressure() -> None:
    work = InFlight(12)
    assert entered(work, "a", 14) == 12
    assert entered(work, "b", 8) == 6
    assert entered(work, "c", 6) == 4
    assert work.total == 22 and not work.enter("a", 0.0)
    # Twice the bound is the end.
    assert work.enter("d", 0.0) and work.enter("e", 0.0) and not work.enter("f", 0.0)
    for hall, times in (("a", 12), ("b", 6), ("c", 4), ("d", 1), ("e", 1)):
        for _ in range(times):
            work.leave(hall, 0.0)
    assert work.total == 0 and work.enter("a", 0.0)


def test_below_half_the_bound_everybody_comes_in() -> None:
    work = InFlight(10)
    assert work.enter("b", 0.0)
    assert entered(work, "a", 6) == 5


def test_while_answers_flow_fewer_come_in_than_in_a_stall() -> None:
    work = InFlight(16)
    assert entered(work, "a", 20, 0.0) == 16, "nothing was answered for a while: they wait for something else"
    work.leave("a", 0.1)
    assert entered(work, "a", 20, 0.1) == 0
    for _ in range(13):
        work.leave("a", 0.1)
    assert entered(work, "a", 20, 5.0) == 2, "crowded, also should the disk stall now"
    for _ in range(3):
        work.leave("a", 5.1)
    assert entered(work, "a", 20, 5.1) == 3
    for _ in range(3):
        work.leave("a", 5.2)
    assert entered(work, "a", 20, 6.0) == 15, "no longer crowded"
