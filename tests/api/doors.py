"""A hall behind a real socket: one served application, and a client for each kind of token.

`served` gives a `Doors`: `doors.guide.post("tickets", {...})` is a guide's request, and so on. Time stands still at a
Tuesday morning until a test lets it pass, so nothing here waits.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from aiohttp import ClientSession, web

from qserver.api.app import application
from qserver.api.limits import Limits
from qserver.api.links import PUBLIC_URL
from qserver.auth import secrets
from qserver.auth.authenticator import Authenticator
from qserver.domain import hall as halls
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests.store.clocks import TimedStore

DAY = "2026-11-24"
HALL: dict[str, Any] = {
    "id": "h1",
    "name": "政务大厅",
    "services": [
        {"id": "a", "prefix": "A", "name": "综合", "service_limit_s": 600, "wait_limit_s": 900},
        {"id": "b", "prefix": "B", "name": "社保"},
        {"id": "few", "prefix": "F", "daily_quota": 1},
        {"id": "shut", "prefix": "S", "opens": "13:00", "closes": "14:00"},
    ],
    "windows": [
        {"id": "w1", "name": "一号窗口", "services": ["a", "b", "few", "shut"]},
        {"id": "w2", "services": ["a"]},
        {"id": "w3", "services": ["b"]},
    ],
    "priorities": [{"id": "elder", "boost_s": 300}],
    "calls": {"max_calls": 2, "return_after": 2},
    "rating": {"window_s": 1800},
}


class Got(NamedTuple):
    """An answer: its status, its decoded body, its headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> tuple[int, str]:
        """Status and code of a refusal; fails on anything that is no proper problem document."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        assert {"type", "title", "status", "detail", "code"} <= set(self.body), self.body
        assert self.body["status"] == self.status
        return self.status, self.body["code"]

    @property
    def replayed(self) -> bool:
        """Whether it says that it is a kept answer."""
        return self.headers.get("Idempotency-Replayed") == "true"

    def ok(self, status: int = 200) -> Any:
        """The body of an answer that must have this status."""
        assert self.status == status, self
        return self.body


class Client:
    """Somebody with a token. Paths are relative to the hall's, or whole ones."""

    def __init__(self, session: ClientSession, base: str, token: str) -> None:
        self._session = session
        self._base = base
        self.token = token

    async def ask(
        self, method: str, path: str, content: bytes | None = None, key: str = "", headers: dict[str, str] | None = None
    ) -> Got:
        """One request with these very bytes."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if content is not None:
            sent["Content-Type"] = "application/json"
        if key:
            sent["Idempotency-Key"] = key
        url = (
            path
            if path.startswith("http")
            else self._base + (path if path.startswith("/") else f"/api/v1/halls/h1/{path}")
        )
        async with self._session.request(method, url, data=content, headers=sent | (headers or {})) as answer:
            body = await answer.read()
            is_json = answer.headers.get("Content-Type", "").split(";")[0].endswith("json")
            return Got(answer.status, msgspec.json.decode(body) if is_json else body, answer.headers.copy())

    async def get(self, path: str) -> Got:
        """Reads."""
        return await self.ask("GET", path)

    async def post(self, path: str, body: object = None, key: str = "") -> Got:
        """Commands; without a body there is none."""
        return await self.ask("POST", path, None if body is None else msgspec.json.encode(body), key)


class Doors:
    """The hall `h1`, served; one client per role, clerks and pads per window."""

    def __init__(self, store: Store, session: ClientSession, base: str) -> None:
        self.store = store
        self.base = base
        self._session = session
        self._numbers = itertools.count(1)
        self.nobody = Client(session, base, "")

    async def enter(self, role: str, window: str = "", hall: str = "h1") -> Client:
        """A client with a new token."""
        token_id = f"{role}-{next(self._numbers)}"
        text = secrets.token_text(self.store.server_key, token_id)
        await self.store.create_token(
            SYSTEM, token_id=token_id, role=role, hall=hall, window=window, digest=secrets.digest(text)
        )
        return Client(self._session, self.base, text)

    async def furnish(self) -> None:
        """Makes the usual clients."""
        self.admin = await self.enter("admin", hall="")
        self.guide = await self.enter("guide")
        self.kiosk = await self.enter("kiosk")
        self.supervisor = await self.enter("supervisor")
        self.assessor = await self.enter("assessor")
        self.display = await self.enter("display")
        self.clerk = {window: await self.enter("clerk", window) for window in ("w1", "w2", "w3")}
        self.pad = {window: await self.enter("pad", window) for window in ("w1", "w2", "w3")}

    @property
    def time(self) -> TimedStore:
        """The store as the hand on its clock."""
        assert isinstance(self.store, TimedStore)
        return self.store

    async def issue(self, service: str = "a", **more: Any) -> Any:
        """A new ticket's whole answer."""
        return (await self.guide.post("tickets", {"service": service, **more})).ok(201)

    async def at(self, window: str, command: str, body: object = None) -> Any:
        """A clerk's command that succeeds."""
        return (await self.clerk[window].post(f"windows/{window}/{command}", body)).ok()

    async def serve(self, service: str = "a", window: str = "w1", **more: Any) -> Any:
        """A ticket served at an open window: called after 2 minutes, begun after 1, finished after 5; as it is then."""
        await self.issue(service, **more)
        await self.time.pass_ms(120_000)
        await self.at(window, "call")
        await self.time.pass_ms(60_000)
        await self.at(window, "start")
        await self.time.pass_ms(300_000)
        return (await self.at(window, "finish"))["ticket"]


@asynccontextmanager
async def serving(store: Store, public_url: str = "") -> AsyncIterator[Doors]:
    """The hall on a started store behind a socket of this machine."""
    await store.configure(SYSTEM, halls.parse(HALL))
    authenticator = Authenticator(store)
    await authenticator.start()
    limits = Limits(per_token=0, per_address=0)
    app = application(store, authenticator, limits=limits)
    if public_url:
        app[PUBLIC_URL] = public_url
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with ClientSession() as session:
            doors = Doors(store, session, f"http://127.0.0.1:{port}")
            await doors.furnish()
            yield doors
    finally:
        await runner.cleanup()
        await authenticator.close()


@asynccontextmanager
async def serving_at(url: str, public_url: str = "") -> AsyncIterator[Doors]:
    """The hall on a data server, with a clock that the test sets."""
    topology = Topology.from_url(url, name="tests")
    await topology.open()
    store = TimedStore(topology)
    try:
        await store.start()
        async with serving(store, public_url) as doors:
            yield doors
    finally:
        await store.set(0)
        await store.close()
