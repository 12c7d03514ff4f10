"""Guides and clerks at work on a whole server, who repeat what was not answered, as real devices do; and the proof.

Every command goes out under a key of its own and is given again until it is answered. What was answered is kept, and
`prove` holds the server to it: nothing acknowledged is lost, nothing is done twice, the record is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

from qserver.domain.hall import Hall, parse
from tests.whole import Answer, Whole

HALL = "h1"
WINDOWS = 4
GUIDES = 4


def busy_hall() -> Hall:
    return parse(
        {
            "id": HALL,
            "services": [{"id": "a", "prefix": "A"}, {"id": "b", "prefix": "B"}],
            "windows": [{"id": f"w{n}", "services": ["a", "b"]} for n in range(WINDOWS)],
        }
    )


class Load:
    """The people. `begin` sends them to work, `reached` waits for so many answered commands, `end` lets them stop."""

    def __init__(self, server: Whole) -> None:
        self.server = server
        self.issued: dict[str, Answer] = {}
        self.called: dict[str, Answer] = {}
        self.refused: list[Answer] = []
        self._answers = 0
        self._wanted = 0
        self._enough = asyncio.Event()
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Open the windows and set everybody to work."""
        await self.server.put_hall(busy_hall())
        for n in range(WINDOWS):
            await self.server.post(f"/halls/{HALL}/windows/w{n}/open", {})
        self._tasks = [asyncio.create_task(self._guide(n)) for n in range(GUIDES)]
        self._tasks += [asyncio.create_task(self._clerk(f"w{n}")) for n in range(WINDOWS)]

    async def reached(self, more: int) -> None:
        """Wait until so many commands more are answered; fails when somebody cannot go on."""
        self._wanted = self._answers + more
        self._enough.clear()
        waiting = asyncio.create_task(self._enough.wait())
        done, _ = await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        for task in done - {waiting}:
            task.result()

    async def end(self) -> None:
        """Everybody ends what they have begun."""
        self._over = True
        await asyncio.gather(*self._tasks)

    def _count(self) -> None:
        self._answers += 1
        if self._answers >= self._wanted:
            self._enough.set()

    async def _guide(self, number: int) -> None:
        turn = 0
        while not self._over:
            turn += 1
            key = f"issue-{number}-{turn}"
            body = {"service": "ab"[turn % 2]}
            answer = await self.server.surely("POST", f"/halls/{HALL}/tickets", body, key=key)
            assert answer.status == 201, answer
            self.issued[key] = answer
            self._count()

    async def _clerk(self, window: str) -> None:
        """Calls, starts and finishes; the next call finishes the one in service."""
        turn = 0
        while not self._over:
            turn += 1
            called = await self._command(window, "call", {"finish": True}, f"{window}-call-{turn}")
            if called.body["ticket"] is None:
                continue
            self.called[f"{window}-call-{turn}"] = called
            await self._command(window, "start", {}, f"{window}-start-{turn}")

    async def _command(self, window: str, name: str, body: object, key: str) -> Answer:
        answer = await self.server.surely("POST", f"/halls/{HALL}/windows/{window}/{name}", body, key=key)
        assert answer.status == 200, (name, answer)
        self._count()
        return answer

    # -- the proof --

    async def prove(self) -> None:
        """Hold the server to every answer it gave."""
        tickets = await self._tickets()
        ids = [ticket["id"] for ticket in tickets]
        acknowledged = [answer.body["ticket"] for answer in self.issued.values()]
        assert len(set(ids)) == len(ids)
        assert sorted(ticket["id"] for ticket in acknowledged) == sorted(ids), "one ticket per key, none besides"
        numbers = Counter((ticket["day"], ticket["no"]) for ticket in tickets)
        assert max(numbers.values()) == 1, "no number twice"
        for prefix in "AB":
            own = sorted(int(ticket["no"][1:]) for ticket in tickets if ticket["no"][0] == prefix)
            assert own == list(range(1, len(own) + 1)), "and none left out"
        by_id = {ticket["id"]: ticket for ticket in tickets}
        calls = Counter(answer.body["ticket"]["id"] for answer in self.called.values())
        assert not calls or max(calls.values()) == 1, "nobody is called to two windows"
        for answer in self.called.values():
            said = answer.body["ticket"]
            kept = by_id[said["id"]]
            assert (kept["window"], kept["called_ms"]) == (said["window"], said["called_ms"])
        await self._prove_replays()
        await self._prove_record(by_id)

    async def _tickets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = await self.server.get(f"/halls/{HALL}/tickets?limit=1000&after={after}")
            found += page["tickets"]
            if page["next"] is None:
                return found
            after = page["next"]

    async def _prove_replays(self) -> None:
        """The last answers come again under their keys, word for word."""
        for key, first in list(self.issued.items())[-20:]:
            turn = int(key.rpartition("-")[2])
            again = await self.server.request("POST", f"/halls/{HALL}/tickets", {"service": "ab"[turn % 2]}, key=key)
            assert again.headers.get("Idempotency-Replayed") == "true"
            assert again.body == first.body

    async def _prove_record(self, tickets: dict[str, dict[str, Any]]) -> None:
        """The feed holds every sequence number of the hall once, and a step for what every ticket says of itself."""
        await self.server.put("/events/proof", {"from": "start"})
        events: list[dict[str, Any]] = []
        while True:
            batch = await self.server.get("/events/proof?max=5000&wait_ms=0")
            if not batch["events"]:
                break
            events += [event for event in batch["events"] if event["partitionkey"] == HALL]
            await self.server.post("/events/proof/ack", {"cursor": batch["cursor"]})
        numbers = [int(event["sequence"]) for event in events]
        assert numbers == list(range(1, len(numbers) + 1))
        steps = Counter(
            (event["data"].get("ticket"), event["type"].removeprefix("qserver.ticket.")) for event in events
        )
        for ticket in tickets.values():
            assert steps[ticket["id"], "issued"] == 1
            assert steps[ticket["id"], "called"] == ticket["calls"]
            assert steps[ticket["id"], "started"] == (ticket["started_ms"] is not None)
            assert steps[ticket["id"], "finished"] == (ticket["state"] == "finished")
