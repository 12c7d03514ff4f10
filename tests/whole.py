"""A whole real server as a child process, as `qserver serve` runs it: its own directory, data server, port and tokens.

    async with Whole() as server:
        await server.put_hall(small_hall())
        guide = await server.token("guide", hall="h1")
        issued = await server.post("/halls/h1/tickets", {"service": "a"}, token=guide)

It can be killed as a power cut would (`kill9_tree`), lose its data server (`kill9_valkey`), and start again on the same
files and port (`start`). A request's answer is an `Answer`; a broken connection raises what aiohttp raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import aiohttp
import msgspec

from qserver.domain.hall import Hall

SOURCE = Path(__file__).parents[1]
READY_S = 50.0


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(self.body["code"])


class Whole:
    """A server. `options` go to `qserver serve`; `environment` adds QSERVER_* settings; `redis_url`: not embedded."""

    def __init__(self, *options: str, redis_url: str = "", environment: Mapping[str, str] | None = None) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="qs-whole-"))
        self.data = self.folder / "data"
        self.admin = "admin-" + secrets.token_urlsafe(24)
        self.url = ""
        self.lines: list[str] = []
        self.process: asyncio.subprocess.Process | None = None
        self._port = 0
        self._redis_url = redis_url
        self.environment = {
            "QSERVER_ADMIN_TOKEN": self.admin,
            "QSERVER_RATE_LIMIT_PER_TOKEN": "0",
            "QSERVER_RATE_LIMIT_PER_ADDRESS": "0",
            **(environment or {}),
        }
        self._session: aiohttp.ClientSession | None = None
        self._reader: asyncio.Task[None] | None = None

    # -- the process --

    async def __aenter__(self) -> Whole:
        try:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=20)
            )
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        if self.process is not None and self.process.returncode is None:
            await self.kill9_tree()
        if self._reader is not None:
            await self._reader
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process id of `serve`."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything it wrote to standard error."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def socket_url(self) -> str:
        """Where its sockets are."""
        return self.url.replace("http", "ws", 1) + "/ws"

    async def start(self) -> None:
        """Start it and wait until it serves. The port stays the same from the first start on."""
        environment = {name: text for name, text in os.environ.items() if not name.startswith("QSERVER_")}
        environment |= {"PYTHONPATH": str(SOURCE), **self.environment}
        place = ["--redis-url", self._redis_url] if self._redis_url else []
        command = ["-m", "qserver", "serve", "--port", str(self._port), "--data-dir", str(self.data), *place]
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *command, *self.options, env=environment, cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(self.process.stdout, ready))
        try:
            self.url = await asyncio.wait_for(ready, READY_S)
        except TimeoutError:
            raise RuntimeError(f"the server is not ready: {self.log[-4000:]}") from None
        self._port = int(self.url.rpartition(":")[2])

    async def _read(self, stream: asyncio.StreamReader, ready: asyncio.Future[str]) -> None:
        while line := (await stream.readline()).decode():
            self.lines.append(line.rstrip("\n"))
            if "listening on " in line and not ready.done():
                ready.set_result(line.rpartition(" ")[2].strip())
        if not ready.done():
            ready.set_exception(RuntimeError(f"the server ended: {self.log[-4000:]}"))

    async def stop(self) -> int:
        """End it in good order; answers its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()

    def tree(self) -> list[int]:
        """The process ids of the server and of everything it started."""
        parents: dict[int, int] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        found = [self.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    async def kill9_tree(self) -> None:
        """Kill all its processes at once, as a power cut would, and wait until they are gone."""
        assert self.process is not None
        pids = self.tree()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()
        for pid in pids:
            while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
                await asyncio.sleep(0.005)

    @property
    def valkey_pid(self) -> int:
        """The process id of the embedded data server."""
        return int((self.data / "valkey.pid").read_text())

    def kill9_valkey(self) -> None:
        """Kill the embedded data server."""
        os.kill(self.valkey_pid, signal.SIGKILL)

    # -- requests --

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask; `path` is below `/api/v1`, or below the root with a leading `//`. `token` None: the admin's."""
        assert self._session is not None
        url = self.url + (path[1:] if path.startswith("//") else f"/api/v1{path}")
        given = {"Authorization": f"Bearer {self.admin if token is None else token}", **(headers or {})}
        data = None
        if body is not None:
            data, given["Content-Type"] = msgspec.json.encode(body), "application/json"
        if key:
            given["Idempotency-Key"] = key
        async with self._session.request(method, url, data=data, headers=given) as response:
            content = await response.read()
            decoded = json.loads(content) if "json" in response.content_type and content else content
            return Answer(response.status, response.headers, decoded)

    async def get(self, path: str, **options: Any) -> Any:
        """The body of an answer that must be 200."""
        return self._well(await self.request("GET", path, **options))

    async def post(self, path: str, body: object = None, **options: Any) -> Any:
        """The body of an answer that must be 2xx."""
        return self._well(await self.request("POST", path, body, **options))

    async def put(self, path: str, body: object = None, **options: Any) -> Any:
        """The body of an answer that must be 2xx."""
        return self._well(await self.request("PUT", path, body, **options))

    @staticmethod
    def _well(answer: Answer) -> Any:
        assert answer.status < 300, (answer.status, answer.body)
        return answer.body

    async def surely(self, method: str, path: str, body: object = None, *, key: str, **options: Any) -> Answer:
        """Ask again with the same key, as devices do, until the line holds and the answer is no 5xx."""
        deadline = time.monotonic() + READY_S
        while True:
            try:
                answer = await self.request(method, path, body, key=key, **options)
                if answer.status < 500:
                    return answer
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                answer = Answer(0, {}, str(error))
            if time.monotonic() > deadline:
                raise RuntimeError(f"no answer to {method} {path}: {answer}")
            await asyncio.sleep(0.02)

    async def put_hall(self, hall: Hall) -> None:
        """Make or change a hall."""
        await self.put(f"/halls/{hall.id}", hall)

    async def token(self, role: str, **binding: str) -> str:
        """A new token's text; `binding`: hall, window, name."""
        return str((await self.post("/tokens", {"role": role, **binding}))["token"])
