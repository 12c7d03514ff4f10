"""The morning rush: 32 guides and 8 clerks at once, every request sent twice, and three boards that note it all."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.whole import Whole

GUIDES, EACH, CLERKS = 32, 4, 8
HALL = {
    "id": "h1",
    "services": [{"id": "a", "prefix": "A"}],
    "windows": [{"id": f"w{n}", "services": ["a"]} for n in range(CLERKS)],
}


class Recorder:
    """A board that keeps the snapshot it began with and every event since, as they came."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.start = 0
        self.events: list[dict[str, Any]] = []

    async def begin(self, token: str) -> None:
        """Hello, welcome, snapshot."""
        await self.connection.send(json.dumps({"t": "hello", "token": token, "hall": "h1", "topic": "board"}))
        while (message := json.loads(await self.connection.recv()))["t"] != "snapshot":
            assert message["t"] == "welcome"
        self.start = message["s"]

    async def until(self, s: int) -> None:
        """Writes down what comes until the event `s`; a repair would be a gap."""
        while (self.events[-1]["s"] if self.events else self.start) < s:
            message = json.loads(await self.connection.recv())
            if message["t"] == "hb":
                await self.connection.send(json.dumps({"t": "ack", "s": message["s"]}))
                continue
            assert message["t"] == "event", message
            self.events.append(message)


async def twice(server: Whole, path: str, body: object, key: str, status: int = 200) -> Any:
    """One request sent twice at once: the same answer, once as a replay."""
    first, second = await asyncio.gather(*(server.request("POST", path, body, key=key) for _ in range(2)))
    assert (first.status, second.status, first.body) == (status, status, second.body)
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in (first, second)]
    assert replayed.count("true") == 1
    return first.body


@pytest.mark.timeout(120)
async def test_three_boards_see_every_call_of_a_rush_once_and_without_a_gap() -> None:
    async with Whole() as server:
        await server.request("PUT", "/halls/h1", HALL)
        for n in range(CLERKS):
            await server.post(f"/halls/h1/windows/w{n}/open", {})
        token = await server.token("display", hall="h1")
        url = server.url.replace("http", "ws", 1) + "/ws"
        connections = [await connect(url, subprotocols=["qserver.v1.json"]) for _ in range(3)]  # type: ignore[list-item]
        boards = [Recorder(connection) for connection in connections]
        for board in boards:
            await board.begin(token)

        async def guide(n: int) -> list[str]:
            answers = [
                await twice(server, "/halls/h1/tickets", {"service": "a"}, f"g{n}-{turn}", 201) for turn in range(EACH)
            ]
            return [answer["ticket"]["no"] for answer in answers]

        async def clerk(window: str) -> list[str]:
            called: list[str] = []
            for turn in range(10_000):
                answer = await twice(server, f"/halls/h1/windows/{window}/call", {"finish": True}, f"{window}-c{turn}")
                if answer["ticket"] is not None:
                    called.append(answer["ticket"]["no"])
                    await twice(server, f"/halls/h1/windows/{window}/start", {}, f"{window}-s{turn}")
                elif issuing.done():
                    return called
            raise AssertionError("the queue never ended")

        issuing = asyncio.ensure_future(asyncio.gather(*(guide(n) for n in range(GUIDES))))
        called = [no for mine in await asyncio.gather(*(clerk(f"w{n}") for n in range(CLERKS))) for no in mine]
        issued = [no for mine in await issuing for no in mine]
        numbers = [f"A{n:03d}" for n in range(1, GUIDES * EACH + 1)]
        assert sorted(issued) == numbers
        assert sorted(called) == numbers

        end = (await server.get("/halls/h1/board"))["s"]
        for board in boards:
            await board.until(end)
            last = board.start
            for event in board.events:
                assert event["p"] == last
                last = event["s"]
            shown = [event["ticket"] for event in board.events if event["k"] == "call"]
            assert shown == numbers, "first come, first served, each once"
            kinds = Counter(event["k"] for event in board.events)
            assert (kinds["issue"], kinds["start"], kinds["finish"]) == (len(numbers),) * 3
        assert boards[0].events == boards[1].events == boards[2].events
        for connection in connections:
            await connection.close()
