"""The processes that are measured, as children: the whole product with its embedded data server, or the floor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from qserver.store.embedded import launcher

from .common import children, cpu_s, free_port, memory_bytes, on_core
from .load import Pool, request

_SOURCE = str(Path(__file__).parents[1])
_READY_S, _STOP_S = 60.0, 30.0


def python(*arguments: str) -> list[str]:
    """This Python as a program, with these arguments."""
    return [sys.executable, *arguments]


class Child(ABC):
    """A process on one core; ready on entry, gone on exit, and when this process is killed.

    `PROBE`: a request that is answered with 200 once it serves.
    """

    PROBE = "GET", "/readyz"

    def __init__(self, core: int) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="qserver-bench-"))
        self._core = core
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The child's process id. Raises RuntimeError when it has ended, for then every figure is void."""
        assert self._process is not None
        if self._process.returncode is not None:
            raise RuntimeError(f"ended with {self._process.returncode}: {self._said()}")
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """The child and all processes below it."""
        return [self.pid, *children(self.pid)]

    def cpu_s(self) -> float:
        """CPU time of all of them so far, s."""
        return cpu_s(self.pids)

    @abstractmethod
    def program(self) -> list[str]:
        """What is run, with its arguments."""

    def environment(self) -> dict[str, str]:
        """What is added to ours."""
        return {}

    async def __aenter__(self) -> Any:
        await self.start()
        return self

    async def start(self) -> None:
        """Run it, on the same port and with the folder as it is left, until it is ready."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("QSERVER_")}
        env |= {"PYTHONPATH": _SOURCE, **self.environment()}
        command = launcher(self.program())
        with (self.folder / "log").open("ab") as log, on_core(self._core):
            self._process = await asyncio.create_subprocess_exec(
                *command, env=env, cwd=self.folder, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            await self._ready()
        except BaseException:
            await self.__aexit__()
            raise

    async def kill(self) -> None:
        """End it and all processes below it at once, as a power cut would; `start` runs it again."""
        process, pids = self._process, self.pids
        assert process is not None
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # some die with their parent
                os.kill(pid, signal.SIGKILL)
        await process.wait()

    async def _ready(self) -> None:
        assert self._process is not None
        ends = time.monotonic() + _READY_S
        while time.monotonic() < ends:
            if self._process.returncode is not None:
                break
            with contextlib.suppress(OSError):
                pool = await Pool.open(self.port, 1)
                status, _ = await pool.one(request(*self.PROBE))
                pool.close()
                if status == 200:
                    return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"not ready: {self._said()}")

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        try:
            if process is not None and process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    await asyncio.wait_for(process.wait(), _STOP_S)
                except TimeoutError:
                    process.kill()
                    await process.wait()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class Floor(Child):
    """`benchmarks.noop`."""

    PROBE = "POST", "/"

    def program(self) -> list[str]:
        """Python with a handler that does nothing."""
        return python("-c", f"import benchmarks.noop; benchmarks.noop.main({self.port})")


class Product(Child):
    """`qserver serve` with its embedded data server, both on the one core, without limits on requests."""

    def __init__(self, core: int, **settings: str) -> None:
        super().__init__(core)
        self.token = "bench-" + secrets.token_urlsafe(24)
        self._settings = settings

    def program(self) -> list[str]:
        """The product as its command line starts it."""
        return python("-m", "qserver", "serve", "--port", str(self.port), "--data-dir", str(self.folder / "data"))

    def environment(self) -> dict[str, str]:
        """One load generator stands for a whole city's devices, so limits meant for one device are off."""
        return {
            "QSERVER_ADMIN_TOKEN": self.token,
            "QSERVER_RATE_LIMIT_PER_TOKEN": "0",
            "QSERVER_RATE_LIMIT_PER_ADDRESS": "0",
            **self._settings,
        }

    @property
    def data_pid(self) -> int:
        """The embedded data server's process id."""
        return next(pid for pid in self.pids if b"python" not in Path(f"/proc/{pid}/exe").readlink().name.encode())

    @property
    def redis_url(self) -> str:
        """Where the embedded data server listens."""
        return f"unix://{self.folder / 'data' / 'valkey.sock'}"

    def memory(self) -> dict[str, int]:
        """Bytes of the server's own process and of the data server."""
        return {"server_bytes": memory_bytes(self.pid), "data_bytes": memory_bytes(self.data_pid)}

    async def ask(self, pool: Pool, method: str, path: str, body: Any = None) -> Any:
        """One request with the admin token. Raises RuntimeError when it was refused."""
        data = b"" if body is None else json.dumps(body).encode()
        status, answer = await pool.one(request(method, path, data, self.token))
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    async def counters(self, pool: Pool) -> dict[str, float]:
        """What push has counted so far: its counters by name, and `closed_CODE`."""
        run = await pool.closed([request("GET", "/metrics", token=self.token)])
        text = run.must_be_good().bodies[0].decode()
        found = re.findall(r'^qserver_push_(\w+)_total(?:{code="(\d+)"})? (\S+)$', text, re.M)
        return {f"{name}_{code}" if code else name: float(value) for name, code, value in found}

    async def tokens(self, pool: Pool, wanted: list[dict[str, str]]) -> list[str]:
        """A token for each of these roles, in their order."""
        run = await pool.closed(
            request("POST", "/api/v1/tokens", json.dumps(one).encode(), self.token) for one in wanted
        )
        return [json.loads(body)["token"] for body in run.must_be_good().bodies]


def hall(name: str, *, windows: int = 40, services: int = 4, **more: Any) -> dict[str, Any]:
    """A hall definition: every window gives every service."""
    ids = [f"s{number}" for number in range(1, services + 1)]
    limits = {"wait_limit_s": 3600, "service_limit_s": 1800}
    return {
        "id": name,
        "name": name,
        "services": [{"id": one, "prefix": _prefix(n), **limits} for n, one in enumerate(ids)],
        "windows": [{"id": f"w{number}", "services": ids} for number in range(1, windows + 1)],
        **more,
    }


def _prefix(number: int) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return letters[number] if number < 26 else letters[number // 26 - 1] + letters[number % 26]
