"""A pad at a real server: asked by the socket, rated over HTTP, through losses, restarts and repeats."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from evaluator.client import Pad, Refused
from evaluator.clocks import Clocks
from evaluator.prompt import Rating
from evaluator.sender import Sender, http_url
from evaluator.spool import Spool
from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM, RatingItem
from tests.evaluator.floors import Floor
from tests.waiting import until


@asynccontextmanager
async def pad_at(floor: Floor, path: Path, window: str = "w1") -> AsyncIterator[Pad]:
    """A pad that has heard of its window, running."""
    pad = Pad(floor.url, await floor.token(window=window), "h1", window, path)
    task = asyncio.create_task(pad.run())
    await until(lambda: pad.live or task.done())
    try:
        yield pad
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        pad.close()


async def asked(pad: Pad) -> None:
    await until(lambda: pad.view().screen == "ask")


async def sent(pad: Pad) -> None:
    await until(lambda: len(pad.spool) == 0)


async def test_a_finished_service_is_asked_about_and_the_face_is_recorded(floor: Floor, tmp_path: Path) -> None:
    async with pad_at(floor, tmp_path / "spool") as pad:
        assert pad.view().screen == "idle"
        ticket = await floor.serve()
        await asked(pad)
        pad.press(5)
        assert pad.view().screen == "thanks"
        await sent(pad)
        assert await floor.score(ticket) == 5


async def test_reasons_and_words_arrive_with_a_negative_face(floor: Floor, tmp_path: Path) -> None:
    async with pad_at(floor, tmp_path / "spool") as pad:
        await floor.serve()
        await asked(pad)
        pad.press(1)
        pad.submit(["服务态度"], "等太久")
        await sent(pad)
        (review,), _ = await floor.store.reviews("h1")
        assert (review.source, review.window) == ("rating", "w1")
        assert "等太久" in str(review.history)


async def test_the_pad_shows_what_its_window_does(floor: Floor, tmp_path: Path) -> None:
    async with pad_at(floor, tmp_path / "spool") as pad:
        store = floor.store
        await store.issue(SYSTEM, "h1", "a")
        await store.call(SYSTEM, "h1", "w1")
        await until(lambda: pad.view().screen == "called")
        await store.begin_service(SYSTEM, "h1", "w1")
        await until(lambda: pad.view().screen == "serving")
        await store.finish(SYSTEM, "h1", "w1")
        await asked(pad)
        await store.pause(SYSTEM, "h1", "w1", "午休")
        await until(lambda: pad.state is not None and pad.state.window and pad.state.window.state == "paused")
        assert pad.view().screen == "ask", "whoever was served may still say so"


async def test_what_was_asked_may_be_answered_without_a_server_and_is_sent_later(floor: Floor, tmp_path: Path) -> None:
    async with pad_at(floor, tmp_path / "spool") as pad:
        ticket = await floor.serve()
        await asked(pad)
        await floor.shut()
        await until(lambda: not pad.live)
        pad.press(4)
        assert (pad.view().screen, len(pad.spool)) == ("thanks", 1)
        await floor.open()
        await sent(pad)
        assert await floor.score(ticket) == 4


async def test_a_pad_that_starts_anew_sends_what_it_had_and_does_not_ask_twice(floor: Floor, tmp_path: Path) -> None:
    async with pad_at(floor, tmp_path / "spool") as pad:
        ticket = await floor.serve()
        await asked(pad)
        await floor.shut()
        await until(lambda: not pad.live)
        pad.press(2)
    copy = tmp_path / "before"
    copy.mkdir()
    for file in tmp_path.glob("spool*"):
        shutil.copy(file, copy / file.name)
    await floor.open()
    async with pad_at(floor, tmp_path / "spool") as pad:
        assert pad.view().screen != "ask"
        await sent(pad)
    assert await floor.score(ticket) == 2
    async with pad_at(floor, copy / "spool") as pad:  # as if the answer had been lost
        await sent(pad)
        assert pad.spool.rejected() == []
    assert await floor.ratings() == {ticket.id: 1}


async def test_hundreds_of_kept_ratings_sent_twice_are_recorded_once_each(floor: Floor, tmp_path: Path) -> None:
    tickets = [await floor.serve() for _ in range(230)]
    spool = Spool(tmp_path / "spool")
    clocks = Clocks()
    for n, ticket in enumerate(tickets):
        spool.add(Rating(ticket.id, 1, n % 5 + 1), clocks.read())
    spool.close()
    token = await floor.token()
    for _ in range(2):
        shutil.copy(tmp_path / "spool", tmp_path / "again")
        spool = Spool(tmp_path / "again")
        sender = Sender(floor.url, token, "h1", "w1", spool, clocks)
        async with aiohttp.ClientSession() as session:
            while len(spool):
                assert await sender.once(session) == 0
        assert (sender.sent, spool.rejected()) == (230, [])
        spool.close()
    assert await floor.ratings() == {ticket.id: 1 for ticket in tickets}
    scores = [ticket.rating.score for ticket in await floor.store.day_tickets("h1") if ticket.rating]
    assert scores == [n % 5 + 1 for n in range(230)]


async def test_a_rating_that_somebody_else_gave_first_is_settled(floor: Floor, tmp_path: Path) -> None:
    async with pad_at(floor, tmp_path / "spool") as pad:
        ticket = await floor.serve()
        await asked(pad)
        await floor.store.rate(SYSTEM, "h1", "", [RatingItem("by-link", ticket.id, 1, 3, 0)])
        pad.press(5)
        await sent(pad)
        assert await floor.score(ticket) == 3


async def test_a_pad_is_asked_about_its_own_window_alone(floor: Floor, tmp_path: Path) -> None:
    await floor.store.open(SYSTEM, "h1", "w2", staff="wang")
    async with pad_at(floor, tmp_path / "one") as one, pad_at(floor, tmp_path / "two", "w2") as two:
        await floor.serve("w2")
        await asked(two)
        assert one.view().screen == "idle"


@pytest.mark.parametrize("role", [Role.DISPLAY, Role.GUIDE])
async def test_a_pad_without_a_pads_token_is_told_to_stay_away(floor: Floor, tmp_path: Path, role: Role) -> None:
    pad = Pad(floor.url, await floor.token(role, "w2"), "h1", "w1", tmp_path / "spool")
    with pytest.raises(Refused) as refused:
        await pad.run()
    assert refused.value.code == 4101
    pad.close()


async def test_a_revoked_pad_keeps_what_it_has(floor: Floor, tmp_path: Path) -> None:
    pad = Pad(floor.url, await floor.token(), "h1", "w1", tmp_path / "spool")
    run = asyncio.create_task(pad.run())
    await floor.serve()
    await asked(pad)
    pad.press(1)  # not final: nothing is sent yet
    await floor.store.revoke_token(SYSTEM, "pad-w1")
    with pytest.raises(Refused):
        await run
    assert len(pad.spool) == 1
    pad.close()


class Door:
    """A server that answers ratings as it is told to, one answer after the other; then it takes everything."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.batches: list[list[str]] = []
        self.broken: set[str] = set()

    async def ratings(self, request: web.Request) -> web.Response:
        items = [item["rid"] for item in (await request.json())["items"]]
        self.batches.append(items)
        if self.answers:
            return self.answers.pop(0)
        if self.broken & set(items):
            return web.json_response({"code": "validation"}, status=400)
        results = [{"rid": rid, "status": "recorded"} for rid in items]
        return web.json_response({"results": results, "now_ms": 1_795_480_000_000, "more": "ignored"})


@pytest.fixture
async def door() -> AsyncIterator[tuple[Door, str]]:
    door = Door()
    app = web.Application()
    app.router.add_post("/api/v1/halls/h1/ratings", door.ratings)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield door, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def sending(url: str, path: Path, count: int) -> AsyncIterator[tuple[Sender, aiohttp.ClientSession, list[str]]]:
    """A sender with so many ratings to send."""
    spool, clocks = Spool(path), Clocks()
    rids = [spool.add(Rating(f"20261124-A{n:03}", 1, 5), clocks.read()) for n in range(count)]
    async with aiohttp.ClientSession() as session:
        yield Sender(url, "token", "h1", "w1", spool, clocks), session, rids
    spool.close()


async def test_one_broken_rating_does_not_hold_up_the_others(door: tuple[Door, str], tmp_path: Path) -> None:
    async with sending(door[1], tmp_path / "spool", 60) as (sender, session, rids):
        door[0].broken = {rids[7]}
        while len(sender._spool):
            assert await sender.once(session) == 0
        assert [result[::2] for result in sender._spool.rejected()] == [(rids[7], "validation")]
        alone = [batch for batch in door[0].batches if batch == [rids[7]]]
        assert len(alone) == 2, "signed, and then as an older server takes it"


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=401),
        web.Response(status=403),
        web.Response(status=404),
        web.Response(status=429, headers={"Retry-After": "7"}),
        web.Response(status=500),
        web.Response(status=503, headers={"Retry-After": "7"}),
        web.Response(status=200, text="<html>a proxy's page</html>"),
        web.json_response({"results": [], "now_ms": 1}),
    ],
    ids=lambda answer: f"{answer.status} {answer.text or ''}".strip(),
)
async def test_no_other_answer_loses_a_rating(door: tuple[Door, str], tmp_path: Path, answer: web.Response) -> None:
    async with sending(door[1], tmp_path / "spool", 3) as (sender, session, rids):
        door[0].answers = [answer]
        pause_s = await sender.once(session)
        assert pause_s > 0 and sender.problem
        if "Retry-After" in answer.headers:
            assert pause_s >= 7
        assert len(sender._spool) == 3
        assert await sender.once(session) == 0
        assert door[0].batches == [rids, rids], "the same ids again"


async def test_a_retry_stays_and_the_rest_is_settled(door: tuple[Door, str], tmp_path: Path) -> None:
    async with sending(door[1], tmp_path / "spool", 3) as (sender, session, rids):
        results = [{"rid": rid, "status": "retry" if rid == rids[1] else "recorded"} for rid in rids]
        door[0].answers = [web.json_response({"results": results, "now_ms": 1})]
        assert await sender.once(session) == 0
        assert [item["rid"] for item in sender._spool.batch(Clocks().read())] == [rids[1]]


async def test_longer_and_longer_between_tries_and_at_once_when_woken(tmp_path: Path) -> None:
    async with sending("http://127.0.0.1:1", tmp_path / "spool", 1) as (sender, session, _):
        pauses = [await sender.once(session) for _ in range(6)]
        assert pauses[0] <= 1 and pauses[-1] >= 30
        sender.wake()
        assert await sender.once(session) <= 1


@pytest.mark.parametrize(
    "url",
    ["", "host:80", "ftp://host", "http://", "http:///", "http://h:x", "http://h:99999", "http://[::1", "http://u:p@h"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="an address begins with"):
        http_url(url)


@pytest.mark.parametrize("url", ["http://h:1", "ws://h:1/ws", "http://h:1/", "http://h:1?x#y"])
def test_an_address_may_be_written_either_way(url: str) -> None:
    assert http_url(url) == "http://h:1"
