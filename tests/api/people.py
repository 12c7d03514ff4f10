"""People who log in, for tests: `hire` makes somebody, `log_in` asks for a session, `sit` gives the token of one."""

from __future__ import annotations

from typing import Any

import msgspec

from qserver.domain.events import Event
from qserver.store.gate import CONTROL
from qserver.store.store import Store
from tests.api.edge import Answer, Api

_event = msgspec.msgpack.Decoder(Event).decode
PASSWORD = "青山不老 绿水长流"
OTHER = "another password"
STAFF = "/api/v1/halls/h1/staff"
LOGIN = "/api/v1/login"


async def hire(api: Api, staff: str = "1024", role: str = "clerk", **more: Any) -> Answer:
    """Somebody who may log in from now on."""
    answer = await api.ask("POST", STAFF, {"id": staff, "role": role, "password": PASSWORD, **more})
    assert answer.status == 201, answer
    return answer


async def log_in(
    api: Api, staff: str = "1024", password: str = PASSWORD, window: str | None = "w1", hall: str = "h1", key: str = ""
) -> Answer:
    """What comes of a try."""
    body = {"hall": hall, "staff": staff, "password": password} | ({"window": window} if window else {})
    return await api.ask("POST", LOGIN, body, by="", key=key)


async def sit(api: Api, staff: str = "1024", window: str | None = "w1") -> str:
    """The token of a new session."""
    answer = await log_in(api, staff, window=window)
    assert answer.status == 200, answer
    token: str = answer.json["token"]
    return token


async def recorded(store: Store, partition: int = CONTROL) -> list[Event]:
    """What a partition has on record."""
    return [_event(fields[b"e"]) for _, fields in await store.read_events(partition) if b"e" in fields]
