"""A running interface for tests of the frame: real sockets, a real data server, a token per role.

`Api.ask` asks as anyone in any form, broken ones too; `Answer` is what came back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

import aiohttp
import msgspec
import yarl
from aiohttp import web

from qserver.api.app import application
from qserver.api.frame import FRAME, Frame
from qserver.api.limits import Limits
from qserver.api.runner import Runner
from qserver.auth import roles, secrets
from qserver.auth.authenticator import Authenticator
from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests.halls import small_hall

FREE = Limits(per_token=0, per_address=0, logins=0)


class Api:
    """A running interface. `url`; `tokens`: the token of each role, bound to h1 and, at a window, to w1."""

    def __init__(self, store: Store, limits: Limits, options: dict[str, Any]) -> None:
        self.store = store
        self.auth = Authenticator(store)
        self.limits = limits
        self.options = options
        self.tokens: dict[Role, str] = {}
        self.url = ""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Api:
        await self.auth.start()
        self._stack.push_async_callback(self.auth.close)
        app = application(self.store, self.auth, limits=self.limits, **self.options)
        self.frame: Frame = app[FRAME]
        runner = self.runner = Runner(app)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self.client = await self._stack.enter_async_context(aiohttp.ClientSession(self.url))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def token(self, role: Role, hall: str = "h1", window: str = "", token_id: str = "") -> str:
        """A new token."""
        token_id = token_id or f"{role}-{hall}-{window}"
        text = secrets.token_text(self.store.server_key, token_id)
        await self.store.create_token(
            SYSTEM, token_id=token_id, role=role, hall=hall, window=window, digest=secrets.digest(text)
        )
        return text

    async def furnish(self) -> None:
        """The hall h1 and a token of each role."""
        await self.store.configure(SYSTEM, small_hall())
        for role in Role:
            window = "w1" if role in roles.AT_WINDOW | {Role.DISPLAY} else ""
            self.tokens[role] = await self.token(role, "" if role is Role.ADMIN else "h1", window)

    async def ask(
        self,
        method: str,
        path: str | yarl.URL,
        body: Any = None,
        *,
        by: Role | str = Role.ADMIN,
        key: str = "",
        data: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Asks; `by` is a role, a token, or "" for none. `body` is sent as JSON, `data` as it is."""
        sent = dict(headers or {})
        token = self.tokens[by] if isinstance(by, Role) else by
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if key:
            sent["Idempotency-Key"] = key
        kwargs: dict[str, Any] = {"data": data} if data is not None else {"json": body} if body is not None else {}
        async with self.client.request(method, path, headers=sent, **kwargs) as response:
            return Answer(response, await response.read())


class Answer:
    """An answer, read to its end."""

    def __init__(self, response: aiohttp.ClientResponse, content: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content = content
        self._response = response
        self._is_json = response.content_type.endswith("json")

    @property
    def json(self) -> Any:
        """The decoded body."""
        return msgspec.json.decode(self.content)

    @property
    def code(self) -> str:
        """The problem's code, "" when it is none."""
        return str(self.json.get("code", "")) if self.headers.get("Content-Type") == "application/problem+json" else ""

    @property
    def replayed(self) -> bool:
        """Whether it says so of itself."""
        return self.headers.get("Idempotency-Replayed") == "true"

    def __repr__(self) -> str:
        return f"<{self.status} {self.content[:300]!r}>"


StartApi = Callable[..., Awaitable[Api]]
