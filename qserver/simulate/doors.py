"""The doors of one hall: every command its people give, as one method each; what is acknowledged goes on record."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from .record import Ack, Record
from .trace import Arrival
from .world import World

T = TypeVar("T")


class Slip(msgspec.Struct, frozen=True):
    """A ticket as far as a played day looks at it."""

    id: str
    no: str
    service: str
    calls: int = 0
    returns: int = 0
    leg: int = 1
    state: str = ""
    issued_ms: int | None = None
    called_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None


class Issued(msgspec.Struct, frozen=True):
    """Answer to taking a ticket; `url` ends in the holder's secret."""

    ticket: Slip
    url: str = ""


class Answer(msgspec.Struct, frozen=True):
    """Answer to a command about a ticket."""

    ticket: Slip


class Called(msgspec.Struct, frozen=True):
    """Answer to calling: nobody waits = no ticket."""

    ticket: Slip | None = None
    finished: Slip | None = None


class Rated(msgspec.Struct, frozen=True):
    """Answer to ratings."""

    results: list[dict[str, Any]]


class Session(msgspec.Struct, frozen=True):
    """What a window is doing."""

    state: str


class Standing(msgspec.Struct, frozen=True):
    """Answer to a look at a window."""

    window: Session


class Tokens(msgspec.Struct):
    """Who speaks with which token."""

    guide: str
    supervisor: str
    display: str
    clerks: dict[str, str]
    pads: dict[str, str]


class Doors:
    """A hall's commands through its tokens. All methods raise `world.Answered` and `world.Silent`."""

    def __init__(self, world: World, record: Record, hall: str, tokens: Tokens) -> None:
        self.hall = hall
        self.tokens = tokens
        self.run = world.run
        self._world = world
        self._record = record
        self._base = f"/api/v1/halls/{hall}"

    def _ack(self, kind: str, slip: Slip, *, window: str = "", at_ms: int | None = 0, sent: float = 0.0) -> None:
        self._record.acks.append(
            Ack(self.hall, f"ticket.{kind}", slip.id, slip.no, window, slip.calls, at_ms or 0, sent)
        )

    async def issue(self, arrival: Arrival) -> Issued:
        """The guide takes a ticket for somebody."""
        body = {"service": arrival.service, "priority": arrival.priority, "channel": "guide"}
        answer = await self._world.post(self.tokens.guide, f"{self._base}/tickets", body, Issued)
        self._ack("issued", answer.ticket, at_ms=answer.ticket.issued_ms)
        return answer

    async def cancel_by_link(self, url: str) -> None:
        """The holder gives the number back through the ticket's own link."""
        secret = url.rstrip("/").rpartition("/")[2]
        answer = await self._world.post("", f"/api/v1/t/{secret}/cancel", {}, Answer)
        self._ack("cancelled", answer.ticket)

    async def send_home(self, ticket: str) -> None:
        """The supervisor cancels what still waits when everybody goes home."""
        answer = await self._world.post(self.tokens.supervisor, f"{self._base}/tickets/{ticket}/cancel", {}, Answer)
        self._ack("cancelled", answer.ticket)

    async def return_(self, ticket: str) -> None:
        """The guide lets a missed ticket wait again."""
        answer = await self._world.post(self.tokens.guide, f"{self._base}/tickets/{ticket}/return", {}, Answer)
        self._ack("returned", answer.ticket)

    async def waiting(self) -> list[Slip]:
        """Everybody still waiting."""
        found: list[Slip] = []
        after = ""
        while True:
            path = f"{self._base}/tickets?state=waiting&limit=1000{after and '&after=' + after}"
            page = await self._world.get(self.tokens.supervisor, path, dict[str, Any])
            found += msgspec.convert(page["tickets"], list[Slip])
            if not page.get("next"):
                return found
            after = str(page["next"])

    async def open(self, window: str, services: tuple[str, ...]) -> None:
        """The clerk opens the window for these services, or goes on with them."""
        body = {"staff": f"clerk-{window}", "services": list(services)}
        await self._command(window, "open", body, dict[str, Any])
        self._window("opened", window)

    async def close(self, window: str) -> None:
        """The clerk closes the window."""
        await self._command(window, "close", {}, dict[str, Any])
        self._window("closed", window)

    async def pause(self, window: str, reason: str) -> None:
        """The clerk takes a break."""
        await self._command(window, "pause", {"reason": reason}, dict[str, Any])
        self._window("paused", window)

    async def resume(self, window: str) -> None:
        """The clerk is back."""
        await self._command(window, "resume", {}, dict[str, Any])
        self._window("resumed", window)

    async def call(self, window: str, *, finish: bool) -> Called:
        """The clerk presses next; with `finish` that ends the service at the window too."""
        sent: list[float] = []
        answer = await self._command(window, "call", {"finish": True} if finish else {}, Called, sent)
        if answer.finished is not None:
            self._ack("finished", answer.finished, window=window, at_ms=answer.finished.finished_ms)
        if answer.ticket is not None:
            self._ack("called", answer.ticket, window=window, at_ms=answer.ticket.called_ms, sent=sent[0])
        return answer

    async def recall(self, window: str) -> Slip:
        """The clerk calls the same number again."""
        sent: list[float] = []
        slip = (await self._command(window, "recall", {}, Answer, sent)).ticket
        self._ack("recalled", slip, window=window, at_ms=slip.called_ms, sent=sent[0])
        return slip

    async def start(self, window: str) -> None:
        """The service begins."""
        slip = (await self._command(window, "start", {}, Answer)).ticket
        self._ack("started", slip, window=window, at_ms=slip.started_ms)

    async def finish(self, window: str) -> None:
        """The service ends without calling anybody."""
        slip = (await self._command(window, "finish", {}, Answer)).ticket
        self._ack("finished", slip, window=window, at_ms=slip.finished_ms)

    async def miss(self, window: str) -> Slip:
        """Nobody came."""
        slip = (await self._command(window, "miss", {}, Answer)).ticket
        self._ack("missed", slip, window=window)
        return slip

    async def tidy(self, window: str) -> None:
        """Brings a window back to idle after something nobody expected, whatever it is doing."""
        state = await self._world.get(self.tokens.clerks[window], f"{self._base}/windows/{window}", Standing)
        if state.window.state == "serving":
            await self.finish(window)
        elif state.window.state == "called":
            await self.miss(window)
        elif state.window.state == "paused":
            await self.resume(window)

    async def rate(self, window: str, rid: str, slip: Slip, score: int) -> str:
        """The pad sends one rating; answers what became of it: recorded, duplicate, conflict, rejected, retry."""
        item = {"rid": rid, "ticket": slip.id, "leg": slip.leg, "score": score, "age_ms": 0}
        answer = await self._world.post(self.tokens.pads[window], f"{self._base}/ratings", {"items": [item]}, Rated)
        status = str(answer.results[0]["status"])
        if status == "recorded":
            self._record.acks.append(Ack(self.hall, "rating.recorded", slip.id, slip.no, window))
        return status if status in ("recorded", "retry") else f"{status} {answer.results[0].get('code', '')}".strip()

    async def _command(
        self, window: str, name: str, body: object, answer: type[T], sent: list[float] | None = None
    ) -> T:
        return await self._world.post(
            self.tokens.clerks[window], f"{self._base}/windows/{window}/{name}", body, answer, sent=sent
        )

    def _window(self, kind: str, window: str) -> None:
        self._record.acks.append(Ack(self.hall, f"window.{kind}", window=window))
